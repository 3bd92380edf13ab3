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
from edge.patrol.covariance import eigenvalues
from edge.patrol.geojson import EnuFromGeodetic, PolygonFeature, read_polygons
from edge.patrol.told import size_of
from edge.records import Incident

log = logging.getLogger(__name__)

# What is larger than its permit by more than this has grown beyond it.  A box is drawn around a
# thing as high as it is: on the demo flight sheds came out at up to 1.38 of their outline's side.
GROWN_SHARE = 1.4
GROWN_M = 2.0
# What is smaller than this share of it, and by more than a metre, is another thing: an addition on
# its roof, a lean-to at its wall.
LEAST_SHARE = 0.5
LEAST_M = -1.0


@dataclass(frozen=True, slots=True)
class Permit:
    """One entry: what may stand where, and how large."""

    id: str
    label: str  # "" covers anything
    outline: Any  # shapely
    size_m: float  # the longer side of the permitted outline

    def is_for(self, incident: Incident) -> bool:
        """Tell whether the incident may be what was permitted, by its kind and size."""
        least_m = LEAST_SHARE * self.size_m + LEAST_M
        most_m = GROWN_SHARE * self.size_m + GROWN_M
        return self.label in {"", incident.label} and least_m <= size_of(incident) <= most_m


class Register:
    """The permits that are valid today."""

    def __init__(self, permits: Sequence[Permit] = (), margin_m: float = 0.0) -> None:
        """Take the permits.

        Args:
            permits: In the register's order.
            margin_m: How far beyond its outline a permit reaches, beside the error of a place.
        """
        self._permits, self._margin_m = tuple(permits), margin_m
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
            margin_m: How far beyond its outline a permit reaches, beside the error of a place.
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
        return cls([_permit(path, feature) for feature in valid], margin_m)

    def permit_of(self, incident: Incident) -> Permit | None:
        """Return the permit that covers an incident, None where none does.

        A place is only as good as its error: one sigma of it, along its worst axis, is added to
        the margin, or a shed would be reported because it seems to stand beside itself.
        """
        if not self._permits:  # mostly
            return None
        place = shapely.Point(incident.east_m, incident.north_m)
        sigma_m = math.sqrt(eigenvalues(incident.covariance)[0])
        near = self._tree.query(place, predicate="dwithin", distance=self._margin_m + sigma_m)
        permits = (self._permits[i] for i in sorted(near.tolist()))
        return next((permit for permit in permits if permit.is_for(incident)), None)


def _permit(path: Path, feature: PolygonFeature) -> Permit:
    label = feature.properties.get("label") or ""
    if not isinstance(label, str):
        raise ConfigError(
            f"{path}: feature {feature.index}: label is {label!r}; give a detector's label, or "
            f"leave it out to permit anything there"
        )
    return Permit(
        id=str(feature.properties.get("id", feature.index)),
        label=label,
        outline=feature.geometry,
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
        end = datetime.combine(
            date.fromisoformat(str(until)[:10]) + timedelta(days=1), time(), timezone.utc
        )
    except OverflowError:  # the last day there is, which people write for "for ever"
        return True
    except ValueError as error:
        raise ConfigError(
            f"{path}: feature {feature.index}: valid_until is {until!r}; write YYYY-MM-DD, or null "
            f"for no end"
        ) from error
    return utc_ns is None or utc_ns < end.timestamp() * 1e9
