"""Makes looks at things whose true place is known, with errors drawn as the records claim."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.config import AssociationConfig
from edge.patrol.fusion import Columns
from edge.patrol.incidents import Incidents
from edge.records import (
    Covariance2,
    Detection,
    GroundSource,
    MonoNs,
    SharedSource,
    Sighting,
)

SECOND_NS = 1_000_000_000
FRAME_NS = SECOND_NS // 5


def new_ids() -> Callable[[], bytes]:
    """Return a maker of 16-byte ids that count up."""
    counter = itertools.count(1)
    return lambda: next(counter).to_bytes(16, "big")


def incidents(**association: float) -> Incidents:
    return Incidents(AssociationConfig.model_validate(association), new_ids())


def square(
    east_m: float, north_m: float, width_m: float, depth_m: float
) -> tuple[tuple[float, float], ...]:
    w, d = width_m / 2, depth_m / 2
    return tuple((east_m + x, north_m + y) for x, y in ((-w, -d), (w, -d), (w, d), (-w, d)))


def by_source(**errors_m: tuple[float, float]) -> Columns:
    """Return columns by the names of their sources; (east, north)."""
    rows = [errors_m.get(source.name.lower(), (0.0, 0.0)) for source in SharedSource]
    return tuple(east for east, _ in rows), tuple(north for _, north in rows)


def staying(bias: Covariance2) -> Columns:
    """Return columns of a bias that does not turn with the view."""
    east_m = math.sqrt(bias[0])
    slope = bias[1] / east_m if east_m else 0.0
    rest_m = math.sqrt(max(bias[2] - slope**2, 0.0))
    return by_source(gnss_east=(east_m, slope), gnss_north=(0.0, rest_m))


def sighting(
    east_m: float,
    north_m: float,
    *,
    label: str = "structure",
    score: float = 0.8,
    size_m: float | tuple[float, float] = 3.0,
    look: float | Covariance2 = 0.4,
    shared: float | Covariance2 = 2.0,
    bearing_deg: float = 0.0,
    depression_deg: float = 60.0,
    is_cut: bool = False,
    camera_id: str = "main",
    mono_ns: int = 0,
    box_px: float = 60.0,
    columns: Columns | None = None,
) -> Sighting:
    """Return a sighting; `look` and `shared` are one sigma in metres, or covariances.

    `columns` says by source what `shared` is made of; without it, it stays as GNSS errors do.
    """
    width_m, depth_m = size_m if isinstance(size_m, tuple) else (size_m, size_m)
    bias = shared if isinstance(shared, tuple) else (shared**2, 0.0, shared**2)
    return Sighting(
        detection=Detection(label, score, (100.0, 100.0, 100.0 + box_px, 100.0 + box_px)),
        camera_id=camera_id,
        frame_index=0,
        captured_mono_ns=MonoNs(mono_ns),
        east_m=east_m,
        north_m=north_m,
        ground_amsl_m=12.0,
        look_covariance=look if isinstance(look, tuple) else (look**2, 0.0, look**2),
        shared_covariance=bias,
        shared_errors_m=columns or staying(bias),
        outline_enu_m=square(east_m, north_m, width_m, depth_m),
        width_m=width_m,
        depth_m=depth_m,
        gsd_m_per_px=0.05,
        bearing_deg=bearing_deg,
        depression_deg=depression_deg,
        ground_source=GroundSource.HOME,
        is_cut=is_cut,
    )


@dataclass(frozen=True)
class Errors:
    """One-sigma errors of a chain: what stays, what turns with the line of sight, what is noise."""

    gnss_m: float = 1.5
    along_m: float = 2.5  # height and tilt
    across_m: float = 0.0  # heading
    noise_m: float = 0.4

    def shared(self, bearing_deg: float) -> Covariance2:
        matrix = self._turn(bearing_deg)
        excess = np.diag([self.along_m**2, self.across_m**2])
        total = matrix @ excess @ matrix.T + self.gnss_m**2 * np.eye(2)
        return (float(total[0, 0]), float(total[0, 1]), float(total[1, 1]))

    def columns(self, bearing_deg: float) -> Columns:
        """The same by source."""
        turned = self._turn(bearing_deg)
        (east_a, north_a), (east_c, north_c) = (turned * (self.along_m, self.across_m)).T
        return by_source(
            gnss_east=(self.gnss_m, 0.0),
            gnss_north=(0.0, self.gnss_m),
            height=(float(east_a), float(north_a)),
            heading=(float(east_c), float(north_c)),
        )

    @staticmethod
    def _turn(bearing_deg: float) -> np.ndarray:
        s, c = math.sin(math.radians(bearing_deg)), math.cos(math.radians(bearing_deg))
        return np.array([[s, c], [c, -s]])  # columns: along, across, in east and north


class PassBias:
    """One pass's draw of the bias; looks of the pass add their own noise to it."""

    def __init__(self, errors: Errors, rng: np.random.Generator) -> None:
        self._errors = errors
        self._rng = rng
        self._gnss = rng.normal(0.0, errors.gnss_m, 2)
        self._view = rng.normal(0.0, 1.0, 2) * (errors.along_m, errors.across_m)

    def look_at(
        self,
        east_m: float,
        north_m: float,
        *,
        bearing_deg: float = 0.0,
        size_m: float = 3.0,
        label: str = "structure",
        score: float = 0.8,
    ) -> Sighting:
        """Return a look at the thing at a true place."""
        shift = (
            self._gnss
            + self._errors._turn(bearing_deg) @ self._view
            + self._rng.normal(0.0, self._errors.noise_m, 2)
        )
        return sighting(
            east_m + float(shift[0]),
            north_m + float(shift[1]),
            look=self._errors.noise_m,
            shared=self._errors.shared(bearing_deg),
            columns=self._errors.columns(bearing_deg),
            bearing_deg=bearing_deg,
            size_m=size_m,
            label=label,
            score=score,
        )


def holds(covariance: Covariance2, east_m: float, north_m: float) -> bool:
    """Tell whether the 90 % ellipse around the origin holds a point."""
    matrix = np.array([[covariance[0], covariance[1]], [covariance[1], covariance[2]]])
    point = np.array([east_m, north_m])
    return float(point @ np.linalg.solve(matrix, point)) <= -2.0 * math.log(0.1)
