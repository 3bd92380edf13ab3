"""How long what looks err by in common stays the same."""

from __future__ import annotations

import math

from edge.config import AccuracyConfig
from edge.records import SharedSource

# Which way a plume leans, and so where in its foot the source seems to be, turns with the wind.
LEAN_LASTS_S = 60.0


class Memory:
    """The correlation of each source with itself some time ago."""

    def __init__(self, accuracy: AccuracyConfig) -> None:
        lasts_s = {
            SharedSource.GNSS_NORTH: accuracy.gnss_lasts_s,
            SharedSource.GNSS_EAST: accuracy.gnss_lasts_s,
            SharedSource.HEIGHT: accuracy.height_lasts_s,
            SharedSource.HEADING: accuracy.heading_lasts_s,
            SharedSource.TILT_PITCH: accuracy.tilt_lasts_s,
            SharedSource.TILT_ROLL: accuracy.tilt_lasts_s,
            SharedSource.GIMBAL_PITCH: accuracy.gimbal_lasts_s,
            SharedSource.GIMBAL_ROLL: accuracy.gimbal_lasts_s,
            SharedSource.LEAN: LEAN_LASTS_S,
        }
        # A boresight, a latency and the height of a thing are what they are.
        self._rates_per_ns = [-1e-9 / lasts_s.get(source, math.inf) for source in SharedSource]
        self._since_ns = 0
        self._kept = [1.0] * len(SharedSource)

    def kept(self, since_ns: int) -> list[float]:
        """Return, by source, the correlation with what it was so long ago."""
        if since_ns != self._since_ns:  # the things of one frame were mostly seen in the last one
            self._since_ns = since_ns
            self._kept = [math.exp(rate * since_ns) for rate in self._rates_per_ns]
        return self._kept
