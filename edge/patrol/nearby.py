"""Which incidents are near: squares of ground, each with the incidents that touch it."""

from __future__ import annotations

import math
from typing import TypeAlias

from edge.patrol.extent import Bounds

CELL_M = 25.0
# A thing that would touch more squares than this (a glance along the horizon) is near everything.
MAX_CELLS = 400

Span: TypeAlias = tuple[int, int, int, int]  # first and last column, first and last row


def _span(bounds: Bounds) -> Span | None:
    floor = math.floor
    west, south = floor(bounds[0] / CELL_M), floor(bounds[1] / CELL_M)
    east, north = floor(bounds[2] / CELL_M), floor(bounds[3] / CELL_M)
    if (east - west + 1) * (north - south + 1) > MAX_CELLS:
        return None
    return (west, east, south, north)


class Nearby:
    """Finds the keys whose bounds may touch given bounds, at a cost that the total hardly moves.

    It answers with too many rather than too few: the caller measures.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], set[bytes]] = {}
        self._everywhere: set[bytes] = set()
        self._spans: dict[bytes, Span | None] = {}

    def __len__(self) -> int:
        return len(self._spans)

    def put(self, key: bytes, bounds: Bounds) -> None:
        """Insert a key, or move it to new bounds."""
        span = _span(bounds)
        if key in self._spans:
            if self._spans[key] == span:
                return
            self.remove(key)
        self._spans[key] = span
        if span is None:
            self._everywhere.add(key)
            return
        for cell in _cells_of(span):
            self._cells.setdefault(cell, set()).add(key)

    def remove(self, key: bytes) -> None:
        """Take a key out; one that is not there changes nothing."""
        if key not in self._spans:
            return
        span = self._spans.pop(key)
        if span is None:
            self._everywhere.discard(key)
            return
        for cell in _cells_of(span):
            keys = self._cells[cell]
            keys.discard(key)
            if not keys:
                del self._cells[cell]

    def near(self, bounds: Bounds) -> set[bytes]:
        """Return the keys whose bounds may touch `bounds`."""
        span = _span(bounds)
        if span is None:
            return set(self._spans)
        found = set(self._everywhere)
        for cell in _cells_of(span):
            if keys := self._cells.get(cell):
                found |= keys
        return found


def _cells_of(span: Span) -> list[tuple[int, int]]:
    west, east, south, north = span
    return [(x, y) for x in range(west, east + 1) for y in range(south, north + 1)]
