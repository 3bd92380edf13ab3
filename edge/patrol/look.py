"""One sighting, made ready to be compared with incidents."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edge.patrol.covariance import add, eigenvalues, isotropic
from edge.patrol.extent import Extent, extent_of
from edge.records import Covariance2, Sighting

# A detector draws the edges of the same thing anew in each frame, by about this share of its
# size; the locator knows pixels only, so the error of large things is added here.
BOX_JITTER = 0.05
# The middle of a cut box may be this share of the visible size away from the thing's: one sigma
# when places are averaged, the outer limit when a look is compared with an incident.
CUT_SHIFT = 0.5
CUT_GATE_SHIFT = CUT_SHIFT / 3.0
# Errors below a centimetre are not believed; they would also make matrices singular.
MIN_SIGMA_M = 0.01

# How much less a picture tells an inspector, for the choice of the evidence.
CUT_QUALITY = 0.25
LOW_GRAZING_QUALITY = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """A sighting with what association derives from it once."""

    sighting: Sighting
    noise: Covariance2  # what differs between looks, cut and box jitter included, m²
    gate_noise: Covariance2  # the same for gating, where a cut box must not match all around it
    extent: Extent = field(compare=False)
    whole_sigma_m: float  # the largest axis of noise and bias together
    bias_sigma_m: float  # the largest axis of the bias alone


def look_at(sighting: Sighting) -> Look:
    """Prepare a sighting."""
    noise = _noise(sighting, CUT_SHIFT if sighting.is_cut else BOX_JITTER)
    gate_noise = _noise(sighting, CUT_GATE_SHIFT) if sighting.is_cut else noise
    whole_m = math.sqrt(eigenvalues(add(gate_noise, sighting.shared_covariance))[0])
    bias_m = math.sqrt(eigenvalues(sighting.shared_covariance)[0])
    return Look(sighting, noise, gate_noise, extent_of(sighting), whole_m, bias_m)


def _noise(sighting: Sighting, share: float) -> Covariance2:
    jitter_m = math.hypot(share * sighting.size_m, MIN_SIGMA_M)
    return add(sighting.look_covariance, isotropic(jitter_m))


def is_usable(sighting: Sighting) -> bool:
    """Tell whether all numbers are finite and the errors are not negative."""
    numbers = (
        sighting.east_m,
        sighting.north_m,
        sighting.ground_amsl_m,
        sighting.width_m,
        sighting.depth_m,
        sighting.bearing_deg,
        *sighting.look_covariance,
        *sighting.shared_covariance,
        *(value for corner in sighting.outline_enu_m for value in corner),
    )
    variances = (*sighting.look_covariance[::2], *sighting.shared_covariance[::2])
    return all(map(math.isfinite, numbers)) and min(variances) >= 0.0


def order_key(sighting: Sighting) -> tuple[object, ...]:
    """Sort key under which the order of a frame's sightings does not matter; best score first."""
    detection = sighting.detection
    return (
        detection.label,
        -detection.score,
        sighting.east_m,
        sighting.north_m,
        detection.box_xyxy_px,
        sighting.width_m,
        sighting.depth_m,
    )


def picture_quality(sighting: Sighting) -> float:
    """Say how well a look would serve as evidence: score × size in px, less when cut or flat."""
    x0, y0, x1, y1 = sighting.detection.box_xyxy_px
    quality = sighting.detection.score * math.sqrt(max((x1 - x0) * (y1 - y0), 0.0))
    if sighting.is_cut:
        quality *= CUT_QUALITY
    if sighting.is_low_grazing:
        quality *= LOW_GRAZING_QUALITY
    return quality
