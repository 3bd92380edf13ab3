"""The radio between vehicle and aircraft, for tests: passes datagrams on, can be cut or noisy."""

from __future__ import annotations

import select
import socket
import threading
from types import TracebackType


class MavlinkRelay:
    """Listens for a vehicle (`udpout`) and speaks to an aircraft's `udpin` port, both ways."""

    def __init__(self, aircraft_port: int) -> None:
        self.is_cut = False
        self._vehicle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._vehicle.bind(("127.0.0.1", 0))
        self._aircraft = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._aircraft.connect(("127.0.0.1", aircraft_port))
        # An error on one of them may be told by `select` and gone when it is read.
        self._vehicle.setblocking(False)
        self._aircraft.setblocking(False)
        self._vehicle_at: tuple[str, int] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Where the vehicle sends."""
        return f"udpout:127.0.0.1:{self._vehicle.getsockname()[1]}"

    def inject(self, data: bytes) -> None:
        """Send something to the aircraft that no vehicle has sent."""
        self._send_to_aircraft(data)

    def _run(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._vehicle, self._aircraft], [], [], 0.1)
            if self._vehicle in ready:
                data, self._vehicle_at = self._vehicle.recvfrom(4096)
                if not self.is_cut:
                    self._send_to_aircraft(data)
            if self._aircraft in ready:
                self._pass_back()

    def _pass_back(self) -> None:
        try:
            data = self._aircraft.recv(4096)
        except (ConnectionRefusedError, BlockingIOError):  # nobody listens there just now
            return
        if self._vehicle_at is not None and not self.is_cut:
            self._vehicle.sendto(data, self._vehicle_at)

    def _send_to_aircraft(self, data: bytes) -> None:
        try:
            self._aircraft.send(data)
        except (ConnectionRefusedError, BlockingIOError):
            return

    def __enter__(self) -> MavlinkRelay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._vehicle.close()
        self._aircraft.close()
