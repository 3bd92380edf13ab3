"""Memory for live pictures that is used again: no large block is asked for in flight.

A picture of 720p is 2.8 MB.  Asked for and freed thirty times a second, such blocks leave holes
among the small ones in the C library's heaps: a flight of two hours grew by 8 MB an hour.  Given
back to the system each time they cost page faults, a millisecond a picture (both measured).
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from edge.records import ImageArray

_KEPT_MAX: Final = 32


class PictureMemory:
    """Arrays of one size, each given out again once nobody else holds it, nor a view of it.

    For one thread that takes; others may hold and let go as they like.
    """

    def __init__(self) -> None:
        self._kept: list[ImageArray] = []

    def take(self, height: int, row_bytes: int) -> ImageArray:
        """Return an array of shape (height, row_bytes), uint8; what it holds is anything."""
        shape = (height, row_bytes)
        if self._kept and self._kept[0].shape != shape:
            self._kept.clear()
        for number in range(len(self._kept)):
            if self._is_free(number):
                return self._kept[number]
        array: ImageArray = np.empty(shape, np.uint8)
        if len(self._kept) < _KEPT_MAX:  # beyond, somebody collects pictures: they are theirs
            self._kept.append(array)
        return array

    def _is_free(self, number: int) -> bool:
        return sys.getrefcount(self._kept[number]) <= _HELD_BY_LIST


def _held_by_list() -> int:
    """Count the references to what only a list holds, as this Python counts them."""
    only = [np.empty(1, np.uint8)]
    return sys.getrefcount(only[0])


_HELD_BY_LIST: Final = _held_by_list()
