"""Eyes for somebody else's simulation: draws what its vehicle's camera would see, and serves it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError
from sim.camera import CameraPose
from sim.camera_shutter import Exposure
from sim.record import district_of
from sim.render.renderer import Look, Renderer, add_noise
from sim.scenario import Scenario
from sim.wire import camera as wire_camera
from sim.wire.camera import FIRST_CAMERA_COMPONENT
from sim.wire.follow_pose import CameraOnBody, FollowedPose
from sim.wire.follow_video import LiveEncoder, PacedOutputs, VideoShape
from sim.wire.link import GroundLink
from sim.wire.outputs import RtpOutput, RtspServer, VideoOutput
from sim.world.district import District

log = logging.getLogger(__name__)

_m = mavlink2
PATH = "/main"  # of the stream on the RTSP server
_BEHIND_S = 0.15  # a picture is of this long ago, so that its pose has a sample on each side
_ASK_S = 2.0  # between requests for what does not come
_POSE_HZ = 50.0
_WANTED_HZ = {
    _m.MAVLINK_MSG_ID_SIM_STATE: _POSE_HZ,
    _m.MAVLINK_MSG_ID_ATTITUDE: _POSE_HZ,
    _m.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: _POSE_HZ,
    _m.MAVLINK_MSG_ID_GIMBAL_DEVICE_ATTITUDE_STATUS: _POSE_HZ,
    _m.MAVLINK_MSG_ID_HOME_POSITION: 0.5,
}
_TURN_S = 0.01
_DEFAULT_MBPS = 4.0


@dataclass(frozen=True)
class FollowStatus:
    """What has come and gone so far."""

    has_pose: bool
    has_truth: bool  # SIM_STATE is heard
    messages_heard: int
    frames_sent: int
    frames_late: int  # sent after they were due: this computer draws too slowly for the rate


@dataclass(frozen=True)
class FollowOptions:
    """Whom to follow and where the video goes; `rtp` or `rtsp` None: not served that way."""

    link: str
    rtp: tuple[str, int] | None = ("127.0.0.1", 5600)
    rtsp: tuple[str, int] | None = ("127.0.0.1", 8554)
    pitch_deg: float = -90.0
    latency_s: float = 0.5
    system_id: int | None = None
    status: Callable[[FollowStatus], None] | None = None
    on_frame: Callable[[CameraPose, int], None] | None = field(default=None)

    def __post_init__(self) -> None:
        if self.rtp is None and self.rtsp is None:
            raise ScenarioError("the video goes nowhere: give --rtp or --rtsp an address")
        if not -90.0 <= self.pitch_deg <= -10.0:
            raise ScenarioError(f"--pitch-deg must be in [-90, -10], got {self.pitch_deg}")
        if not _BEHIND_S <= self.latency_s <= 10.0:
            raise ScenarioError(
                f"--latency-s must be in [{_BEHIND_S}, 10], got {self.latency_s}: a picture is "
                f"drawn {_BEHIND_S} s after its instant"
            )


class FollowingCamera:
    """Follows one vehicle.  One thread, the caller's; `close` when done."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        options: FollowOptions,
        district: District | None = None,
    ) -> None:
        """Draw the district, unless it is given, and open the link and the outputs.

        Raises:
            MissingExtraError: GStreamer is not installed.
            RenderError: There is no OpenGL here.
            ScenarioError: An address is not usable.
        """
        self.scenario, self.options = scenario, options
        table = scenario.camera
        body = CameraOnBody(table.mount, options.pitch_deg, table.lever_arm_m)
        self.pose = FollowedPose(body, options.system_id)
        district = district or district_of(scenario, seed)
        self._home_up_m = float(district.terrain.up_m(np.array(0.0), np.array(0.0)))
        self._renderer = Renderer(district, scenario.camera_model())
        camera = self._renderer.camera
        shape = VideoShape(
            camera.width_px, camera.height_px, table.rate_hz, table.bit_rate_mbps or _DEFAULT_MBPS
        )
        self._encoder = LiveEncoder(shape)
        self._rng = np.random.default_rng([seed, 99])
        self._heard = 0
        self._next_ask_ns = self._next_beat_ns = 0
        self._begin_ns = time.monotonic_ns()
        self._outputs: list[VideoOutput] = []
        self._server: RtspServer | None = None
        self._paced: PacedOutputs | None = None
        self._link = GroundLink(options.link)
        try:
            self._open_outputs()
        except BaseException:
            self.close()
            raise

    def _open_outputs(self) -> None:
        if self.options.rtp is not None:
            self._outputs.append(RtpOutput(*self.options.rtp))
        if self.options.rtsp is not None:
            self._server = RtspServer(*self.options.rtsp)
            self._outputs.append(self._server.add(PATH))
        self._paced = PacedOutputs(self._outputs)

    def close(self) -> None:
        """Close the link, the outputs and the renderer."""
        if self._paced is not None:
            self._paced.close()
        for output in self._outputs:
            output.close()
        if self._server is not None:
            self._server.close()
        self._link.close()
        self._renderer.close()

    @property
    def rtsp_url(self) -> str | None:
        """The RTSP address, where it is served so."""
        if self._server is None:
            return None
        return f"rtsp://{self._server.host}:{self._server.port}{PATH}"

    def status(self) -> FollowStatus:
        """Return what has come and gone so far."""
        has_pose = self._pose_at_ns(time.monotonic_ns()) is not None
        sent, late = (self._paced.sent, self._paced.late) if self._paced else (0, 0)
        return FollowStatus(has_pose, self.pose.has_truth, self._heard, sent, late)

    def run(self, stop: threading.Event) -> None:
        """Draw at the camera's rate until `stop` is set; without a pose there is no picture."""
        step_ns = round(1e9 / self.scenario.camera.rate_hz)
        due_ns, next_status_ns = time.monotonic_ns(), 0
        while not stop.is_set():
            now = time.monotonic_ns()
            self._listen(now)
            self._speak(now)
            if self.options.status is not None and now >= next_status_ns:
                self.options.status(self.status())
                next_status_ns = now + 1_000_000_000
            if now < due_ns:
                stop.wait(min(_TURN_S, (due_ns - now) / 1e9))
                continue
            self._draw(due_ns - round(_BEHIND_S * 1e9))
            # Pictures that could not be drawn in time are left out, not queued.
            missed = max(0, (time.monotonic_ns() - due_ns) // step_ns)
            due_ns += (1 + missed) * step_ns

    def _listen(self, now: int) -> None:
        for message in self._link.receive():
            self._heard += 1
            self.pose.take(message, now)

    def _speak(self, now: int) -> None:
        """Beat, so that the autopilot routes to us, and ask for what does not come."""
        system_id = self.pose.system_id or 1
        if now >= self._next_beat_ns:
            self._next_beat_ns = now + 1_000_000_000
            self._link.send(wire_camera.heartbeat(), system_id, FIRST_CAMERA_COMPONENT)
        if now < self._next_ask_ns:
            return
        self._next_ask_ns = now + round(_ASK_S * 1e9)
        for message_id, rate_hz in _WANTED_HZ.items():
            if self.pose.counts.get(_m.mavlink_map[message_id].msgname, 0) == 0:
                ask = _m.MAVLink_command_long_message(
                    system_id, 1, _m.MAV_CMD_SET_MESSAGE_INTERVAL, 0,
                    message_id, 1e6 / rate_hz, 0, 0, 0, 0, 0,
                )  # fmt: skip
                self._link.send(ask, system_id, FIRST_CAMERA_COMPONENT)

    def _pose_at_ns(self, mono_ns: int) -> CameraPose | None:
        return self.pose.at(mono_ns, self._home_up_m)

    def _draw(self, captured_ns: int) -> None:
        drawn_pose = self._pose_at_ns(captured_ns)
        if drawn_pose is None:
            return
        table, time_s = self.scenario.camera, (captured_ns - self._begin_ns) / 1e9
        look = Look(exposure=table.exposure, noise=table.noise)
        image = self._renderer.picture(drawn_pose, max(0.0, time_s), look)

        def pose_at(row_time_s: float) -> CameraPose:
            return self._pose_at_ns(self._begin_ns + round(row_time_s * 1e9)) or drawn_pose

        image = self._exposure(pose_at).expose(image, time_s)
        image = add_noise(image, table.noise, self._rng)
        stamp_ns = captured_ns + round(self.options.latency_s * 1e9)
        assert self._paced is not None
        for unit in self._encoder.encode(image, stamp_ns):
            self._paced.add(unit)
        if self.options.on_frame is not None:
            self.options.on_frame(drawn_pose, captured_ns)

    def _exposure(self, pose_at: Callable[[float], CameraPose]) -> Exposure:
        return Exposure(self._renderer.camera, self.scenario.shutter(), pose_at, self._home_up_m)


def follow(
    scenario: Scenario, seed: int, options: FollowOptions, stop: threading.Event
) -> FollowStatus:
    """Follow an external autopilot until `stop` is set.

    Raises:
        MissingExtraError: GStreamer is not installed.
        RenderError: There is no OpenGL here.
        ScenarioError: An address is not usable.
    """
    camera = FollowingCamera(scenario, seed, options)
    try:
        camera.run(stop)
        return camera.status()
    finally:
        camera.close()
