"""The table of fuzz targets: every reader of bytes from outside."""

from __future__ import annotations

from tests.fuzz import desks, files, flights, wire
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    one.name: one for one in (*wire.TARGETS, *desks.TARGETS, *flights.TARGETS, *files.TARGETS)
}
