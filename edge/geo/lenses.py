"""The lens models by their names in a calibration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType

from edge.geo.lens import BrownLens, Lens, RationalLens
from edge.geo.lens_fisheye import FisheyeLens

LENSES: Mapping[str, type[BrownLens | FisheyeLens]] = MappingProxyType(
    {"brown": BrownLens, "rational": RationalLens, "fisheye": FisheyeLens}
)


def coefficient_names(model: str) -> tuple[str, ...]:
    """Return the names of a model's coefficients in the order of a calibration file."""
    return tuple(field.name for field in fields(LENSES[model]))


def lens_of(model: str, coefficients: Sequence[float]) -> Lens:
    """Make the lens of a model's name; no coefficients: one with none of them."""
    return LENSES[model](*coefficients)
