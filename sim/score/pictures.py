"""Pictures of what went wrong, cut from a flight's frames, small enough for one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge.capture.recording import RecordedFlight
from edge.records import Frame, ImageArray, Xyxy
from sim.score.findings import Finding

PICTURE_WH_PX = (420, 300)  # on the page
MAX_PICTURE_BYTES = 36_000
_AROUND = 1.1  # of the box's longer side, shown on each side of it
_MIN_SIDE_PX = 200.0  # of what is cut out
_QUALITIES = (80, 60, 40, 20)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.40
_STRIP = 0.35  # how much of the picture is left under a word
_NAMED_SHARE = 0.5  # a box gets its name when this much of it is in the picture

# BGR.  What it is about, what the detector saw, what is truly there.
ABOUT, SEEN, TRUE, HARMLESS = (40, 40, 235), (0, 210, 255), (90, 200, 60), (200, 200, 200)


def add_pictures(flight: RecordedFlight, findings: Sequence[Finding], most: int) -> list[Finding]:
    """Return findings with pictures, the first `most` of those that a frame shows.

    Args:
        flight: Freshly opened; its video is read once more.
        findings: In order of importance.
        most: Bound on the number of pictures.
    """
    with_frame = [n for n, one in enumerate(findings) if one.frame is not None][:most]
    wanted: dict[tuple[str, int], list[int]] = {}
    for n in with_frame:
        wanted.setdefault((findings[n].camera_id, findings[n].frame or 0), []).append(n)
    out = list(findings)
    for event in flight.events(lambda _message, _time: None):
        if not wanted:
            break
        if isinstance(event, Frame):
            for n in wanted.pop((event.camera_id, event.index), ()):
                out[n] = replace(out[n], picture_webp=picture_of(event.image_bgr, out[n]))
    return out


def picture_of(image_bgr: ImageArray, finding: Finding) -> bytes | None:
    """Cut a finding's surroundings out of its frame, draw what was seen and what is there."""
    if finding.box_xyxy_px is None:
        return None
    cut = Cut.around(image_bgr, finding.box_xyxy_px)
    for true in finding.true:
        if _is_near(true.box_xyxy_px, finding.box_xyxy_px):
            cut.draw(true.box_xyxy_px, TRUE if true.is_violation else HARMLESS, true.name)
    for seen in finding.seen:
        cut.draw(seen.box_xyxy_px, SEEN, f"{seen.label} {seen.score:.2f}")
    cut.draw(finding.box_xyxy_px, ABOUT, "")
    return cut.webp()


def _is_near(a: Xyxy, b: Xyxy) -> bool:
    """Whether two boxes lie near each other: within the longer side of the second."""
    reach = max(b[2] - b[0], b[3] - b[1])
    return (
        a[0] <= b[2] + reach
        and a[2] >= b[0] - reach
        and a[1] <= b[3] + reach
        and a[3] >= b[1] - reach
    )


@dataclass(slots=True)
class Cut:
    """A part of a frame, scaled to the page, on which boxes of the frame can be drawn."""

    image_bgr: ImageArray
    left_px: float
    top_px: float
    scale: float

    @classmethod
    def whole(cls, image_bgr: ImageArray) -> Cut:
        """Take a picture as it is."""
        return cls(image_bgr, 0.0, 0.0, 1.0)

    @classmethod
    def around(cls, image_bgr: ImageArray, box_xyxy_px: Xyxy) -> Cut:
        """Cut out what lies around a box.

        Args:
            image_bgr: Shape (H, W, 3), uint8.
            box_xyxy_px: What is in the middle, as far as the frame's edge lets it.
        """
        height, width = image_bgr.shape[:2]
        x0, y0, x1, y1 = box_xyxy_px
        side = max(x1 - x0, y1 - y0)
        aspect = PICTURE_WH_PX[0] / PICTURE_WH_PX[1]
        high = max(_MIN_SIDE_PX, (y1 - y0) + 2 * _AROUND * side, ((x1 - x0) + side) / aspect)
        high = min(high, float(height), width / aspect)
        wide = min(high * aspect, float(width))
        left = round(float(np.clip((x0 + x1 - wide) / 2, 0, width - wide)))
        top = round(float(np.clip((y0 + y1 - high) / 2, 0, height - high)))
        part = image_bgr[top : top + max(1, round(high)), left : left + max(1, round(wide))]
        scale = PICTURE_WH_PX[0] / part.shape[1]
        size = (PICTURE_WH_PX[0], max(1, round(part.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = cv2.resize(part, size, interpolation=how).astype(np.uint8)
        return cls(small, float(left), float(top), scale)

    def draw(self, box_xyxy_px: Xyxy, colour: tuple[int, int, int], text: str) -> None:
        """Draw a box of the whole frame with a word."""
        x0, y0, x1, y1 = (
            round((value - origin) * self.scale)
            for value, origin in zip(
                box_xyxy_px, (self.left_px, self.top_px, self.left_px, self.top_px), strict=True
            )
        )
        height, width = self.image_bgr.shape[:2]
        shown_px = (min(x1, width) - max(x0, 0)) * (min(y1, height) - max(y0, 0))
        if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
            return
        cv2.rectangle(self.image_bgr, (x0, y0), (x1, y1), colour, 2 if colour == ABOUT else 1)
        if text and shown_px >= _NAMED_SHARE * (x1 - x0) * (y1 - y0):
            self._write(text, (x0, y0 - 4 if colour == SEEN else y1 + 13), colour)

    def _write(self, text: str, at_px: tuple[int, int], colour: tuple[int, int, int]) -> None:
        """Write a word on a dark strip, moved into the picture where it would leave it."""
        height, width = self.image_bgr.shape[:2]
        (long_px, high_px), low_px = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
        x = int(np.clip(at_px[0], 1, max(1, width - long_px - 2)))
        y = int(np.clip(at_px[1], high_px + 1, max(high_px + 1, height - low_px - 1)))
        strip = self.image_bgr[
            max(0, y - high_px - 1) : y + low_px, max(0, x - 1) : x + long_px + 1
        ]
        strip[:] = (strip * _STRIP).astype(np.uint8)
        cv2.putText(self.image_bgr, text, (x, y), _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)

    def webp(self) -> bytes:
        """Return it as WebP of at most `MAX_PICTURE_BYTES`, as good as fits."""
        for quality in _QUALITIES[:-1]:
            if len(data := as_webp(self.image_bgr, quality)) <= MAX_PICTURE_BYTES:
                return data
        image = self.image_bgr
        while len(data := as_webp(image, _QUALITIES[-1])) > MAX_PICTURE_BYTES:
            half = (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
            image = cv2.resize(image, half, interpolation=cv2.INTER_AREA).astype(np.uint8)
        return data


def as_webp(image_bgr: ImageArray, quality: int) -> bytes:
    """Compress a picture."""
    _, data = cv2.imencode(".webp", image_bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return bytes(data.tobytes())
