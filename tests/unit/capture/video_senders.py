"""Cameras for the tests: a child process that streams pictures which carry their own exposure time.

Each picture shows 16 grey squares, black or white: the bits of the monotonic clock in ms at the
moment it was made.  CLOCK_MONOTONIC is one for all processes of a computer, so the receiver can
compare the truth with what it believes.  A line on stdin changes the picture: `good`, `black` or
`frozen`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

BITS = 16
WIDTH, HEIGHT = 256, 128
RATE_HZ = 30
ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=2000",
    # A closed GOP with its headers repeated, as cameras send it: who joins late needs both.
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=2000 "
    "option-string=open-gop=0:repeat-headers=1",
}
PAYLOADERS = {"h264": "rtph264pay config-interval=-1", "h265": "rtph265pay config-interval=-1"}


def draw(mono_ms: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Draw a time; a row of noise below lives, like a sensor's."""
    image = np.full((height, width, 3), 90, np.uint8)
    cell = width // (BITS // 2)
    for bit in range(BITS):
        row, column = divmod(bit, BITS // 2)
        value = 235 if mono_ms >> bit & 1 else 20
        image[row * 32 : row * 32 + 32, column * cell : (column + 1) * cell] = value
    image[64:] = np.random.default_rng(mono_ms).integers(40, 200, (1, width, 1), np.uint8)
    return image


def read_time_ms(image: np.ndarray, near_ms: int) -> int:
    """Read the time off a picture; `near_ms` resolves what 16 bits leave open."""
    cell = image.shape[1] // (BITS // 2)
    value = 0
    for bit in range(BITS):
        row, column = divmod(bit, BITS // 2)
        middle = image[row * 32 + 16, column * cell + cell // 2]
        value |= int(middle.mean() > 128) << bit
    span = 1 << BITS
    return near_ms + (value - near_ms + span // 2) % span - span // 2


class Camera:
    """Feeds an appsrc."""

    def __init__(self) -> None:
        self.mode = "good"
        self._frozen: np.ndarray | None = None

    def picture(self) -> np.ndarray:
        now_ms = time.monotonic_ns() // 1_000_000
        if self.mode == "black":
            return np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        if self.mode == "frozen":
            if self._frozen is None:
                self._frozen = draw(now_ms)
            return self._frozen
        self._frozen = None
        return draw(now_ms)

    def feed(self, gst: Any, source: Any) -> None:
        interval_s = 1.0 / RATE_HZ
        while True:
            started = time.monotonic()
            buffer = gst.Buffer.new_wrapped(self.picture().tobytes())
            if source.emit("push-buffer", buffer) != gst.FlowReturn.OK:
                return
            time.sleep(max(0.0, interval_s - (time.monotonic() - started)))


SOURCE = (
    "appsrc name=camera is-live=true format=time do-timestamp=true "
    "leaky-type=downstream max-buffers=1 "
    f"caps=video/x-raw,format=BGR,width={WIDTH},height={HEIGHT},framerate={RATE_HZ}/1 "
    "! videoconvert ! video/x-raw,format=I420"
)


def pipeline_text(kind: str, port: int) -> str:
    codec = "h265" if kind.endswith("h265") else "h264"
    encoded = f"{SOURCE} ! {ENCODERS[codec]}"
    udp = f"udpsink host=127.0.0.1 port={port} sync=false"
    if kind.startswith("rtp"):
        return f"{encoded} ! {PAYLOADERS[codec]} ! {udp}"
    if kind == "mpegts":
        return f"{encoded} ! h264parse ! mpegtsmux alignment=7 ! {udp}"
    return f"{encoded} ! h264parse ! mpegtsmux ! tcpserversink host=127.0.0.1 port={port}"


def say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def guard(server: Any, factory: Any) -> None:
    """Let in `pilot` with the password `secret` only."""
    from gi.repository import GstRtspServer

    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "pilot")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("pilot", "secret"), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("pilot", "media.factory.access", True)
    permissions.add_permission_for_role("pilot", "media.factory.construct", True)
    factory.set_permissions(permissions)


def serve_rtsp(camera: Camera, port: int, has_sound: bool) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    pay = PAYLOADERS["h264"].replace(" ", " name=pay0 pt=96 ", 1)
    sound = "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8" if has_sound else ""
    factory.set_launch(f"( {SOURCE} ! {ENCODERS['h264']} ! {pay} {sound} )")
    factory.set_shared(True)

    def configure(_factory: Any, media: Any) -> None:
        source = media.get_element().get_by_name("camera")
        threading.Thread(target=camera.feed, args=(Gst, source), daemon=True).start()

    factory.connect("media-configure", configure)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    if has_sound:
        guard(server, factory)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    say_ready()
    GLib.MainLoop().run()


def main(kind: str, port: int) -> None:
    camera = Camera()

    def listen() -> None:
        for line in sys.stdin:
            camera.mode = line.strip()

    threading.Thread(target=listen, daemon=True).start()
    if kind.startswith("rtsp"):
        serve_rtsp(camera, port, has_sound=kind == "rtsp-sound")
        return
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst

    Gst.init(None)
    pipeline = Gst.parse_launch(pipeline_text(kind, port))
    pipeline.set_state(Gst.State.PLAYING)
    say_ready()
    camera.feed(Gst, pipeline.get_by_name("camera"))


class Sender:
    """The child process as the tests hold it."""

    def __init__(self, kind: str, port: int) -> None:
        self._command = [sys.executable, __file__, kind, str(port)]
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def show(self, mode: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mode}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Die as a camera does whose plug is pulled."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


@contextmanager
def sending(kind: str, port: int) -> Iterator[Sender]:
    sender = Sender(kind, port)
    try:
        yield sender
    finally:
        sender.kill()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
