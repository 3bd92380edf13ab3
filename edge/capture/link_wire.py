"""Wires that carry MAVLink: UDP both ways, TCP, serial; named by pymavlink's strings.

pymavlink's own connections print to the terminal, sleep inside their constructors and answer
every stranger who ever sent a byte; a wire here does none of that.  It knows nothing of MAVLink.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import termios
import tty
from pathlib import Path
from typing import ClassVar, Protocol

from edge.errors import TelemetryConfigError

_READ_BYTES = 65535
_CONNECT_TIMEOUT_S = 3.0
_RECEIVE_BUFFER_BYTES = 1 << 20


class Wire(Protocol):
    """Bytes in, bytes out.  `OSError` means that it is broken and must be opened again."""

    is_datagram: ClassVar[bool]

    def receive(self, timeout_s: float) -> bytes:
        """Wait for bytes; b"" when none came in time."""
        ...

    def send(self, data: bytes) -> None: ...

    def confirm_peer(self) -> None:
        """Believe the sender of the last bytes: what is sent goes there from now on."""
        ...

    def close(self) -> None: ...


class UdpWire:
    """UDP: `udpin` waits at an address and answers who is confirmed, `udpout` calls one."""

    is_datagram: ClassVar[bool] = True

    def __init__(self, host: str, port: int, is_server: bool) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Some seconds of telemetry may wait while another process has the CPU.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._is_server = is_server
        self._last_from: tuple[str, int] | None = None
        self._peer: tuple[str, int] | None = None
        try:
            if is_server:
                # Not SO_REUSEADDR: a second program (`check` beside a flight) would get the port
                # and, on Linux, every datagram from then on; the aircraft would fly on deaf.
                self._socket.bind((host, port))
            else:
                self._peer = (socket.gethostbyname(host), port)
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """The local port: the bound one, where 0 was asked for."""
        return int(self._socket.getsockname()[1])

    def receive(self, timeout_s: float) -> bytes:
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return b""
        try:
            data, self._last_from = self._socket.recvfrom(_READ_BYTES)
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.EAGAIN):
                return b""  # the peer is not there yet; UDP goes on
            raise
        return data

    def send(self, data: bytes) -> None:
        if self._peer is None:
            return  # nobody has spoken yet
        try:
            self._socket.sendto(data, self._peer)
        except OSError as error:
            # No route, no listener, buffers full: a datagram is lost, the wire is not.
            if error.errno in (errno.EBADF, errno.ENOTSOCK):
                raise

    def confirm_peer(self) -> None:
        if self._is_server:  # after a reboot the vehicle may send from another port
            self._peer = self._last_from

    def close(self) -> None:
        self._socket.close()


class TcpWire:
    """A TCP connection that we open."""

    is_datagram: ClassVar[bool] = False

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), _CONNECT_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, timeout_s: float) -> bytes:
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return b""
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the peer closed the connection")
        return data

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)  # its time limit is that of connecting

    def confirm_peer(self) -> None:
        """There is only one."""

    def close(self) -> None:
        self._socket.close()


class SerialWire:
    """A serial port, raw, eight bits, no parity, no flow control."""

    is_datagram: ClassVar[bool] = False

    def __init__(self, device: str, baud: int) -> None:
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise TelemetryConfigError(
                f"autopilot.baud = {baud} is no speed of this system's serial ports; "
                "use one such as 57600, 115200 or 921600"
            )
        self._fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            tty.setraw(self._fd)
            attributes = termios.tcgetattr(self._fd)
            attributes[2] |= termios.CLOCAL | termios.CREAD
            attributes[2] &= ~(termios.CRTSCTS | termios.CSTOPB)
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(self._fd, termios.TCSANOW, attributes)
        except termios.error as error:
            os.close(self._fd)
            raise OSError(errno.ENOTTY, f"{device} is no serial port") from error

    def receive(self, timeout_s: float) -> bytes:
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return b""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError(errno.EIO, "the serial port is gone")
        return data

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # the port is full: the next may pass
            os.write(self._fd, data)

    def confirm_peer(self) -> None:
        """There is only one."""

    def close(self) -> None:
        os.close(self._fd)


def check_url(url: str) -> None:
    """See that a link's address can be meant.

    Raises:
        TelemetryConfigError: No known kind, or no port in it.
    """
    kind, _, rest = url.partition(":")
    if kind in ("udpin", "udp", "udpout", "tcp"):
        host, _, port = rest.removeprefix("//").rpartition(":")
        if host and port.isdecimal() and int(port) < 65536:
            return
        raise TelemetryConfigError(f"autopilot.url = {url!r}: write {kind}:HOST:PORT")
    if url.startswith("/") or (kind == "serial" and rest):
        return
    raise TelemetryConfigError(
        f"autopilot.url = {url!r}: no kind of link that is known; use udpin:0.0.0.0:14550, "
        "udpout:HOST:PORT, tcp:HOST:PORT or a serial device such as /dev/ttyAMA0"
    )


def open_wire(url: str, baud: int) -> Wire:
    """Open a link by pymavlink's string.

    Raises:
        TelemetryConfigError: The address cannot be meant.
        OSError: It cannot be opened now.
    """
    check_url(url)
    kind, _, rest = url.partition(":")
    if url.startswith("/") or kind == "serial":
        device = url if url.startswith("/") else rest.removeprefix("//")
        return SerialWire(str(Path(device)), baud)
    host, _, port = rest.removeprefix("//").rpartition(":")
    if kind == "tcp":
        return TcpWire(host, int(port))
    return UdpWire(host, int(port), is_server=kind in ("udpin", "udp"))
