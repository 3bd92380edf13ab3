"""The pictures of a recorded flight that a calibration looks at, and their poses at any delay."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from edge.capture.gimbal import GimbalKind
from edge.capture.log_records import LogMessage
from edge.capture.recording import LOOKAHEAD_NS, RecordedFlight
from edge.capture.recording_spec import FlightCamera
from edge.errors import FlightError, UnconstrainedError
from edge.geo.mount import Mount
from edge.geo.rotations import is_unit, matrix_from_quaternion
from edge.records import FloatArray, Frame, MonoNs, NoGeotag, NoPose, Pose

# A picture is looked at when the camera has moved by this share of its height, or turned this far.
MOVED_SHARE = 0.2
TURNED_RAD = math.radians(20.0)
MAX_LOOKS = 240  # more are thinned out: every other one, and the steps doubled
MAX_OFFSET_S = 1.0  # that a delay is searched within
MIN_LOOKS = 2

Made = TypeVar("Made")


@dataclass(frozen=True)
class Look:
    """One picture that was chosen."""

    index: int  # of the frame
    captured_mono_ns: int  # as the flight's folder says
    pose: Pose


class Looks:
    """Chooses pictures of a flight, lets `on_look` have each once, and gives their poses."""

    def __init__(self, flight: RecordedFlight, camera: FlightCamera, mount: Mount) -> None:
        self._flight, self._camera, self._mount = flight, camera, mount
        self.looks: list[Look] = []
        self.no_pose = 0
        self.size_px = (0, 0)
        self.gimbal_kind = GimbalKind.NONE  # what the whole flight shows
        self._messages: list[LogMessage] = []

    def choose(
        self,
        on_frame: Callable[[Frame], None],
        on_look: Callable[[Frame, Pose], Made],
        only: Collection[int] | None = None,
    ) -> list[Made]:
        """Read the flight once; return what `on_look` made of each chosen picture.

        Args:
            on_frame: Called for every frame, for a progress bar.
            on_look: Called for a chosen frame while its picture is there.
            only: Frames by index; else those between which the camera has moved.

        Raises:
            FlightError: No picture has a pose.
        """
        telemetry = self._flight.telemetry(self._flight.spec.telemetry)
        made: list[Made] = []
        last: tuple[FloatArray, FloatArray] | None = None
        # Stills were taken on purpose; of a video most pictures show the same as the last one.
        step = 0.0 if self._camera.stills is not None else 1.0
        for event in self._flight.events(telemetry.feed):
            if not isinstance(event, Frame) or event.camera_id != self._camera.id:
                continue
            on_frame(event)
            pose = telemetry.at(event.captured_mono_ns)
            if isinstance(pose, NoPose):
                self.no_pose += 1
                continue
            now = self._where(pose)
            if only is None:
                if now is None or (last is not None and _moved(last, now, pose) < step):
                    continue
            elif event.index not in only:
                continue
            last = now
            self.size_px = (event.width_px, event.height_px)
            self.looks.append(Look(event.index, event.captured_mono_ns, pose))
            made.append(on_look(event, pose))
            if len(self.looks) > MAX_LOOKS and only is None:
                self.looks, made, step = self.looks[::2], made[::2], max(1.0, 2.0 * step)
        self.gimbal_kind = telemetry.health().gimbal_kind
        if len(self.looks) < (MIN_LOOKS if only is None else 1):
            raise FlightError(
                f"{self._flight.folder}: {len(self.looks)} pictures of camera {self._camera.id!r} "
                f"have a pose ({self.no_pose} have none); do its times and its log overlap?"
            )
        return made

    def poses_at(self, offset_s: float) -> list[Pose]:
        """Return every look's pose, its time moved by so much.

        Raises:
            UnconstrainedError: Some time is beyond the log, or farther off than is searched.
        """
        if abs(offset_s) > MAX_OFFSET_S:
            raise UnconstrainedError(
                f"{self._flight.folder}: the delay found runs beyond {MAX_OFFSET_S:g} s; correct "
                "the flight's time rule, or calibrate the latency first"
            )
        if offset_s == 0.0:
            return [look.pose for look in self.looks]
        self._messages = self._messages or list(self._flight.messages())
        telemetry = self._flight.telemetry(self._flight.spec.telemetry)
        poses, at = [], 0
        for look in self.looks:
            instant_ns = look.captured_mono_ns + round(offset_s * 1e9)
            while at < len(self._messages) and (
                self._messages[at].record_utc_ns <= instant_ns + LOOKAHEAD_NS
            ):
                telemetry.feed(self._messages[at].message, self._messages[at].record_utc_ns)
                at += 1
            pose = telemetry.at(MonoNs(instant_ns))
            # The log's very ends: the pose that is known, moved on.
            poses.append(pose if isinstance(pose, Pose) else _moved_on(look.pose, offset_s))
        return poses

    def _where(self, pose: Pose) -> tuple[FloatArray, FloatArray] | None:
        """Return where the camera is, metres, and how it is turned; None: it does not know."""
        if not is_unit(pose.ned_from_body_wxyz):
            return None
        turned = self._mount.ned_from_camera(pose, matrix_from_quaternion(pose.ned_from_body_wxyz))
        if isinstance(turned, NoGeotag):
            return None
        # Good for distances between neighbours; places come from the chain.
        north_m = math.radians(pose.lat_deg) * 6.37e6
        east_m = math.radians(pose.lon_deg) * 6.37e6 * math.cos(math.radians(pose.lat_deg))
        return np.array([north_m, east_m, pose.above_home_m]), turned


def _moved(
    last: tuple[FloatArray, FloatArray], now: tuple[FloatArray, FloatArray], pose: Pose
) -> float:
    """Tell how far the camera has moved on; 1 asks for another look."""
    cos = (float(np.trace(last[1].T @ now[1])) - 1.0) / 2.0
    turned_rad = math.acos(min(1.0, max(-1.0, cos)))
    away_m = float(np.linalg.norm(now[0] - last[0]))
    return max(turned_rad / TURNED_RAD, away_m / (MOVED_SHARE * max(pose.above_home_m, 10.0)))


def _moved_on(pose: Pose, offset_s: float) -> Pose:
    north_mps, east_mps, _ = pose.velocity_ned_mps
    lat_deg = pose.lat_deg + math.degrees(north_mps * offset_s / 6.37e6)
    shrink = 6.37e6 * math.cos(math.radians(pose.lat_deg))
    return replace(
        pose, lat_deg=lat_deg, lon_deg=pose.lon_deg + math.degrees(east_mps * offset_s / shrink)
    )


def camera_of(flight: RecordedFlight, camera_id: str | None) -> FlightCamera:
    """Return a flight's camera by its id; None: the only one, or the first.

    Raises:
        FlightError: It has no such camera.
    """
    cameras: Sequence[FlightCamera] = flight.spec.camera
    if camera_id is None:
        return cameras[0]
    for camera in cameras:
        if camera.id == camera_id:
            return camera
    known = ", ".join(camera.id for camera in cameras)
    raise FlightError(f"{flight.folder}: has no camera {camera_id!r}; it has {known}")
