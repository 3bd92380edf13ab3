"""A real `skywhistle flight`: how soon it sees, how much memory it takes."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from edge.bench.figures import MemoryFigures, StartFigures
from edge.bench.rig import Rig, in_folder
from edge.errors import BenchError
from edge.loopback import stop_child
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.settings import Settings
from edge.supervise import skywhistle
from edge.toml_text import patrol_as_toml
from sim.serve import ServedFlight, ServeOptions
from sim.wire.flight import read_wire_flight

FIRST_INFERENCE = "first_inference "  # the event that `stages.py` logs
STARTS = 3
_START_GRACE_S = 60.0
_SAMPLE_S = 1.0
_MIN_SAMPLES = 4
_KB = 1024.0  # what /proc calls kB
_MEGABYTE = 1e6
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_STATUS_EVERY_S = 2.0
_STATUS_GRACE_S = 20.0


@dataclass(slots=True)
class Child:
    """A running `skywhistle flight`, its log read as it is written."""

    process: subprocess.Popen[bytes]
    started_s: float
    first_inference_s: float | None = None  # after the start
    seen: threading.Event = field(default_factory=threading.Event)  # or its end
    tail: list[str] = field(default_factory=list)  # the last lines of its log

    def read(self) -> None:
        """Follow the log to its end, in a thread."""
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self._take(line.decode("utf-8", "replace"))
        self.seen.set()

    def _take(self, line: str) -> None:
        now_s = time.monotonic()
        if self.first_inference_s is None and FIRST_INFERENCE in line:
            self.first_inference_s = now_s - self.started_s
            self.seen.set()
        self.tail = [*self.tail[-9:], line.rstrip()]

    def await_first_inference(self) -> float:
        """Return how long after its start it had seen its first picture.

        Raises:
            BenchError: It ended before, or took too long.
        """
        self.seen.wait(_START_GRACE_S)
        if self.first_inference_s is None:
            last = " | ".join(self.tail[-3:])
            raise BenchError(f"flight had no inference within {_START_GRACE_S:.0f} s: {last}")
        return self.first_inference_s


@contextmanager
def flight_process(settings: Settings, folder: Path) -> Iterator[Child]:
    """Run `skywhistle flight` on a config written into the folder."""
    config = folder / "patrol.toml"
    config.write_text(patrol_as_toml(settings.patrol), encoding="utf-8")
    started_s = time.monotonic()
    process = subprocess.Popen(skywhistle("flight", str(config)), stderr=subprocess.PIPE)
    child = Child(process, started_s)
    reader = threading.Thread(target=child.read, name="flight-log", daemon=True)
    reader.start()
    try:
        yield child
    finally:
        stop_child(process)
        reader.join(_START_GRACE_S)


def measure_start(rig: Rig, starts: int = STARTS) -> StartFigures:
    """Start `flight` on the video file so many times; the first warms the disk's cache.

    Raises:
        BenchError: It did not come as far as its first inference.
    """
    took_s = []
    for number in range(1 + starts):
        folder = rig.folder / f"start-{number}"
        with flight_process(in_folder(rig.settings, folder), folder) as child:
            took_s.append(child.await_first_inference())
    return StartFigures(median(took_s[1:]), max(took_s[1:]), starts)


def measure_memory(rig: Rig, minutes: float) -> MemoryFigures:
    """Let `flight` fly on the wire, looping the recorded flight, and watch its memory.

    Raises:
        MissingExtraError: GStreamer is not installed.
        ScenarioError: The flight cannot be served.
        BenchError: `flight` ended, saw nothing, or this system does not tell its memory.
    """
    folder = rig.folder / "memory"
    with (
        on_the_wire(rig, in_folder(rig.settings, folder)) as settings,
        flight_process(settings, folder) as child,
    ):
        child.await_first_inference()
        samples = list(_samples(child.process, minutes * 60.0))
        peak_mb = _memory_mb(child.process, _PEAK)
        rate_hz = _inference_rate_hz(settings)
    times_min, sizes_mb = np.array(samples).T
    half = len(samples) // 2
    return MemoryFigures(
        memory_mb=float(sizes_mb[-1]),
        memory_peak_mb=peak_mb,
        memory_growth_mb_per_min=float(np.polyfit(times_min[half:], sizes_mb[half:], 1)[0]),
        memory_minutes=float(times_min[-1]),
        memory_inference_rate_hz=rate_hz,
    )


def _samples(process: subprocess.Popen[bytes], seconds: float) -> Iterator[tuple[float, float]]:
    """Yield (minutes, MB) each second."""
    start_s = time.monotonic()
    n_samples = max(_MIN_SAMPLES, round(seconds / _SAMPLE_S))
    for number in range(1, n_samples + 1):
        time.sleep(max(0.0, start_s + number * _SAMPLE_S - time.monotonic()))
        yield (time.monotonic() - start_s) / 60.0, _memory_mb(process, _RSS)


def _memory_mb(process: subprocess.Popen[bytes], pattern: re.Pattern[str]) -> float:
    if process.poll() is not None:
        raise BenchError(f"flight ended with code {process.returncode} while it was watched")
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError as error:
        raise BenchError(f"/proc does not tell a process's memory here ({error})") from error
    found = pattern.search(status)
    if found is None:
        raise BenchError("/proc/<pid>/status has no VmRSS or VmHWM")
    return int(found.group(1)) * _KB / _MEGABYTE


def _inference_rate_hz(settings: Settings) -> float:
    """Read what flight says of itself in the mailbox: memory of a flight that sees nothing lies."""
    deadline_s = time.monotonic() + _STATUS_GRACE_S
    with Mailbox(settings.patrol.mailbox, Clocks()) as mailbox:
        while time.monotonic() < deadline_s:
            status = mailbox.flight_status(_STATUS_GRACE_S)
            if status is not None and status.inference_rate_hz > 0.0:
                return status.inference_rate_hz
            time.sleep(_STATUS_EVERY_S / 2.0)
    raise BenchError("flight was fed by the simulator, and its status says that it saw nothing")


@contextmanager
def on_the_wire(rig: Rig, settings: Settings) -> Iterator[Settings]:
    """Serve the recorded flight again and again; the settings for whoever flies it.

    Raises:
        MissingExtraError: GStreamer is not installed.
        ScenarioError: The flight cannot be served.
    """
    mavlink_port, rtp_port = _free_udp_port(), _free_udp_port()
    options = ServeOptions(
        mavlink=(f"udpout:127.0.0.1:{mavlink_port}",),
        rtp_port=rtp_port,
        rtsp_host=None,
        loop=True,
    )
    with ServedFlight(read_wire_flight(rig.recorded.folder), options) as served:
        yield _flying(settings, mavlink_port, rtp_port)
        assert not served.ended  # raises what went wrong under way


def _flying(settings: Settings, mavlink_port: int, rtp_port: int) -> Settings:
    patrol = settings.patrol
    source = {"source": f"udp://:{rtp_port}", "encoding": "h264"}
    url = {"url": f"udpin:127.0.0.1:{mavlink_port}"}
    update = {
        "status": patrol.status.model_copy(update={"interval_s": _STATUS_EVERY_S}),
        "camera": (patrol.camera[0].model_copy(update=source),),
        "autopilot": patrol.autopilot.model_copy(update=url),
    }
    return Settings(patrol.model_copy(update=update), settings.path, settings.config_hash)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
