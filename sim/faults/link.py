"""A broker's address whose link can fail: a TCP relay in a thread, with counters of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from edge.errors import ScenarioError

Address: TypeAlias = "tuple[str, int]"

_TURN_S: Final = 0.02  # between looks at the mode
_CHUNK_BYTES: Final = 65536
_CONNECT_S: Final = 5.0
_SLOW_CHUNK_BYTES: Final = 256
_SLOW_BYTES_PER_S: Final = 2048.0  # a bad narrow-band link
_LOST_SHARE: Final = 0.2  # of chunks: each waits for a retransmission
_LOST_WAIT_S: Final = (0.2, 2.0)  # TCP's time-outs on a mobile link
_RESET_SHARE: Final = 0.01  # of chunks: the connection breaks


class LinkMode(Enum):
    """What the link does."""

    PASS = "pass"
    STALLED = "stalled"  # nothing passes, connections stay, all comes later: a radio out of range
    REFUSED = "refused"  # connections are reset, new ones refused: what is seen of a killed broker
    HALF_OPEN = "half_open"  # what is sent is taken and never arrives; nobody is told
    SLOW = "slow"
    LOSSY = "lossy"  # waits for retransmissions; now and then the connection breaks


@dataclass(slots=True)
class LinkCounters:
    """What has passed since the relay began."""

    connects: int = 0  # the uplink's tries, whether or not the broker answered
    up_bytes: int = 0  # from the uplink, also what a half-open link has swallowed
    down_bytes: int = 0


class LinkRelay:
    """Passes TCP between an uplink and a broker as the mode says.

    Args:
        listen: What the uplink is told is the broker; port 0 takes a free one.
        broker: The real one.
        mode: Asked again and again, in the relay's thread.
        seed: Of what a lossy link loses.

    Raises:
        ScenarioError: The address to listen on is taken or is not ours.
    """

    def __init__(
        self, listen: Address, broker: Address, mode: Callable[[], LinkMode], seed: int = 0
    ) -> None:
        self._listen, self._broker, self._mode = listen, broker, mode
        self._random = random.Random(seed)
        self.counters = LinkCounters()
        self._peers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        try:
            self._loop.run_until_complete(self._open())
        except OSError as error:
            self._loop.close()
            raise ScenarioError(
                f"cannot listen for the uplink on {listen[0]}:{listen[1]}: {error.strerror}; "
                "choose another with --broker-listen"
            ) from error
        self._thread = threading.Thread(target=self._run, name="wire-broker", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listen[1]

    def close(self) -> None:
        """Close everything."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._watch())

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, *self._listen)
        # The port that was given once is kept, so that a broker comes back where it was.
        self._listen = (self._listen[0], self._server.sockets[0].getsockname()[1])

    async def _watch(self) -> None:
        """Let the mode act until the end."""
        while not self._stop.is_set():
            is_refused = self._mode() is LinkMode.REFUSED
            if is_refused and self._server is not None:
                await self._shut()
            elif not is_refused and self._server is None:
                with contextlib.suppress(OSError):  # the port is not free yet: the next turn
                    await self._open()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _TURN_S)
        await self._shut()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for peer in list(self._peers):
            peer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _passable(self) -> None:
        while self._mode() is LinkMode.STALLED:
            await asyncio.sleep(_TURN_S)

    async def _accept(self, uplink: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._peers.add(back)
        self.counters.connects += 1
        try:
            await self._relay(uplink, back)
        except (OSError, asyncio.TimeoutError, asyncio.CancelledError):
            pass  # a connection that ends, whoever ends it, is nothing to report
        finally:
            back.transport.abort()
            self._peers.discard(back)
            self._tasks.discard(task)

    async def _relay(self, uplink: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        await self._passable()
        if self._mode() is LinkMode.HALF_OPEN:
            await self._swallow(uplink)
            return
        opening = asyncio.open_connection(*self._broker)
        broker, forth = await asyncio.wait_for(opening, _CONNECT_S)
        self._peers.add(forth)
        pumps = [
            asyncio.ensure_future(self._pump(uplink, forth, is_up=True)),
            asyncio.ensure_future(self._pump(broker, back, is_up=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            forth.transport.abort()
            self._peers.discard(forth)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        while data := await source.read(self._chunk_bytes()):
            self._count(len(data), is_up=is_up)
            await self._passable()
            mode = self._mode()
            if mode is LinkMode.HALF_OPEN:  # this is gone, and so is the connection afterwards
                await self._swallow(source, is_up=is_up)
                return
            if mode is LinkMode.SLOW:
                await asyncio.sleep(len(data) / _SLOW_BYTES_PER_S)
            elif mode is LinkMode.LOSSY:
                if self._random.random() < _RESET_SHARE:
                    return
                if self._random.random() < _LOST_SHARE:
                    await asyncio.sleep(self._random.uniform(*_LOST_WAIT_S))
            sink.write(data)
            await sink.drain()

    async def _swallow(self, source: asyncio.StreamReader, *, is_up: bool = True) -> None:
        """Take what comes until the link is no longer half open; then the connection breaks."""
        while self._mode() is LinkMode.HALF_OPEN:
            try:
                data = await asyncio.wait_for(source.read(_CHUNK_BYTES), 5 * _TURN_S)
            except asyncio.TimeoutError:
                continue
            if not data:
                return
            self._count(len(data), is_up=is_up)

    def _chunk_bytes(self) -> int:
        return _SLOW_CHUNK_BYTES if self._mode() is LinkMode.SLOW else _CHUNK_BYTES

    def _count(self, n_bytes: int, *, is_up: bool) -> None:
        if is_up:
            self.counters.up_bytes += n_bytes
        else:
            self.counters.down_bytes += n_bytes
