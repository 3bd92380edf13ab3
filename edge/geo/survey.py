"""Places pixels of posed pictures on the ground: for surveyors, and for stills of any origin.

Height, terrain and ground share one datum, whichever it is.  The camera's attitude is its own:
yaw from true north, pitch from the horizon (−90° looks straight down), roll about the optical axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pymap3d
from numpy.typing import NDArray

from edge.accuracy import ce90_m, ellipse_from_covariance
from edge.config import AccuracyConfig
from edge.csv_file import Columns, Row, read_rows
from edge.errors import TableError
from edge.geo.budget import covariance2
from edge.geo.camera import Intrinsics
from edge.geo.ground import Ground, LevelSurface, Surface
from edge.geo.mount import MOUNT_FROM_CAMERA
from edge.geo.rotations import matrix_from_euler
from edge.geo.terrain import TerrainTile, metres_per_degree
from edge.geo.terrain_surface import MAX_SLANT_M, TerrainSurface
from edge.geo.view import PIXEL_STEPS_UV, Slopes, View
from edge.records import FloatArray, GroundSource, NoGeotag

_EAST_NORTH_FROM_NORTH_EAST: FloatArray = np.array([[0.0, 1.0], [1.0, 0.0]])
MOST_LAT_DEG = 85.0  # of what is cut out of a model by a box of degrees
PIXEL_SIGMA_PX = 0.5  # of a pixel that somebody has pointed at
LARGEST = 1e7  # metres, degrees, pixels: beyond is a slip of the keyboard
_POSE_COLUMNS = Columns(
    text=("image",),
    number=("lat_deg", "lon_deg", "height_m", "yaw_deg", "pitch_deg", "roll_deg"),
    optional=(
        "lat_sigma_m", "lon_sigma_m", "height_sigma_m",
        "yaw_sigma_deg", "pitch_sigma_deg", "roll_sigma_deg",
    ),
)  # fmt: skip
_PIXEL_COLUMNS = Columns(text=("image",), number=("u_px", "v_px"))


@dataclass(frozen=True, slots=True)
class Sigmas:
    """One sigma of a picture's pose: metres north, east, up; radians of yaw, pitch, roll."""

    position_m: tuple[float, float, float]
    attitude_rad: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PosedPicture:
    """Where a camera was and how it was turned."""

    image: str
    lat_deg: float
    lon_deg: float
    height_m: float  # in the datum of the ground
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    sigmas: Sigmas

    def ned_from_camera(self) -> FloatArray:
        """Return the attitude as a matrix, shape (3, 3)."""
        angles = (self.roll_deg, self.pitch_deg, self.yaw_deg)
        return matrix_from_euler(*map(math.radians, angles)) @ MOUNT_FROM_CAMERA

    def turning_axes(self) -> FloatArray:
        """Return what yaw, pitch and roll turn about, unit rows, shape (3, 3), NED."""
        yaw_rad = math.radians(self.yaw_deg)
        right = (-math.sin(yaw_rad), math.cos(yaw_rad), 0.0)
        return np.array([(0.0, 0.0, 1.0), right, self.ned_from_camera()[:, 2]])


@dataclass(frozen=True, slots=True)
class Pixel:
    """A point of a picture."""

    image: str
    u_px: float
    v_px: float


@dataclass(frozen=True, slots=True)
class PlacedPixel:
    """A pixel's place on the ground, or why it has none."""

    pixel: Pixel
    lat_deg: float = math.nan
    lon_deg: float = math.nan
    ground_m: float = math.nan  # in the datum of the pose
    ce90_m: float = math.nan
    reason: NoGeotag | None = None


def read_poses(path: Path, accuracy: AccuracyConfig | None = None) -> dict[str, PosedPicture]:
    """Read `poses.csv`; sigmas that it does not give are the config's.

    Raises:
        TableError: It is not usable; the message names line and column.
    """
    poses: dict[str, PosedPicture] = {}
    for row in read_rows(path, _POSE_COLUMNS):
        posed = _posed(row, accuracy or AccuracyConfig())
        if posed.image in poses:
            raise TableError(f"{row.where}: image {posed.image!r} has a pose already; keep one")
        poses[posed.image] = posed
    return poses


def read_pixels(path: Path) -> list[Pixel]:
    """Read `pixels.csv`.

    Raises:
        TableError: It is not usable; the message names line and column.
    """
    pixels = []
    for row in read_rows(path, _PIXEL_COLUMNS):
        _refuse_absurd(row)
        pixels.append(Pixel(row.text["image"], row.number["u_px"], row.number["v_px"]))
    return pixels


def place_pixels(
    pixels: Sequence[Pixel],
    poses: Mapping[str, PosedPicture],
    camera: Intrinsics,
    ground: TerrainTile | float,
) -> Iterator[PlacedPixel]:
    """Place pixels, in their order.

    Args:
        pixels: Of the pictures, in pixels of the picture that the calibration says is flown.
        poses: By image; a pixel of an image without one is NO_POSE.
        camera: Of all the pictures.
        ground: A tile, or one height for all, in the poses' datum.
    """
    for image, of_image in groupby(pixels, key=lambda pixel: pixel.image):
        chosen = list(of_image)
        posed = poses.get(image)
        if posed is None:
            yield from (PlacedPixel(pixel, reason=NoGeotag.NO_POSE) for pixel in chosen)
        else:
            yield from _place(chosen, posed, camera, ground)


def around_of(poses: Iterable[PosedPicture]) -> tuple[float, float, float] | None:
    """Return latitude, longitude and kilometres around them that all pictures can look at.

    None: there are none, or they lie too near to a pole for such a box.
    """
    lats, lons = np.array([(one.lat_deg, one.lon_deg) for one in poses]).reshape(-1, 2).T
    if not len(lats) or np.abs(lats).max() > MOST_LAT_DEG:
        return None
    east = (lons - lons[0] + 180.0) % 360.0 - 180.0  # of the first, the date line or none between
    lat, lon = (lats.min() + lats.max()) / 2, lons[0] + (east.min() + east.max()) / 2
    north_m, east_m = metres_per_degree(float(np.abs(lats).min()))
    apart_m = math.hypot(np.ptp(lats) * north_m, np.ptp(east) * east_m)
    return float(lat), float((lon + 180.0) % 360.0 - 180.0), (apart_m / 2 + MAX_SLANT_M) / 1e3


def _refuse_absurd(row: Row) -> None:
    """Refuse numbers that no picture has, before they overflow."""
    for name, value in row.number.items():
        if abs(value) > LARGEST:
            raise TableError(f"{row.where}: {name} is {value}; it lies within ±{LARGEST:g}")


def _posed(row: Row, accuracy: AccuracyConfig) -> PosedPicture:
    _refuse_absurd(row)
    value = dict(row.number)
    for name, limit in (("lat_deg", 90.0), ("lon_deg", 360.0), ("pitch_deg", 90.0)):
        if abs(value[name]) > limit:
            raise TableError(f"{row.where}: {name} is {value[name]}; it lies within ±{limit:g}")
    negative = next((n for n, v in value.items() if "_sigma" in n and v < 0.0), None)
    if negative is not None:
        raise TableError(f"{row.where}: {negative} is {value[negative]}; a sigma is not negative")
    tilt, heading = accuracy.tilt_deg, accuracy.heading_deg
    return PosedPicture(
        image=row.text["image"],
        **{name: value[name] for name in _POSE_COLUMNS.number},
        sigmas=Sigmas(
            (
                value.get("lat_sigma_m", accuracy.gnss_h_m),
                value.get("lon_sigma_m", accuracy.gnss_h_m),
                value.get("height_sigma_m", accuracy.height_m),
            ),
            (
                math.radians(value.get("yaw_sigma_deg", heading)),
                math.radians(value.get("pitch_sigma_deg", tilt)),
                math.radians(value.get("roll_sigma_deg", tilt)),
            ),
        ),
    )


def _place(
    pixels: Sequence[Pixel], posed: PosedPicture, camera: Intrinsics, ground: TerrainTile | float
) -> list[PlacedPixel]:
    """Place the pixels of one picture."""
    beneath = _ground(posed, ground)
    if beneath.agl_m <= 0.0:  # over a void it is NaN: what the rays meet may still be known
        return [PlacedPixel(pixel, reason=NoGeotag.BELOW_GROUND) for pixel in pixels]
    view = _view(posed, camera, beneath)
    uv = np.array([(pixel.u_px, pixel.v_px) for pixel in pixels])
    around = np.concatenate([uv[None], uv + PIXEL_STEPS_UV[:, None]])  # (5, N, 2)
    rays, in_lens = camera.rays_from_pixels(around.reshape(-1, 2))
    rays[~in_lens] = np.nan
    directions = view.ned_from_rays(rays).reshape(5, -1, 3)
    heights_m = np.zeros(len(pixels))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        north_east_m, slant_m = view.cut(view.origins(heights_m), directions[0])
        slopes = view.slopes(directions[0], directions[1:], heights_m, slant_m)
    covariances = _covariances(slopes, posed, camera)
    down_m = slant_m * directions[0, :, 2]
    places = pymap3d.ned2geodetic(
        *north_east_m.T, down_m, posed.lat_deg, posed.lon_deg, posed.height_m
    )
    is_inside = _is_inside(uv, camera) & in_lens.reshape(5, -1).all(axis=0)
    out = []
    for i, pixel in enumerate(pixels):
        reason = _reason(bool(is_inside[i]), directions[0, i], slant_m[i], ground)
        if reason is None and not np.isfinite(covariances[i]).all():
            reason = NoGeotag.RAY_ABOVE_HORIZON  # so near to it that an error reaches it
        if reason is not None:
            out.append(PlacedPixel(pixel, reason=reason))
            continue
        lat_deg, lon_deg, ground_m = (float(values[i]) for values in places)
        if math.isnan(lat_deg):  # pymap3d has no latitude for the Earth's axis
            lat_deg, lon_deg, ground_m = posed.lat_deg, posed.lon_deg, posed.height_m - down_m[i]
        ellipse = ellipse_from_covariance(covariance2(covariances[i]))
        out.append(PlacedPixel(pixel, lat_deg, lon_deg, ground_m, ce90_m(ellipse)))
    return out


def _covariances(slopes: Slopes, posed: PosedPicture, camera: Intrinsics) -> FloatArray:
    """Add up what pose and pixel leave uncertain, shape (N, 2, 2), east and north."""
    columns = np.concatenate(
        [
            slopes.shift * np.array(posed.sigmas.position_m),
            slopes.rotation @ (posed.turning_axes().T * np.array(posed.sigmas.attitude_rad)),
            slopes.pixel * max(camera.rms_px, PIXEL_SIGMA_PX),
        ],
        axis=2,
    )
    covariances: FloatArray = columns @ columns.transpose(0, 2, 1)
    return covariances


def _ground(posed: PosedPicture, ground: TerrainTile | float) -> Ground:
    """Return the ground as the camera of a picture has it below it."""
    surface: Surface
    if isinstance(ground, TerrainTile):
        surface = TerrainSurface(ground, posed.lat_deg, posed.lon_deg, posed.height_m)
        agl_m = surface.clearance_m()
    else:
        agl_m = posed.height_m - ground
        surface = LevelSurface(agl_m)
    sigma_m = posed.sigmas.position_m[2]
    return Ground(agl_m, posed.height_m - agl_m, GroundSource.TERRAIN_TILE, sigma_m, surface)


def _view(posed: PosedPicture, camera: Intrinsics, ground: Ground) -> View:
    return View(
        intrinsics=camera,
        ned_from_camera=posed.ned_from_camera(),
        ned_from_body=np.eye(3),
        camera_ned_m=np.zeros(3),
        ground=ground,
        vehicle_enu_m=np.zeros(2),
        enu_from_ne=_EAST_NORTH_FROM_NORTH_EAST,
    )


def _is_inside(uv: FloatArray, camera: Intrinsics) -> NDArray[np.bool_]:
    """Tell which pixels lie in the picture, its outermost half pixels included."""
    size = np.array([camera.width_px, camera.height_px])
    return np.asarray(((uv >= -0.5) & (uv <= size - 0.5)).all(axis=1))


def _reason(
    is_inside: bool, direction: FloatArray, slant_m: float, ground: TerrainTile | float
) -> NoGeotag | None:
    if not is_inside:
        return NoGeotag.OUTSIDE_LENS
    if not math.isfinite(slant_m) and not direction[2] > 0.0:
        return NoGeotag.RAY_ABOVE_HORIZON
    if math.isnan(slant_m):  # a level ground ends where it falls away from the ray
        is_level = isinstance(ground, float)
        return NoGeotag.RAY_ABOVE_HORIZON if is_level else NoGeotag.NO_TERRAIN
    return NoGeotag.TOO_FAR if slant_m > MAX_SLANT_M else None
