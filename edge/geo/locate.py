"""From boxes in a picture to places on the ground, each with its error: the step's public face."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.config import AccuracyConfig, GroundConfig
from edge.errors import CalibrationError
from edge.geo.boxes import (
    AROUND_BOTTOM,
    AROUND_CENTRE,
    CENTRE,
    CORNERS,
    Boxes,
    boxes_of,
)
from edge.geo.budget import budget_of, covariance2, shared_errors
from edge.geo.camera import Intrinsics
from edge.geo.extent import Extents, corner_heights_m, extents_of, limit_height, width_by_slope
from edge.geo.footprint import footprint_of
from edge.geo.mount import Mount
from edge.geo.place import Anchors, Place, anchors_of, upper_parts
from edge.geo.plane import LocalPlane
from edge.geo.terrain import TerrainTile
from edge.geo.view import Rig, Slopes, View
from edge.records import Detection, FloatArray, Frame, NoGeotag, Pose, Sighting, Xyxy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unlocated:
    """A detection that has no place, and why."""

    detection: Detection
    reason: NoGeotag


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where N boxes' rays met the ground; rows are NaN where they did not."""

    detections: Sequence[Detection]
    boxes: Boxes
    anchors: Anchors
    directions: FloatArray  # (N, 3), unit, NED, of the anchors
    in_lens: NDArray[np.bool_]  # (N,)
    slant_m: FloatArray  # (N,)
    ground_amsl_m: FloatArray  # (N,), where the rays meet it
    east_north_m: FloatArray  # (N, 2), in the plane
    slopes: Slopes
    is_smooth: NDArray[np.bool_]  # (N,): the slopes are finite
    gsd_m_per_px: FloatArray  # (N,)
    extents: Extents


@dataclass(frozen=True, slots=True)
class _Errors:
    """How uncertain N places are."""

    look: FloatArray  # (N, 2, 2)
    shared: FloatArray  # (N, 2, 2)
    by_source: FloatArray  # (N, 2, len(SharedSource)): what `shared` is made of
    sync_sigma_s: float


class Locator:
    """Locates what one camera sees.

    `places` says by label which point of a box counts (`places_of_labels` gathers the rules');
    a label that is missing is judged by how it stands and how steeply it is seen.
    """

    def __init__(  # noqa: PLR0913  (what is optional goes by name)
        self,
        intrinsics: Intrinsics,
        mount: Mount,
        plane: LocalPlane,
        *,
        accuracy: AccuracyConfig | None = None,
        ground: GroundConfig | None = None,
        terrain: TerrainTile | None = None,
        places: Mapping[str, Place] | None = None,
    ) -> None:
        self._rig = Rig(
            intrinsics=intrinsics,
            mount=mount,
            plane=plane,
            ground=ground or GroundConfig(),
            accuracy=accuracy or AccuracyConfig(),
            terrain=terrain,
        )
        self.places: Mapping[str, Place] = places or {}  # may be exchanged between two frames
        self._scaled = intrinsics  # of the last frame size
        self._refused_size = (0, 0)

    def locate(
        self, detections: Sequence[Detection], frame: Frame, pose: Pose
    ) -> list[Sighting | Unlocated]:
        """Give each detection its place, or the reason why it has none; the order is kept."""
        if not detections:
            return []
        view = self._view((frame.width_px, frame.height_px), pose)
        if isinstance(view, NoGeotag):
            return [Unlocated(detection, view) for detection in detections]
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # NaN: met no ground
            cuts = self._cut(detections, view)
            errors = self._errors(cuts, view, frame, pose)
        located: list[Sighting | Unlocated] = []
        for i, is_upper in enumerate(upper_parts(detections, cuts.anchors.is_base.tolist())):
            reason = self._reason(cuts, i)
            if reason is not None:
                located.append(Unlocated(detections[i], reason))
                continue
            sighting = self._sighting(cuts, view, i, frame, errors)
            located.append(replace(sighting, is_upper_part=True) if is_upper else sighting)
        return located

    def footprint(
        self, frame_size: tuple[int, int], pose: Pose
    ) -> list[tuple[float, float]] | NoGeotag:
        """Return the ground that a frame of (width, height) px shows, as (lat_deg, lon_deg).

        Four corners in picture order; those that look above the horizon, or farther than
        `max_slant_m`, are clipped to that range.
        """
        view = self._view(frame_size, pose)
        if isinstance(view, NoGeotag):
            return view
        corners = footprint_of(view, self._rig.accuracy.max_slant_m)
        if isinstance(corners, NoGeotag):
            return corners
        places_deg = self._rig.plane.geodetics_from_enu(corners).tolist()
        return [(lat_deg, lon_deg) for lat_deg, lon_deg in places_deg]

    def gsd(
        self, pixel_uv: tuple[float, float], frame_size: tuple[int, int], pose: Pose
    ) -> float | NoGeotag:
        """Return metres per pixel at a pixel: the root of the ground area that it covers."""
        view = self._view(frame_size, pose)
        if isinstance(view, NoGeotag):
            return view
        u, v = pixel_uv
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            cuts = self._cut([Detection("", 0.0, (u, v, u, v))], view)
        reason = self._reason(cuts, 0)
        return reason if reason is not None else float(cuts.gsd_m_per_px[0])

    def finest_gsd(self, part: Xyxy, frame_size: tuple[int, int], pose: Pose) -> float | NoGeotag:
        """Return the finest metres per pixel, in any direction, in a part of a frame.

        Args:
            part: Left, top, right, bottom, px.
            frame_size: Width, height, px.
            pose: Of the frame.

        Returns:
            Of its corners and the middles of its sides, those that look at the ground; the
            reason why it is not known where none does.
        """
        view = self._view(frame_size, pose)
        if isinstance(view, NoGeotag):
            return view
        left, top, right, bottom = part
        middle_u, middle_v = (left + right) / 2.0, (top + bottom) / 2.0
        points = [
            Detection("", 0.0, (u, v, u, v))
            for u in (left, middle_u, right)
            for v in (top, middle_v, bottom)
        ]
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            cuts = self._cut(points, view)
        reasons = [self._reason(cuts, i) for i in range(len(points))]
        seen = [i for i, reason in enumerate(reasons) if reason is None]
        if not seen:
            return reasons[0] or NoGeotag.NO_TERRAIN
        # The smaller singular value: in an oblique view, across the line of sight.
        return float(np.linalg.svd(cuts.slopes.pixel[seen], compute_uv=False).min())

    def _view(self, frame_size: tuple[int, int], pose: Pose) -> View | NoGeotag:
        if frame_size != (self._scaled.width_px, self._scaled.height_px):
            try:
                self._scaled = self._rig.intrinsics.scaled_to(*frame_size)
                log.info("frame_size calibration=%s", self._rig.intrinsics.fit_to(*frame_size))
            except CalibrationError as error:
                if frame_size != self._refused_size:  # once: the count of FRAME_SIZE tells the rest
                    log.error("frame_size_unexplained reason=%s", error)
                self._refused_size = frame_size
                return NoGeotag.FRAME_SIZE
        return self._rig.view(self._scaled, pose)

    def _cut(self, detections: Sequence[Detection], view: View) -> _Cuts:
        """Cut every ray of N boxes with the ground, in arrays."""
        camera = view.intrinsics
        boxes = boxes_of(detections, camera.width_px, camera.height_px)
        rays, in_lens = _directions(view, boxes.points_uv)
        depressions_deg = np.degrees(np.arcsin(np.minimum(rays[CENTRE, :, 2], 1.0)))
        anchors = anchors_of(
            [detection.label for detection in detections], self.places, depressions_deg
        )
        top_m = limit_height(view, rays[CORNERS], anchors.top_m)
        heights_m = np.where(anchors.is_base, 0.0, top_m / 2.0)
        anchors = replace(anchors, top_m=top_m)

        chosen = anchors.is_base.astype(int), np.arange(len(detections))  # CENTRE or BOTTOM
        directions = rays[chosen]
        aside = np.where(anchors.is_base[:, None], rays[AROUND_BOTTOM], rays[AROUND_CENTRE])
        # The places and the corners in one batch.
        origins = view.origins(
            np.concatenate([heights_m[None], corner_heights_m(rays[CORNERS], anchors)])
        )
        all_ne_m, all_slant_m = view.cut(origins, np.concatenate([directions[None], rays[CORNERS]]))
        north_east_m, slant_m = all_ne_m[0], all_slant_m[0]
        down_m = origins[0, :, 2] + slant_m * directions[:, 2]
        east_north_m = view.enu_from_ned(north_east_m)
        slopes = view.slopes(directions, aside, heights_m, slant_m)
        is_seen = all_slant_m[1:] <= self._rig.accuracy.max_slant_m  # also refuses NaN
        return _Cuts(
            detections=detections,
            boxes=boxes,
            anchors=anchors,
            directions=directions,
            in_lens=in_lens[chosen] & ~np.isnan(aside[:, :, 0]).any(axis=0),
            slant_m=slant_m,
            ground_amsl_m=view.ground.ground_amsl_m + view.ground.agl_m - down_m,
            east_north_m=east_north_m,
            slopes=slopes,
            is_smooth=slopes.is_finite,
            gsd_m_per_px=slopes.gsd_m_per_px,
            extents=extents_of(view, all_ne_m[1:], is_seen, anchors),
        )

    def _errors(self, cuts: _Cuts, view: View, frame: Frame, pose: Pose) -> _Errors:
        """Add up the error budget for every box."""
        accuracy = self._rig.accuracy
        budget = budget_of(view, self._rig.mount, accuracy, frame, pose)
        look, by_source = budget.errors(
            cuts.slopes,
            cuts.boxes.sigma_px(accuracy.box_px, cuts.anchors.lean, cuts.anchors.ragged),
            cuts.anchors.height_sigma_m,
        )
        shared = by_source @ by_source.transpose(0, 2, 1)
        return _Errors(look, shared, by_source, budget.shared_time_s)

    def _reason(self, cuts: _Cuts, i: int) -> NoGeotag | None:
        """Say why box i has no place, or None where it has one."""
        if not cuts.in_lens[i]:
            return NoGeotag.OUTSIDE_LENS
        slant_m = float(cuts.slant_m[i])
        if not cuts.directions[i, 2] > 0.0 and not math.isfinite(slant_m):
            return NoGeotag.RAY_ABOVE_HORIZON
        if math.isnan(slant_m):
            return NoGeotag.NO_TERRAIN
        if slant_m > self._rig.accuracy.max_slant_m:
            return NoGeotag.TOO_FAR
        # So near to the horizon that a step of the slopes is above it.
        return None if cuts.is_smooth[i] else NoGeotag.RAY_ABOVE_HORIZON

    def _sighting(self, cuts: _Cuts, view: View, i: int, frame: Frame, errors: _Errors) -> Sighting:
        """Build the noun for box i."""
        north, east, down = cuts.directions[i].tolist()
        depression_deg = math.degrees(math.asin(min(1.0, down)))
        east_m, north_m = cuts.east_north_m[i].tolist()
        outline: tuple[tuple[float, float], ...] = ()
        if cuts.extents.has_outline[i]:
            width_m, depth_m = float(cuts.extents.width_m[i]), float(cuts.extents.depth_m[i])
            outline = tuple(map(tuple, cuts.extents.outline_enu_m[i].tolist()))
        else:
            width_m = width_by_slope(cuts.slopes.pixel[i], float(cuts.boxes.size_wh_px[i, 0]))
            depth_m = width_m  # nothing better is known of it
        return Sighting(
            detection=cuts.detections[i],
            camera_id=frame.camera_id,
            frame_index=frame.index,
            captured_mono_ns=frame.captured_mono_ns,
            east_m=east_m,
            north_m=north_m,
            ground_amsl_m=float(cuts.ground_amsl_m[i]),
            look_covariance=covariance2(errors.look[i]),
            shared_covariance=covariance2(errors.shared[i]),
            shared_errors_m=shared_errors(errors.by_source[i]),
            outline_enu_m=outline,
            width_m=width_m,
            depth_m=depth_m,
            gsd_m_per_px=float(cuts.gsd_m_per_px[i]),
            bearing_deg=math.degrees(math.atan2(east, north)) % 360.0,
            depression_deg=depression_deg,
            ground_source=view.ground.source,
            is_cut=bool(cuts.boxes.is_cut_wh[i, 0] or cuts.boxes.is_cut_wh[i, 1]),
            is_low_grazing=depression_deg < self._rig.accuracy.min_depression_deg,
            sync_sigma_s=errors.sync_sigma_s,
        )


def _directions(view: View, pixels_uv: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Turn pixels, shape (K, N, 2), into unit NED rays, (K, N, 3), and whether the lens has them.

    Rays outside the lens are NaN, so that nothing downstream can take them for a place.
    """
    rays, in_lens = view.intrinsics.rays_from_pixels(pixels_uv.reshape(-1, 2))
    rays[~in_lens] = np.nan
    shape = pixels_uv.shape[:2]
    return view.ned_from_rays(rays).reshape(*shape, 3), in_lens.reshape(shape)
