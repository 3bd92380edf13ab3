"""The simulator on the wire: a recorded flight as a vehicle and a camera for `run` to fly with."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from edge.errors import ScenarioError
from sim.faults.network import Address, BrokerRelay
from sim.faults.timeline import NETWORK_KINDS, VIDEO_KINDS, Timeline
from sim.serve_source import find_faults, find_flight
from sim.wire.camera import Announce, StreamInfo
from sim.wire.clock import FlightClock
from sim.wire.flight import WireCamera, WireFlight, read_wire_flight
from sim.wire.log import LogSurvey, survey
from sim.wire.mavlink import VehicleOptions, WireVehicle
from sim.wire.outputs import RtpOutput, RtspServer
from sim.wire.resend import resend_log
from sim.wire.video import VideoFeed

log = logging.getLogger(__name__)

__all__ = ["ServeOptions", "ServeStatus", "ServedFlight", "resend_log", "serve"]

RTP_PORT_STEP = 2  # between the ports of two cameras; odd ones are RTCP's by custom
ORDINARY_LATENCY_S = 0.12  # of a digital link, where the flight does not state its own
_STATUS_S = 1.0
_TURN_S = 0.05


@dataclass(frozen=True)
class ServeStatus:
    """What has gone out so far."""

    t_s: float  # since the flight began; 0 while it waits
    flight_s: float  # length of one lap
    messages_sent: int
    frames_sent: int
    frames_dropped: int
    has_begun: bool


@dataclass(frozen=True)
class ServeOptions:
    """Where and how the flight is served.

    Camera number i sends RTP to `rtp_port` + 2i and has the RTSP path `/<camera id>`.
    `rtp_host` or `rtsp_host` None: not served that way.  `rtsp_port` 0: a free one.
    `wait_for_ground`: begin `start_delay_s` after a ground link first asks for data, so that
    nothing of the flight is missed; until then the vehicle stands at its first instant.
    `faults` None: those of the scenario.  Faults between uplink and broker need `broker`: the
    uplink is told that its broker is at `broker_listen`.
    """

    mavlink: tuple[str, ...] = ("udpout:127.0.0.1:14550",)
    rtp_host: str | None = "127.0.0.1"
    rtp_port: int = 5600
    rtsp_host: str | None = "127.0.0.1"
    rtsp_port: int = 8554
    announce: Announce = Announce.RTP
    video_latency_s: float | None = None  # None: as the flight states, or ORDINARY_LATENCY_S
    start_delay_s: float = 0.0
    wait_for_ground: bool = False
    loop: bool = False
    early_ack: bool = False
    drift_ppm: float = 20.0
    seed: int | None = None  # of a scenario that is recorded first; None: 1, or as shipped
    cache_dir: Path | None = None
    faults: Timeline | None = None
    broker: Address | None = None
    broker_listen: Address = ("127.0.0.1", 1884)
    progress: Callable[[str], None] = log.info
    status: Callable[[ServeStatus], None] | None = None

    def __post_init__(self) -> None:
        if self.video_latency_s is not None and not 0.0 <= self.video_latency_s <= 10.0:
            raise ScenarioError(f"video latency must be 0 to 10 s, got {self.video_latency_s}")
        if not self.start_delay_s >= 0.0:
            raise ScenarioError(f"start delay must not be negative, got {self.start_delay_s}")
        served = {Announce.RTP: self.rtp_host, Announce.RTSP: self.rtsp_host, Announce.NONE: ""}
        if served[self.announce] is None:
            raise ScenarioError(
                f"cannot announce {self.announce.value}: not served; announce none, or serve it"
            )
        cut = self.faults.only(NETWORK_KINDS).faults if self.faults else ()
        if cut and self.broker is None:
            raise ScenarioError(
                f"fault {cut[0].kind.value!r} acts between uplink and broker: name the broker with "
                "--broker host:port, and let the uplink connect to --broker-listen"
            )

    def latency_s(self, camera: WireCamera) -> float:
        """Return a camera's video latency."""
        if self.video_latency_s is not None:
            return self.video_latency_s
        return camera.latency_s or ORDINARY_LATENCY_S


class ServedFlight:
    """A flight being served; a context manager that stops cleanly."""

    def __init__(self, flight: WireFlight, options: ServeOptions) -> None:
        """Open everything; nothing is sent before `start`.

        Raises:
            MissingExtraError: The flight has video and GStreamer is not installed.
            ScenarioError: The flight, an address or an option is not usable.
        """
        self.flight, self._options = flight, options
        self._server: RtspServer | None = None
        self.relay: BrokerRelay | None = None
        self.feeds: list[VideoFeed] = []
        has_video = options.rtp_host is not None or options.rtsp_host is not None
        cameras = flight.cameras if has_video else ()
        log_survey = survey(flight.log, flight.system_id)
        self._clock = _clock(flight, log_survey, cameras, options.loop)
        self.vehicle = WireVehicle(log_survey, self._clock, _vehicle_options(options))
        try:
            seen = (options.faults or Timeline()).only(VIDEO_KINDS)
            self.feeds = [
                VideoFeed(camera, self._clock, options.latency_s(camera), seen)
                for camera in cameras
            ]
            self._open_outputs()
            self._open_relay()
        except BaseException:
            self.close()
            raise

    def _open_outputs(self) -> None:
        options = self._options
        if self.feeds and options.rtsp_host is not None:
            self._server = RtspServer(options.rtsp_host, options.rtsp_port)
        for number, feed in enumerate(self.feeds):
            if options.rtp_host is not None:
                port = options.rtp_port + RTP_PORT_STEP * number
                feed.outputs.append(RtpOutput(options.rtp_host, port))
            if self._server is not None:
                feed.outputs.append(self._server.add(f"/{feed.camera.camera_id}"))

    def _open_relay(self) -> None:
        options = self._options
        if options.broker is not None:
            self.relay = BrokerRelay(
                options.broker_listen,
                options.broker,
                options.faults or Timeline(),
                lambda: self._clock.elapsed_s(time.monotonic_ns()),
            )

    @property
    def streams(self) -> tuple[StreamInfo, ...]:
        """What each camera announces."""
        return tuple(self._stream(number, feed) for number, feed in enumerate(self.feeds))

    def rtsp_url(self, camera_id: str) -> str:
        """Return the RTSP address of a camera.

        Raises:
            ScenarioError: RTSP is not served.
        """
        if self._server is None:
            raise ScenarioError("RTSP is not served: give an rtsp_host")
        return f"rtsp://{self._server.host}:{self._server.port}/{camera_id}"

    def _stream(self, number: int, feed: VideoFeed) -> StreamInfo:
        uri = ""
        if self._options.announce is Announce.RTP:
            uri = str(self._options.rtp_port + RTP_PORT_STEP * number)
        elif self._options.announce is Announce.RTSP:
            uri = self.rtsp_url(feed.camera.camera_id)
        return StreamInfo(
            camera_id=feed.camera.camera_id,
            announce=self._options.announce,
            uri=uri,
            width_px=feed.facts.width_px,
            height_px=feed.facts.height_px,
            rate_hz=feed.rate_hz,
            bitrate_bps=feed.facts.bitrate_bps,
        )

    def start(self) -> None:
        """Boot the vehicle and start the cameras."""
        self.vehicle.start(self.streams)
        for feed in self.feeds:
            feed.start()

    def status(self) -> ServeStatus:
        """Return what has gone out so far."""
        now = time.monotonic_ns()
        return ServeStatus(
            t_s=self._clock.elapsed_s(now),
            flight_s=self._clock.lap_ns / 1e9,
            messages_sent=self.vehicle.sent,
            frames_sent=sum(feed.sent for feed in self.feeds),
            frames_dropped=sum(feed.dropped for feed in self.feeds),
            has_begun=self._clock.has_begun(now),
        )

    @property
    def ended(self) -> bool:
        """Whether the flight is over.  A looping flight never is.

        Raises:
            SkywhistleError: Something failed under way.
        """
        failures = [self.vehicle.failure, *(feed.failure for feed in self.feeds)]
        for failure in failures:
            if failure is not None:
                raise failure
        over = self._clock.elapsed_s(time.monotonic_ns()) * 1e9 > self._clock.lap_ns
        return over and not self._options.loop and all(feed.ended for feed in self.feeds)

    def close(self) -> None:
        """Stop every thread and close every socket."""
        for feed in self.feeds:
            feed.close()
        if self._server is not None:
            self._server.close()
        if self.relay is not None:
            self.relay.close()
        self.vehicle.close()

    def __enter__(self) -> ServedFlight:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(scenario: str | Path, options: ServeOptions, stop: threading.Event) -> ServeStatus:
    """Serve a scenario until its flight ends or `stop` is set.

    Args:
        scenario: A flight's folder, the name of a shipped flight, or a scenario (name or TOML
            file), which is recorded first and kept in the cache.
        options: Where and how.
        stop: Set it to end early.

    Raises:
        MissingExtraError: The flight has video and GStreamer is not installed.
        ScenarioError: The scenario, an address or an option is not usable.
    """
    if options.faults is None:
        options = replace(options, faults=find_faults(scenario, options.seed))
    folder = find_flight(scenario, options.seed, options.cache_dir, options.progress)
    with ServedFlight(read_wire_flight(folder), options) as served:
        next_status_s = 0.0
        while not served.ended and not stop.wait(_TURN_S):
            if options.status is not None and time.monotonic() >= next_status_s:
                options.status(served.status())
                next_status_s = time.monotonic() + _STATUS_S
        final = served.status()
    if options.status is not None:
        options.status(final)
    return final


def _clock(
    flight: WireFlight, log_span: LogSurvey, cameras: tuple[WireCamera, ...], loop: bool
) -> FlightClock:
    start_us, end_us = log_span.start_us, log_span.end_us
    for camera in cameras:
        first_us, last_us = camera.captured_us[0], camera.captured_us[-1]
        if last_us < log_span.start_us or first_us > log_span.end_us:
            raise ScenarioError(
                f"flight {flight.name!r}: the frames of camera {camera.camera_id!r} and the "
                f"telemetry log are of different times ({first_us} to {last_us} µs against "
                f"{log_span.start_us} to {log_span.end_us} µs)"
            )
        start_us = min(start_us, first_us)
        # A lap ends one frame after the last, so that the next lap's first keeps its distance.
        end_us = max(end_us, last_us + round(1e6 / camera.rate_hz))
    return FlightClock(start_us, end_us, loop)


def _vehicle_options(options: ServeOptions) -> VehicleOptions:
    return VehicleOptions(
        links=options.mavlink,
        start_delay_s=options.start_delay_s,
        wait_for_ground=options.wait_for_ground,
        early_ack=options.early_ack,
        drift_ppm=options.drift_ppm,
        faults=options.faults or Timeline(),
    )
