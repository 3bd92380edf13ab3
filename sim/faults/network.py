"""A broker's address that can fail: a TCP relay that cuts the link or plays a killed broker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from edge.errors import ScenarioError
from sim.faults.timeline import NETWORK_KINDS, FaultKind, Timeline

Address = tuple[str, int]

_TURN_S = 0.02  # between looks at the timeline
_CHUNK_BYTES = 65536
_CONNECT_S = 5.0


class BrokerRelay:
    """Passes TCP between an uplink and a broker, except while a fault acts.  One thread.

    `link_down`: connections stay and nothing passes, new ones get no answer: as a radio out of
    range.  `broker_kill`: connections are reset and new ones refused: what an uplink sees of a
    killed broker; the broker itself lives, and keeps its sessions.
    """

    def __init__(
        self, listen: Address, broker: Address, faults: Timeline, elapsed_s: Callable[[], float]
    ) -> None:
        """Listen; port 0 takes a free one.

        Args:
            listen: What the uplink is told is the broker.
            broker: The real one.
            faults: Those of other places are left alone.
            elapsed_s: Seconds since the flight's start; 0 or less before it.

        Raises:
            ScenarioError: The address to listen on is taken or is not ours.
        """
        self._listen, self._broker, self._elapsed_s = listen, broker, elapsed_s
        self._faults = faults.only(NETWORK_KINDS)
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
        """Let the timeline act until the end."""
        while not self._stop.is_set():
            is_killed = self._acts(FaultKind.BROKER_KILL)
            if is_killed and self._server is not None:
                await self._shut()
            elif not is_killed and self._server is None:
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

    def _acts(self, kind: FaultKind) -> bool:
        return self._faults.active(kind, self._elapsed_s()) is not None

    async def _passable(self) -> None:
        while self._acts(FaultKind.LINK_DOWN):
            await asyncio.sleep(_TURN_S)

    async def _accept(self, uplink: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._peers.add(back)
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
        opening = asyncio.open_connection(*self._broker)
        broker, forth = await asyncio.wait_for(opening, _CONNECT_S)
        self._peers.add(forth)
        pumps = [
            asyncio.ensure_future(self._pump(uplink, forth)),
            asyncio.ensure_future(self._pump(broker, back)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            forth.transport.abort()
            self._peers.discard(forth)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK_BYTES):
            await self._passable()
            sink.write(data)
            await sink.drain()
