"""One look, without fusion: what the chain makes of noisy telemetry, against trigonometry alone.

For the cells of a published table the same draws of the same sources go two ways: as MAVLink
messages through telemetry and locator, and through a few lines of flat-ground geometry.  A chain
that adds nothing of its own has a ratio of 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edge.accuracy import ellipse_from_covariance
from edge.bench.geo_flights import CAMERA, ORIGIN, START_NS
from edge.capture.telemetry import Telemetry
from edge.config import AccuracyConfig, AutopilotConfig, GroundConfig
from edge.geo.camera import Intrinsics, read_intrinsics
from edge.geo.locate import Locator
from edge.geo.mount import MountFile, MountKind, make_mount
from edge.geo.plane import LocalPlane
from edge.records import Detection, FloatArray, Frame, MonoNs, NoPose, Sighting
from sim.level import LevelErrors, level_messages

CELLS = ((50.0, 90.0), (50.0, 45.0), (100.0, 60.0), (100.0, 30.0), (100.0, 15.0))
DRAWS = 800
SPEED_MPS = 8.0
# The table's row "typical": one sigma.
GNSS_M, HEIGHT_M, TILT_DEG, HEADING_DEG, TIME_S = 1.5, 3.0, 0.7, 2.0, 0.05
NOTHING = 1e-6
ACCURACY = AccuracyConfig(
    gnss_h_m=GNSS_M,
    height_m=HEIGHT_M,
    tilt_deg=TILT_DEG,
    tilt_look_deg=NOTHING,
    heading_deg=HEADING_DEG,
    heading_look_deg=NOTHING,
    box_px=NOTHING,
    min_depression_deg=10.0,
    max_slant_m=5000.0,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One height and depression: three radii that hold half of the errors."""

    height_m: float
    depression_deg: float
    chain_cep_m: float  # of the places that the chain gives
    sampled_cep_m: float  # of the same draws by trigonometry
    predicted_cep_m: float  # by the chain's own covariance

    @property
    def ratio(self) -> float:
        """How much the chain adds."""
        return self.chain_cep_m / self.sampled_cep_m

    @property
    def predicted_ratio(self) -> float:
        """How right its covariance is."""
        return self.predicted_cep_m / self.sampled_cep_m


def cells(draws: int = DRAWS, seed: int = 5) -> list[Cell]:
    """Measure all cells of the table."""
    return [_cell(height_m, depression_deg, draws, seed) for height_m, depression_deg in CELLS]


def cep_ratio(measured: list[Cell]) -> float:
    """Return the ratio of the worst cell."""
    return max(cell.ratio for cell in measured)


def _cell(height_m: float, depression_deg: float, draws: int, seed: int) -> Cell:
    rng = np.random.default_rng([seed, round(height_m), round(depression_deg)])
    camera = read_intrinsics(CAMERA)
    locator = Locator(
        camera,
        make_mount(
            MountFile(
                id="cell",
                kind=MountKind.FIXED,
                body_from_camera_deg=(0.0, -depression_deg, 0.0),
            )
        ),
        LocalPlane(ORIGIN.lat_deg, ORIGIN.lon_deg),
        accuracy=ACCURACY,
        ground=GroundConfig(source="home"),
    )
    drawn = [_draw(rng) for _ in range(draws)]
    sightings = [_look(locator, camera, height_m, errors) for errors in drawn]
    truth = np.array([height_m / math.tan(math.radians(depression_deg)), 0.0])
    chain = np.array([(one.north_m, one.east_m) for one in sightings]) - truth
    sampled = np.array([_by_trigonometry(height_m, depression_deg, one) for one in drawn]) - truth
    first = sightings[0]
    pairs = zip(first.look_covariance, first.shared_covariance, strict=True)
    ellipse = ellipse_from_covariance(tuple(a + b for a, b in pairs))  # type: ignore[arg-type]
    return Cell(
        height_m,
        depression_deg,
        _cep_m(chain),
        _cep_m(sampled),
        _cep_of_ellipse_m(ellipse.a_m, ellipse.b_m),
    )


def _draw(rng: np.random.Generator) -> LevelErrors:
    east_m, north_m = rng.normal(0.0, GNSS_M, 2)
    roll, pitch = rng.normal(0.0, math.radians(TILT_DEG), 2)
    return LevelErrors(
        east_m=float(east_m),
        north_m=float(north_m),
        up_m=float(rng.normal(0.0, HEIGHT_M)),
        roll_rad=float(roll),
        pitch_rad=float(pitch),
        yaw_rad=float(rng.normal(0.0, math.radians(HEADING_DEG))),
        late_s=float(rng.normal(0.0, TIME_S)),
    )


def _look(locator: Locator, camera: Intrinsics, height_m: float, errors: LevelErrors) -> Sighting:
    """Look at what the picture's centre truly shows, northwards, from above the origin."""
    telemetry = Telemetry(AutopilotConfig())
    for time_s, message in level_messages(ORIGIN, height_m, SPEED_MPS, errors):
        telemetry.feed(message, START_NS + round(time_s * 1e9))
    pose = telemetry.at(START_NS)
    if isinstance(pose, NoPose):
        raise ValueError(f"the level flight has no pose: {pose.value}")
    u, v = camera.cx_px, camera.cy_px
    image = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    pose = replace(pose, sync_sigma_s=0.0)  # the table's time is all that is wrong with time
    frame = Frame(image, MonoNs(START_NS), "main", 0, TIME_S)
    water = Detection("floating_waste", 0.9, (u, v, u, v))
    (one,) = locator.locate([water], frame, pose)
    if not isinstance(one, Sighting):
        raise ValueError(f"a look {height_m} m high has no place: {one.reason.value}")
    return one


def _by_trigonometry(
    height_m: float, depression_deg: float, errors: LevelErrors
) -> tuple[float, float]:
    """Return (north, east) of where the erring instruments put the sight line's foot."""
    sight = math.radians(depression_deg) - errors.pitch_rad
    north, down = math.cos(sight), math.sin(sight)
    east = -math.sin(errors.roll_rad) * down
    down *= math.cos(errors.roll_rad)
    sin, cos = math.sin(errors.yaw_rad), math.cos(errors.yaw_rad)
    reach = (height_m + errors.up_m) / down
    return (
        reach * (north * cos - east * sin) + errors.north_m - SPEED_MPS * errors.late_s,
        reach * (north * sin + east * cos) + errors.east_m,
    )


def _cep_m(errors_m: FloatArray) -> float:
    return float(np.median(np.hypot(errors_m[:, 0], errors_m[:, 1])))


def _cep_of_ellipse_m(a_m: float, b_m: float) -> float:
    """Return the radius that holds half of a Gaussian whose 90 % ellipse this is, by sampling."""
    spread = np.random.default_rng(1).standard_normal((20_000, 2)) * (a_m, b_m)
    return _cep_m(spread) / math.sqrt(-2.0 * math.log(0.1))
