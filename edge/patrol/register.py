"""The register of what stands with leave: an incident that a permit covers is no violation.

Whether a shed is unlawful cannot be seen in a picture.  A detector is right to find the permitted
one, too; the register says which of them the rules pass over.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import shapely

from edge.errors import ConfigError
from edge.patrol.geojson import EnuFromGeodetic, PolygonFeature, read_polygons
from edge.patrol.told import size_of
from edge.records import Incident

log = logging.getLogger(__name__)

# What is larger than its permit by more than this has grown beyond it.  A box is drawn around a
# thing as high as it is: on the demo flight sheds came out at up to 1.38 of their outline's side.
GROWN_SHARE = 1.4
GROWN_M = 2.0


@dataclass(frozen=True, slots=True)
class Permit:
    """One entry: what may stand where, and how large."""

    id: str
    label: str  # "" covers anything
    outline: Any  # shapely, the permit's polygon grown by the margin
    size_m: float  # the longer side of the permitted outline

    def covers(self, incident: Incident) -> bool:
        """Tell whether the incident is what was permitted: kind, place and size."""
        return (
            self.label in {"", incident.label}
            and size_of(incident) <= GROWN_SHARE * self.size_m + GROWN_M
            and bool(shapely.intersects_xy(self.outline, incident.east_m, incident.north_m))
        )


class Register:
    """The permits that are valid today."""

    def __init__(self, permits: Sequence[Permit] = ()) -> None:
        self._permits = tuple(permits)
        self._tree = shapely.STRtree([permit.outline for permit in self._permits])

    def __len__(self) -> int:
        return len(self._permits)

    @classmethod
    def read(
        cls,
        path: Path | None,
        enu_from_geodetic: EnuFromGeodetic,
        margin_m: float,
        utc_ns: int | None,
    ) -> Register:
        """Read a register: GeoJSON polygons with the properties `id`, `label`, `valid_until`.

        Args:
            path: None: nothing is permitted.
            enu_from_geodetic: Latitude and longitude in degrees to east and north in metres.
            margin_m: How far beyond its outline a permit reaches, for the error of places.
            utc_ns: Now.  Permits that have run out by then are left out; None, where no clock is
                known, leaves none out.

        Raises:
            ConfigError: The file is not usable; the message names file and feature.
        """
        if path is None:
            return cls()
        features = read_polygons(path, enu_from_geodetic, may_be_empty=True)
        valid = [one for one in features if _is_valid(path, one, utc_ns)]
        if len(valid) < len(features):
            log.info("permits_expired file=%s count=%d", path, len(features) - len(valid))
        return cls([_permit(path, feature, margin_m) for feature in valid])

    def permit_of(self, incident: Incident) -> Permit | None:
        """Return the permit that covers an incident, None where none does."""
        if not self._permits:  # mostly
            return None
        place = shapely.Point(incident.east_m, incident.north_m)
        near = (self._permits[i] for i in self._tree.query(place).tolist())
        return next((permit for permit in near if permit.covers(incident)), None)


def _permit(path: Path, feature: PolygonFeature, margin_m: float) -> Permit:
    label = feature.properties.get("label") or ""
    if not isinstance(label, str):
        raise ConfigError(
            f"{path}: feature {feature.index}: label is {label!r}; give a detector's label, or "
            f"leave it out to permit anything there"
        )
    outline = feature.geometry.buffer(margin_m)
    shapely.prepare(outline)
    return Permit(
        id=str(feature.properties.get("id", feature.index)),
        label=label,
        outline=outline,
        size_m=_longer_side_m(feature.geometry),
    )


def _longer_side_m(outline: Any) -> float:
    a, b, c = shapely.get_coordinates(shapely.oriented_envelope(outline))[:3].tolist()
    return max(math.dist(a, b), math.dist(b, c))


def _is_valid(path: Path, feature: PolygonFeature, utc_ns: int | None) -> bool:
    """Tell whether a permit has not run out; its last day counts whole, in UTC."""
    until = feature.properties.get("valid_until")
    if until is None:
        return True
    try:
        last_day = date.fromisoformat(str(until)[:10])
    except ValueError as error:
        raise ConfigError(
            f"{path}: feature {feature.index}: valid_until is {until!r}; write YYYY-MM-DD, or null "
            f"for no end"
        ) from error
    end = datetime.combine(last_day + timedelta(days=1), time(), timezone.utc)
    return utc_ns is None or utc_ns < end.timestamp() * 1e9
