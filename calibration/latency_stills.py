"""Turns between stills: seconds apart, so that features are matched and not followed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from edge.geo.camera import Intrinsics
from edge.geo.flow import MIN_POINTS, GreyArray, Guess, Unseen
from edge.geo.mount import Mount
from edge.geo.turning import TurnWatcher
from edge.records import FloatArray

MAX_STILLS_APART_S = 1.6  # farther apart, turn rates between them are anybody's guess
# A handful of stills tells no better; a figure that halves the error is worth having.
MAX_STILLS_SIGMA_S = 0.05
_WIDTH_PX = 820
_N_FEATURES, _BETTER_THAN_NEXT = 2500, 0.75  # Lowe's ratio
_OUTLIER_PX = 3.0
# Roofs and trees stand up from the ground, and the camera has gone a good part of its height.
_MAX_SCATTER_PX = 4.0
_DARK_GREYS = 0.5  # equalising brings out what is nearly black


class MatchedFeatures:
    """Matches SIFT features of equalised pictures; a plane's homography throws out the false."""

    def __init__(self) -> None:
        self._last: tuple[GreyArray, Any] | None = None  # each still is looked at twice

    def _features(self, grey: GreyArray) -> Any:
        """Return places and descriptors."""
        if self._last is None or self._last[0] is not grey:
            equalised = cv2.createCLAHE(4.0, (8, 8)).apply(grey)
            sift = cv2.SIFT_create(_N_FEATURES, contrastThreshold=0.02)  # type: ignore[attr-defined]
            self._last = grey, sift.detectAndCompute(equalised, None)
        return self._last[1]

    def __call__(
        self, first: GreyArray, second: GreyArray, guess: Guess
    ) -> tuple[FloatArray, FloatArray] | Unseen:
        """Return pixels of the same things in both pictures; needs no guess."""
        places_a, looks_a = self._features(first)
        places_b, looks_b = self._features(second)
        if min(len(places_a), len(places_b)) < MIN_POINTS:
            return Unseen.NO_FEATURES
        found = cv2.BFMatcher().knnMatch(looks_a, looks_b, k=2)
        pairs = [
            best for best, next_ in found if best.distance < _BETTER_THAN_NEXT * next_.distance
        ]
        if len(pairs) < MIN_POINTS:
            return Unseen.NO_FEATURES
        a = np.array([places_a[pair.queryIdx].pt for pair in pairs])
        b = np.array([places_b[pair.trainIdx].pt for pair in pairs])
        _, is_true = cv2.findHomography(a, b, cv2.RANSAC, _OUTLIER_PX)
        kept = is_true.ravel() > 0
        return a[kept], b[kept]


def stills_watcher(intrinsics: Intrinsics, mount: Mount) -> TurnWatcher:
    """Return what sees turns between stills."""
    return TurnWatcher(
        intrinsics, mount, _WIDTH_PX, MatchedFeatures(), _DARK_GREYS, _MAX_SCATTER_PX
    )
