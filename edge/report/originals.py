"""Untouched originals of what was alerted, held aboard for a time, sealed to the desk's key.

What is sent protects bystanders; what is held stands as evidence.  An original is the whole frame
of an incident's best look.  The aircraft itself cannot open what it holds, and lets it go only by a
signed command, for a case, which it writes down first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from edge.config_delivery import PrivacyConfig
from edge.errors import MailboxError, ReleaseError
from edge.protocol.command import Command
from edge.protocol.messages import MessageKind
from edge.protocol.original import encode_part, parts_of
from edge.protocol.sealed import read_seal
from edge.records import Frame, UtcNs
from edge.report.outgoing import Outgoing

log = logging.getLogger(__name__)

RECORD: Final = "released.jsonl"
_FRAMES_MAX: Final = 64  # as many as crops; a 720p JPEG has some 200 kB
_QUALITY: Final = 92
_DAY_NS: Final = 86_400_000_000_000
_UNDATED_NS: Final = 0  # of a file that was held before anyone knew the date


class Originals:
    """The best looks' frames in memory, and the sealed files with their budget.

    Args:
        config: Key, budget and retention.
        folder: Where sealed files lie.
        utc_ns: The time by which they grow old; None: it is not known, and nothing grows old.
        room_bytes: Tells how much they may take of the disk, of which so much is taken now.

    Raises:
        ConfigError: The key cannot be used.
        MailboxError: The folder cannot be made.
    """

    def __init__(
        self,
        config: PrivacyConfig,
        folder: Path,
        utc_ns: Callable[[], UtcNs | None],
        room_bytes: Callable[[int], int],
    ) -> None:
        self._room_bytes = room_bytes
        self._config = config
        self._folder = folder
        self._utc_ns = utc_ns
        key = config.originals_key
        self._seal = None if key is None else read_seal(key, "privacy.originals_key")
        self._frames: OrderedDict[bytes, bytes] = OrderedDict()
        self._max_bytes = int(config.originals_max_mb * 1_000_000)
        self.dropped = 0
        if self._seal is not None:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise MailboxError(f"{folder}: {error}; check owner and mode") from error

    @property
    def is_on(self) -> bool:
        """Whether originals are kept at all."""
        return self._seal is not None

    def offer(self, incident_id: bytes, frame: Frame) -> None:
        """Keep the frame of what is the incident's best look so far, compressed."""
        if self._seal is None:
            return
        quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        _, data = cv2.imencode(".jpg", frame.image_bgr, quality)
        self._frames[incident_id] = np.asarray(data).tobytes()
        self._frames.move_to_end(incident_id)
        if len(self._frames) > _FRAMES_MAX:
            self._frames.popitem(last=False)

    def hold(self, incident_id: bytes) -> bytes | None:
        """Seal the incident's original into the folder.

        Returns:
            The SHA-256 of the picture; None: there is none, or the disk refuses.
        """
        picture = self._frames.get(incident_id)
        if self._seal is None or picture is None:
            return None
        digest = hashlib.sha256(picture).digest()
        path = self._path(incident_id, digest)
        if path.exists():
            return digest
        sealed = self._seal.close(picture, incident_id + digest)
        try:
            if not self._make_room(len(sealed)):
                self.dropped += 1
                return None
            write_whole(path, sealed)
            # This computer's own clock may be wrong: what it says is no date to grow old by.
            written_ns = self._utc_ns() or _UNDATED_NS
            os.utime(path, ns=(written_ns, written_ns))
        except OSError as error:
            log.warning("original_not_held path=%s error=%s", path, error)
            return None
        return digest

    def release(self, command: Command, put: Callable[[list[Outgoing]], object]) -> str:
        """Send what is held of an incident, having written down for which case.

        Args:
            command: Names incident and case.
            put: Stores messages in the mailbox.

        Returns:
            What was done, in words.

        Raises:
            ReleaseError: Nothing of it is held, or the release cannot be written down.
        """
        found = sorted(self._folder.glob(f"{command.incident_id.hex()}-*.sealed"))
        if not found:
            raise ReleaseError(f"no original of {command.incident_id.hex()} is held here")
        messages, total = [], 0
        try:
            for path in found:
                sealed, digest = path.read_bytes(), bytes.fromhex(path.stem.partition("-")[2])
                parts = parts_of(command.incident_id, digest, sealed, command.case)
                messages += [_outgoing(encode_part(part)) for part in parts]
                total += len(sealed)
        except (OSError, ValueError) as error:  # it made way, or is no file of ours
            raise ReleaseError(f"an original cannot be read: {error}") from error
        self._write_down(command, found)
        put(messages)
        return f"{len(found)} originals, {total} bytes, for case {command.case}"

    def expire(self) -> int:
        """Delete what has been held as long as it may; return how many."""
        utc_ns = self._utc_ns()
        if utc_ns is None:
            return 0
        limit_ns = utc_ns - int(self._config.keep_originals_days * _DAY_NS)
        n = 0
        for path, _, mtime_ns in self._held():
            with contextlib.suppress(OSError):  # the uplink may have needed its room
                if mtime_ns == _UNDATED_NS:
                    os.utime(path, ns=(utc_ns, utc_ns))
                elif mtime_ns < limit_ns:
                    path.unlink()
                    n += 1
        return n

    def _write_down(self, command: Command, found: list[Path]) -> None:
        line = {
            "utc_ms": command.issued_utc_ms,
            "command": command.nonce.hex(),
            "incident": command.incident_id.hex(),
            "case": command.case,
            "originals": [path.name for path in found],
        }
        try:
            with (self._folder / RECORD).open("a", encoding="utf-8") as record:
                record.write(json.dumps(line, ensure_ascii=False) + "\n")
                record.flush()
                os.fsync(record.fileno())
        except OSError as error:
            raise ReleaseError(f"the release cannot be written down: {error.strerror}") from error

    def _held(self) -> list[tuple[Path, int, int]]:
        """List the sealed files, oldest first: path, bytes, time of writing."""
        held = []
        for path in self._folder.glob("*.sealed"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                held.append((path, stat.st_size, stat.st_mtime_ns))
        return sorted(held, key=lambda one: one[2])

    def taken_bytes(self) -> int:
        """Tell how much of the disk they take."""
        return sum(size for _, size, _ in self._held()) if self.is_on else 0

    def _make_room(self, size_bytes: int) -> bool:
        """Let the oldest make way; False where there is no room even so."""
        self.expire()
        held = self._held()
        taken = sum(size for _, size, _ in held)
        budget = min(self._max_bytes, self._room_bytes(taken))
        if size_bytes > budget:  # it would push out all others, and still not fit
            return False
        total = taken + size_bytes
        for path, size, _ in held:
            if total <= budget:
                break
            path.unlink(missing_ok=True)
            total -= size
            self.dropped += 1
        return True

    def _path(self, incident_id: bytes, digest: bytes) -> Path:
        return self._folder / f"{incident_id.hex()}-{digest.hex()}.sealed"


def _outgoing(body: bytes) -> Outgoing:
    return Outgoing(MessageKind.ORIGINAL, body, severity=4)


def write_whole(path: Path, data: bytes) -> None:
    """Write a picture that nobody else may read, whole or not at all.

    Raises:
        OSError: The disk refuses; no half of it is left.
    """
    partial = path.with_suffix(".part")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
