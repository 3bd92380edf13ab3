"""The nouns that travel between steps.  Read this first, then `pipeline.py`.

Axes: `ned` (north, east, down), `body` (forward, right, down), `camera` (right, down, forward;
OpenCV), `enu` (the district's local plane, east, north, metres).  Quaternions are `wxyz`, unit,
and named like matrices: `ned_from_body_wxyz` turns a body vector into a NED vector.
Heights name their datum; two datums are never subtracted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

MonoNs = NewType("MonoNs", int)  # time.monotonic_ns(); means nothing after a reboot
UtcNs = NewType("UtcNs", int)  # Unix time; only for payloads and file names

ImageArray: TypeAlias = NDArray[np.uint8]  # H×W×3, BGR
FloatArray: TypeAlias = NDArray[np.float64]
Xyxy: TypeAlias = tuple[float, float, float, float]
Covariance2: TypeAlias = tuple[float, float, float]  # (var_east, cov_east_north, var_north), m²

# Radius holding 90 % of a circular Gaussian: sqrt(-2 ln 0.1) sigmas per axis.
CE90_PER_SIGMA = math.sqrt(-2.0 * math.log(1.0 - 0.90))

# Number on the wire of each violation class (DESIGN section 2); never reused.
CLASS_NUMBERS: dict[str, int] = {
    "structure": 1,
    "discharge": 2,
    "floating_waste": 3,
    "smoke": 4,
    "waste_pile": 5,
    "bare_soil": 6,
    "open_pit": 7,
    "pm25": 32,
    "pm10": 33,
    "so2": 34,
    "no2": 35,
    "co": 36,
    "o3": 37,
}


# --- events that drive the loop ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """One video image and the instant of its exposure."""

    image_bgr: ImageArray
    captured_mono_ns: MonoNs
    camera_id: str
    index: int  # counts what the source produced, dropped ones included
    captured_sigma_s: float = 0.0  # one sigma of captured_mono_ns

    @property
    def width_px(self) -> int:
        return int(self.image_bgr.shape[1])

    @property
    def height_px(self) -> int:
        return int(self.image_bgr.shape[0])


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes although no frame came."""

    mono_ns: MonoNs


# --- the aircraft -------------------------------------------------------------------------------


class YawReference(Enum):
    """What a gimbal's yaw is measured from."""

    VEHICLE = "vehicle"
    NORTH = "north"


@dataclass(frozen=True, slots=True)
class GimbalAttitude:
    """What the gimbal says of itself.  What it means depends on the mount's kind."""

    quaternion_wxyz: tuple[float, float, float, float]
    yaw_reference: YawReference
    age_s: float = 0.0  # from the sample that was used to the instant asked for


class NoPose(Enum):
    """Why there is no pose for an instant."""

    NO_DATA = "no_data"  # nothing has arrived yet
    STALE_POSE = "stale_pose"  # the newest sample is more than one gap older
    TOO_OLD = "too_old"  # older than what the buffer keeps
    GAP = "gap"  # a hole in the samples around the instant
    NO_FIX = "no_fix"  # no GNSS fix, or the estimator does not vouch for the position


@dataclass(frozen=True, slots=True)
class Home:
    """Where the autopilot counts heights from, as HOME_POSITION says."""

    lat_deg: float
    lon_deg: float
    amsl_m: float

    def __post_init__(self) -> None:
        if not (abs(self.lat_deg) <= 90.0 and abs(self.lon_deg) <= 180.0):
            raise ValueError(f"no such place: {self.lat_deg}, {self.lon_deg}")


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the vehicle was and how it was turned, at one instant, as the autopilot saw it."""

    mono_ns: MonoNs
    lat_deg: float
    lon_deg: float
    amsl_m: float
    above_home_m: float
    velocity_ned_mps: tuple[float, float, float]
    ned_from_body_wxyz: tuple[float, float, float, float]
    gimbal: GimbalAttitude | None = None
    h_acc_m: float | None = None  # one sigma as the receiver gives it; None: not given
    v_acc_m: float | None = None
    rangefinder_slant_m: float | None = None  # along body down
    terrain_agl_m: float | None = None  # TERRAIN_REPORT current_height
    reach_s: float = 0.0  # from the instant to the nearest sample used
    sync_sigma_s: float = 0.0  # one sigma of boot clock against mono_ns
    rates_body_radps: tuple[float, float, float] | None = None  # ATTITUDE's; None: not given
    home: Home | None = None  # None: not told yet

    def __post_init__(self) -> None:
        if not -90.0 <= self.lat_deg <= 90.0:
            raise ValueError(f"lat_deg must be in [-90, 90], got {self.lat_deg}")
        if not -180.0 <= self.lon_deg <= 180.0:
            raise ValueError(f"lon_deg must be in [-180, 180], got {self.lon_deg}")


class TimeQuality(IntEnum):
    """How good a UTC time is; the number goes over the air."""

    NONE = 0  # no UTC known
    OS_CLOCK = 1  # the computer's own clock: the named last resort
    GNSS = 2  # the autopilot's SYSTEM_TIME, plausible
    GNSS_SYNCED = 3  # the same, mapped by TIMESYNC


@dataclass(frozen=True, slots=True)
class UtcTime:
    """An instant in the world's time and how it is known."""

    utc_ns: UtcNs | None
    quality: TimeQuality
    boot_ms: int | None = None  # the autopilot's boot-relative time of the same instant


# --- the picture ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Detection:
    """One box in one frame, in that frame's pixels.  (0, 0) is the centre of the first pixel."""

    label: str
    score: float
    box_xyxy_px: Xyxy

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box_xyxy_px
        if not (x0 <= x1 and y0 <= y1):  # also refuses NaN
            raise ValueError(f"box_xyxy_px must be ordered, got {self.box_xyxy_px}")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score must be in [0, 1], got {self.score}")


# --- the ground ---------------------------------------------------------------------------------


class NoGeotag(Enum):
    """Why a detection has no place on the ground."""

    NO_POSE = "no_pose"
    STALE_POSE = "stale_pose"
    NO_FIX = "no_fix"
    NO_ATTITUDE = "no_attitude"  # the mount needs a gimbal attitude and none came
    RAY_ABOVE_HORIZON = "ray_above_horizon"
    TOO_FAR = "too_far"  # beyond the configured slant range
    NO_TERRAIN = "no_terrain"
    BELOW_GROUND = "below_ground"  # the camera would be under the ground: a datum error
    OUTSIDE_LENS = "outside_lens"  # the distortion model does not invert there
    FRAME_SIZE = "frame_size"  # the frame's aspect is not the calibration's


class GroundSource(Enum):
    """Which surface the ray was cut with."""

    HOME = "home"
    RANGEFINDER = "rangefinder"
    TERRAIN_REPORT = "terrain_report"
    TERRAIN_TILE = "terrain_tile"


@dataclass(frozen=True, slots=True)
class Ellipse:
    """The 90 % error ellipse: semi-axes a ≥ b, azimuth of a from true north in [0, 180)."""

    a_m: float
    b_m: float
    azimuth_deg: float

    def __post_init__(self) -> None:
        if not self.a_m >= self.b_m > 0.0:  # also refuses NaN
            raise ValueError(f"need a_m >= b_m > 0, got {self.a_m}, {self.b_m}")
        if not 0.0 <= self.azimuth_deg < 180.0:
            raise ValueError(f"azimuth_deg must be in [0, 180), got {self.azimuth_deg}")


class SharedSource(IntEnum):
    """What looks err by in common; the number is its column in `Sighting.shared_errors_m`."""

    GNSS_NORTH = 0
    GNSS_EAST = 1
    HEIGHT = 2  # of the vehicle above the ground
    HEADING = 3
    TILT_PITCH = 4  # of the vehicle, where the camera feels it
    TILT_ROLL = 5
    GIMBAL_PITCH = 6  # what the gimbal says of itself
    GIMBAL_ROLL = 7
    MOUNT_ROLL = 8  # boresight, about the camera's axes
    MOUNT_PITCH = 9
    MOUNT_YAW = 10
    DELAY = 11  # of the picture against the pose
    THING_HEIGHT = 12  # of the point shown above the ground
    LEAN = 13  # where along a plume's foot its source lies


@dataclass(frozen=True, slots=True)
class Sighting:
    """A detection with a place on the ground and a size in metres, in the district's plane."""

    detection: Detection
    camera_id: str
    frame_index: int
    captured_mono_ns: MonoNs
    east_m: float
    north_m: float
    ground_amsl_m: float
    look_covariance: Covariance2  # what differs between looks of one pass
    shared_covariance: Covariance2  # what all looks of one pass share: the bias
    # The same by source: how far one sigma of each `SharedSource` puts the place, to the east and
    # to the north.  With it two looks know what they err by in common, and which way.
    shared_errors_m: tuple[tuple[float, ...], tuple[float, ...]]
    outline_enu_m: tuple[tuple[float, float], ...]  # the box's corners on the ground, or ()
    width_m: float  # across the line of sight
    depth_m: float  # along it
    gsd_m_per_px: float
    bearing_deg: float  # from the camera to the place, from true north
    depression_deg: float
    ground_source: GroundSource
    is_cut: bool = False  # touches the frame's edge: its size is a lower bound
    is_low_grazing: bool = False
    sync_sigma_s: float = 0.0
    is_upper_part: bool = False  # of a column that another box shows from its foot up

    @property
    def size_m(self) -> float:
        """The larger side: what `min_size_m` in a rule means."""
        return max(self.width_m, self.depth_m)


class IncidentState(Enum):
    """Life of an incident."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    REPORTED = "reported"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing in the world: its sightings, fused."""

    incident_id: bytes  # 16 bytes, time-ordered (UUID version 7)
    label: str
    state: IncidentState
    revision: int  # of the last alert sent; 0 before the first
    east_m: float
    north_m: float
    ground_amsl_m: float
    covariance: Covariance2  # whole: looks averaged, bias floor included
    width_m: float
    depth_m: float
    looks: int
    median_score: float
    first_mono_ns: MonoNs
    last_mono_ns: MonoNs
    best: Sighting  # the look whose picture and time the alert carries


class AlertKind(IntEnum):
    """What an alert says about its incident; the number goes over the air."""

    NEW = 1
    UPDATE = 2
    END = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules decided about an incident: one alert is due."""

    kind: AlertKind
    incident: Incident
    revision: int  # of this alert
    rule: str
    severity: int  # 1 (worst) to 4
    department: str
    event_code: str
    grid_cell: str  # "" where the grid has none
    threshold: float
    is_coarse: bool = False  # vaguer than its rule wants


@dataclass(frozen=True, slots=True)
class AlertFlags:
    """Named bits of an alert."""

    replay: bool = False  # delivered after an outage
    coarse: bool = False
    low_grazing: bool = False
    cut: bool = False
    advisory: bool = False
    before_after: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A gas or dust measurement carried by an alert."""

    value: float
    unit: str
    averaging_s: int


@dataclass(frozen=True, slots=True)
class Alert:
    """What the desk receives about an incident (DESIGN section 5, "Alert out")."""

    kind: AlertKind
    incident_id: bytes
    revision: int
    label: str  # a class of DESIGN section 2, or any model's own label
    lat_deg: float
    lon_deg: float
    ground_amsl_m: float
    ellipse: Ellipse
    time: UtcTime
    score: float
    threshold: float
    looks: int
    rule: str
    severity: int
    extent_w_m: float = 0.0
    extent_h_m: float = 0.0
    gsd_m_per_px: float = 0.0
    box_xyxy: Xyxy | None = None  # as fractions of the frame, 0 to 1
    department: str = ""
    event_code: str = ""
    grid_cell: str = ""
    model_hash: bytes = b""  # first 8 bytes of the model file's SHA-256
    config_hash: bytes = b""
    sync_error_ms: int = 0
    flags: AlertFlags = field(default_factory=AlertFlags)
    evidence_hash: bytes = b""
    reading: Reading | None = None

    def __post_init__(self) -> None:
        if len(self.incident_id) != 16:
            raise ValueError(f"incident_id must be 16 bytes, got {len(self.incident_id)}")
        if not (-90.0 <= self.lat_deg <= 90.0 and -180.0 <= self.lon_deg <= 180.0):
            raise ValueError(f"no such place: {self.lat_deg}, {self.lon_deg}")
        if not 1 <= self.severity <= 4:
            raise ValueError(f"severity must be 1 to 4, got {self.severity}")
