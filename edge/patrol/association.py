"""Which look is of which incident: one to one, by place or by common ground."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lap
import numpy as np

from edge.config import AssociationConfig
from edge.patrol.covariance import add, determinant, eigenvalues, inverse, quadratic
from edge.patrol.dossier import MAX_STRAYS, NO_SHIFT, PART_SHARE, STRAY_GATES, Dossier, Shift
from edge.patrol.extent import overlap
from edge.patrol.look import Look
from edge.records import Covariance2, Sighting

# Things this many times larger than the gate associate by common ground.
LARGE_GATES = 2.0
# Common ground from which two large things are one; over the union of two whole boxes of one
# pass, over the smaller one where a box is cut or the pass is another.
MIN_UNION_SHARE = 0.3
MIN_SMALLER_SHARE = 0.4
# Two boxes of one frame with this much common ground are one thing found twice.
TWIN_UNION_SHARE = 0.4
# A second box within an incident's gate is a part of it from this much common ground on, with the
# box that is of the incident: a smoke plume or a strip of earth is often found in two halves.
GATED_PART_SHARE = 0.5
TOO_DEAR = 1e3  # the cost of a pair outside the gate; far above any within
# Leaving a look and an incident unpaired costs as much as a pair at the gate.  Were it dearer, a
# false box nearby could push a good pair apart, only for both to get something.
UNPAIRED = 1.0
AT_MOST = 0.999  # what a pair within the gate costs, however vague: it is better than none


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a look fits an incident."""

    cost: float  # 0: perfect; only of pairs within the gate
    distance_sigma: float  # of the centres; 0 where they were not what decided


def fit(
    look: Look, dossier: Dossier, mono_ns: int, config: AssociationConfig, shift: Shift = NO_SHIFT
) -> Fit | None:
    """Compare a look with an incident; None when it cannot be of it."""
    sighting = look.sighting
    expected = dossier.expected(look, mono_ns, shift)
    covariance = add(expected.covariance, look.gate_noise)
    east_m = sighting.east_m - expected.east_m
    north_m = sighting.north_m - expected.north_m
    if sighting.is_cut:
        east_m, north_m = _without_hidden(east_m, north_m, sighting, dossier)
    by_centre = gated(east_m, north_m, covariance, config)
    sigma = math.sqrt(quadratic(inverse(covariance), east_m, north_m))
    by_ground = _ground_cost(look, dossier, mono_ns, gate_radius_m(covariance, config))
    if by_ground < min(by_centre, 1.0):
        return Fit(by_ground, sigma if by_centre < 1.0 else 0.0)
    if by_centre >= 1.0:
        return None
    return Fit(by_centre + _vagueness(covariance, look.gate_noise, config), sigma)


def _vagueness(
    covariance: Covariance2, look_noise: Covariance2, config: AssociationConfig
) -> float:
    """Return what a pair costs because its incident is hardly known, in units of the gate.

    It is the other half of the Gaussian likelihood: by distance over error alone, an incident
    seen once would take looks from a well known one that lies nearer.
    """
    growth = determinant(covariance) / determinant(look_noise)
    return math.log(max(growth, 1.0)) / config.gate_sigma**2


def _without_hidden(
    east_m: float, north_m: float, sighting: Sighting, dossier: Dossier
) -> tuple[float, float]:
    """Shorten the way between centres by what the frame's edge hides of the thing."""
    distance_m = math.hypot(east_m, north_m)
    hidden_m = max(dossier.size_m - min(sighting.width_m, sighting.depth_m), 0.0) / 2.0
    if distance_m <= hidden_m:
        return (0.0, 0.0)
    kept = 1.0 - hidden_m / distance_m
    return (east_m * kept, north_m * kept)


def is_stray(look: Look, dossier: Dossier, mono_ns: int, config: AssociationConfig) -> bool:
    """Tell whether a look just outside the gate is a bad one at an incident of the same pass."""
    sighting = look.sighting
    if dossier.strays >= MAX_STRAYS or not dossier.is_same_pass(sighting.camera_id, mono_ns):
        return False
    expected = dossier.expected(look, mono_ns)
    east_m = sighting.east_m - expected.east_m
    north_m = sighting.north_m - expected.north_m
    covariance = add(expected.covariance, look.gate_noise)
    return gated(east_m, north_m, covariance, config) < STRAY_GATES**2


def gated(
    east_m: float, north_m: float, covariance: Covariance2, config: AssociationConfig
) -> float:
    """Return the squared distance over the squared gate: below 1 is inside.

    The gate is the ellipse of `gate_sigma`, and everything within `min_gate_m`.
    """
    nearest2 = (east_m * east_m + north_m * north_m) / config.min_gate_m**2
    sigmas2 = quadratic(inverse(covariance), east_m, north_m) / config.gate_sigma**2
    return min(nearest2, sigmas2)


def gate_radius_m(covariance: Covariance2, config: AssociationConfig) -> float:
    """Return the gate's largest radius."""
    return max(config.gate_sigma * math.sqrt(eigenvalues(covariance)[0]), config.min_gate_m)


def _ground_cost(look: Look, dossier: Dossier, mono_ns: int, gate_m: float) -> float:
    sighting = look.sighting
    if max(sighting.size_m, dossier.size_m) < LARGE_GATES * gate_m and not sighting.is_cut:
        return math.inf
    over_union, over_smaller = overlap(look.extent, dossier.extent)
    are_whole = not sighting.is_cut and bool(dossier.sizes)
    if are_whole and dossier.is_same_pass(sighting.camera_id, mono_ns):
        return (1.0 - over_union) / (1.0 - MIN_UNION_SHARE)
    # What lies within another passes the gate, but what is of one size fits better.
    return 1.0 - over_union if over_smaller > MIN_SMALLER_SHARE else math.inf


def are_twins(a: Look, b: Look, part_share: float = PART_SHARE) -> bool:
    """Tell whether two boxes of one frame are one thing found twice, or a part of it.

    Args:
        a: One box.
        b: The other.
        part_share: Common ground over the smaller box from which that is a part.
    """
    if a.sighting.camera_id != b.sighting.camera_id:
        return False
    over_union, over_smaller = overlap(a.extent, b.extent)
    return over_union >= TWIN_UNION_SHARE or over_smaller >= part_share


def assign(fits: Sequence[Mapping[bytes, Fit]]) -> list[bytes | None]:
    """Choose for each look its incident, none twice, at the smallest sum of costs.

    Whoever fits only badly is still paired, unless that would push a better pair apart.

    Args:
        fits: For each look, the incidents within its gate.

    Returns:
        For each look the incident's id, or None where it gets none.
    """
    favourites = [min(row, key=lambda key: (row[key].cost, key)) if row else None for row in fits]
    wanted = [key for key in favourites if key is not None]
    if len(set(wanted)) == len(wanted):  # no two want the same: that is the optimum
        return favourites
    columns = sorted({key for row in fits for key in row})
    costs = np.full((len(fits), len(columns)), TOO_DEAR)
    for i, row in enumerate(fits):
        for key, found in row.items():
            costs[i, columns.index(key)] = min(found.cost, AT_MOST)
    _, column_of_row, _ = lap.lapjv(costs, extend_cost=True, cost_limit=UNPAIRED)
    return [columns[j] if j >= 0 else None for j in column_of_row.tolist()]
