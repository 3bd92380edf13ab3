"""Evidence: a small picture of the finding, kept as a file, sent after the alert, droppable.

The crop is taken from the frame when a look becomes an incident's best; it is compressed only
when the rules ask for an alert.  Nothing outside the finding and its margin leaves the frame, and
what lies in the margin is never kept in finer detail than `privacy.max_detail_cm` on the ground:
whoever walks past a finding stays a blot.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np

from edge.config_delivery import EvidenceConfig, PrivacyConfig
from edge.errors import MailboxError
from edge.protocol.original import CHUNK_BYTES, with_original
from edge.records import Frame, ImageArray, Sighting, UtcNs, Xyxy
from edge.report.originals import Originals

log = logging.getLogger(__name__)

_MARGIN: Final = 0.25  # of the box's longer side, so that the surroundings can be recognised
_MARGIN_MIN_PX: Final = 8
_LONGEST_PX: Final = 320  # 320 × 240 at quality 60 is 8.2 to 8.7 kB (measured)
_CROPS_MAX: Final = 64  # 64 × 320 × 320 × 3 bytes: 20 MB at most
_QUALITIES: Final = (60, 45, 30, 20, 10)
_SHRINK: Final = 0.7
_SHORTEST_PX: Final = 16

# From a part of the frame (left, top, right, bottom, px) to metres on the ground a pixel, the
# finest that are found in it; None where that is not known.
FinestDetail: TypeAlias = Callable[[Xyxy], "float | None"]


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """A picture on the disk."""

    path: Path
    hash8: bytes  # first 8 bytes of its SHA-256: what the alert carries


class NoEvidence(Enum):
    """Why there is no picture."""

    DISABLED = "disabled"
    NO_CROP = "no_crop"  # no look was offered, or its crop had to make way
    WITHHELD = "withheld"  # how fine the ground is seen is not known, so nobody is protected
    TOO_LARGE = "too_large"  # does not fit evidence.max_kb however small
    DISK = "disk"  # could not be written


class EvidenceKeeper:
    """Crops of the best looks, and the folder of pictures with its budget.

    Args:
        config: Folder and budget of its own.
        room_bytes: From what the pictures take to what the disk has for them; see `Ballast`.

    Raises:
        MailboxError: The folder cannot be made or read.
    """

    def __init__(
        self,
        config: EvidenceConfig,
        room_bytes: Callable[[int], int] = lambda _: sys.maxsize,
        privacy: PrivacyConfig | None = None,
        utc_ns: Callable[[], UtcNs | None] = lambda: None,
    ) -> None:
        self._config = config
        self._room_bytes = room_bytes
        kept = PrivacyConfig() if privacy is None or not config.enabled else privacy
        self.originals = Originals(kept, config.folder / "originals", utc_ns)
        max_cm = (privacy or PrivacyConfig()).max_detail_cm
        self._max_detail_m = None if max_cm is None else max_cm / 100.0
        self._crops: OrderedDict[bytes, ImageArray] = OrderedDict()
        self._files: OrderedDict[Path, int] = OrderedDict()  # oldest first: size in bytes
        self._stored: dict[bytes, EvidenceRef] = {}  # of crops that have not changed since
        self._withheld: set[bytes] = set()  # whose best look may not be shown
        self.crops_dropped = self.crops_withheld = 0
        self.files_dropped = 0
        if config.enabled:
            self._files.update(_scan(config.folder))

    def offer(
        self, incident_id: bytes, frame: Frame, sighting: Sighting, finest_m_per_px: FinestDetail
    ) -> bool:
        """Keep the crop of what the caller takes for the incident's best look so far.

        Args:
            incident_id: Whose look it is.
            frame: That shows it; it is never kept.
            sighting: Where in the frame.
            finest_m_per_px: Says of a part of the frame how fine it shows the ground.

        Returns:
            Whether it was kept.
        """
        if not self._config.enabled:
            return False
        crop = self._protected_crop(frame, sighting.detection.box_xyxy_px, finest_m_per_px)
        self._stored.pop(incident_id, None)
        if not isinstance(crop, np.ndarray):
            self._crops.pop(incident_id, None)  # an older one shows what is no longer the best
            if crop is NoEvidence.WITHHELD:
                self._withheld.add(incident_id)
                self.crops_withheld += 1
            return False
        self._withheld.discard(incident_id)
        self.originals.offer(incident_id, frame)
        self._crops[incident_id] = crop
        self._crops.move_to_end(incident_id)
        if len(self._crops) > _CROPS_MAX:
            dropped, _ = self._crops.popitem(last=False)
            self._stored.pop(dropped, None)
            self.crops_dropped += 1
        return True

    def _protected_crop(
        self, frame: Frame, box_xyxy_px: Xyxy, finest_m_per_px: FinestDetail
    ) -> ImageArray | NoEvidence:
        part = part_with_margin(frame.image_bgr, box_xyxy_px)
        if part is None:
            return NoEvidence.NO_CROP
        left, top, right, bottom = part
        crop = frame.image_bgr[top:bottom, left:right]
        if self._max_detail_m is not None:
            finest = finest_m_per_px((left, top, right - 1, bottom - 1))
            if finest is None or not finest > 0.0:
                return NoEvidence.WITHHELD
            inside = _moved(box_xyxy_px, -left, -top)
            crop = coarse_around(crop, inside, self._max_detail_m / finest)
        return _scaled(crop, _LONGEST_PX)

    def store(self, incident_id: bytes) -> EvidenceRef | NoEvidence:
        """Compress the incident's crop into the folder; the oldest pictures make way."""
        if not self._config.enabled:
            return NoEvidence.DISABLED
        crop = self._crops.get(incident_id)
        if crop is None:
            is_withheld = incident_id in self._withheld
            return NoEvidence.WITHHELD if is_withheld else NoEvidence.NO_CROP
        known = self._stored.get(incident_id)
        if known is not None and self._has(known.path):  # `update` and `end` of the same look
            return known
        stored = self._compressed(incident_id, crop)
        if isinstance(stored, EvidenceRef):
            self._stored[incident_id] = stored
        return stored

    def _compressed(self, incident_id: bytes, crop: ImageArray) -> EvidenceRef | NoEvidence:
        picture = webp_within(crop, int(self._config.max_kb * 1024) - CHUNK_BYTES)
        if picture is None:
            return NoEvidence.TOO_LARGE
        original = self.originals.hold(incident_id)
        if original is not None:
            picture = with_original(picture, original)
        digest = hashlib.sha256(picture).digest()[:8]
        path = self._config.folder / f"{incident_id.hex()}-{digest.hex()}.webp"
        if self._has(path):
            return EvidenceRef(path, digest)
        try:
            if not self._make_room(len(picture)):
                return NoEvidence.DISK
            _write_whole(path, picture)
        except OSError as error:
            log.warning("evidence_not_written path=%s error=%s", path, error)
            return NoEvidence.DISK
        self._files[path] = len(picture)
        self._files.move_to_end(path)
        return EvidenceRef(path, digest)

    def _has(self, path: Path) -> bool:
        """Say whether a picture is still there: on a full disk the mailbox takes its room."""
        return path in self._files and path.exists()

    def _make_room(self, size_bytes: int) -> bool:
        """Let the oldest make way; False where the disk has no room even so."""
        taken = sum(self._files.values())
        budget = min(int(self._config.max_mb * 1_000_000), self._room_bytes(taken))
        total = taken + size_bytes
        while self._files and total > budget:
            oldest, freed = self._files.popitem(last=False)
            oldest.unlink(missing_ok=True)
            total -= freed
            self.files_dropped += 1
        return total <= budget


def part_with_margin(image_bgr: ImageArray, box_xyxy_px: Xyxy) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom of the box and a margin around it; None: outside."""
    height, width = image_bgr.shape[:2]
    x0, y0, x1, y1 = box_xyxy_px
    margin = max(_MARGIN * max(x1 - x0, y1 - y0), _MARGIN_MIN_PX)
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    right, bottom = min(width, int(x1 + margin) + 1), min(height, int(y1 + margin) + 1)
    return None if right <= left or bottom <= top else (left, top, right, bottom)


def coarse_around(image_bgr: ImageArray, box_xyxy_px: Xyxy, factor: float) -> ImageArray:
    """Average everything outside a box over cells of at least `factor` px a side.

    The cells' means are all that is left: nothing can be worked out from them that is finer.
    """
    if factor <= 1.0:
        return image_bgr
    height, width = image_bgr.shape[:2]
    cells = max(1, int(width / factor)), max(1, int(height / factor))
    means = cv2.resize(image_bgr, cells, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR)
    x0, y0, x1, y1 = box_xyxy_px
    rows = slice(max(0, math.ceil(y0)), max(0, math.floor(y1) + 1))
    columns = slice(max(0, math.ceil(x0)), max(0, math.floor(x1) + 1))
    coarse[rows, columns] = image_bgr[rows, columns]
    return np.asarray(coarse, dtype=np.uint8)


def _moved(box_xyxy_px: Xyxy, right_px: float, down_px: float) -> Xyxy:
    x0, y0, x1, y1 = box_xyxy_px
    return x0 + right_px, y0 + down_px, x1 + right_px, y1 + down_px


def webp_within(image_bgr: ImageArray, max_bytes: int) -> bytes | None:
    """Compress to at most so many bytes: first by quality, then by size; None if neither helps."""
    longest_px = max(image_bgr.shape[:2])
    while longest_px >= _SHORTEST_PX:
        scaled = _scaled(image_bgr, longest_px)
        for quality in _QUALITIES:
            is_done, data = cv2.imencode(".webp", scaled, [cv2.IMWRITE_WEBP_QUALITY, quality])
            if is_done and data.size <= max_bytes:
                return data.tobytes()
        longest_px = int(longest_px * _SHRINK)
    return None


def _scaled(image_bgr: ImageArray, longest_px: int) -> ImageArray:
    height, width = image_bgr.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale == 1.0:
        return np.array(image_bgr, dtype=np.uint8)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _scan(folder: Path) -> list[tuple[Path, int]]:
    """List the pictures of earlier flights, oldest first."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [(path, path.stat()) for path in folder.glob("*.webp")]
    except OSError as error:
        raise MailboxError(f"evidence.folder {folder}: {error}; check owner and mode") from error
    found.sort(key=lambda item: item[1].st_mtime_ns)
    return [(path, stat.st_size) for path, stat in found]


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        partial.unlink(missing_ok=True)  # half a picture is room taken on a full disk
        raise
    partial.replace(path)
