"""MAVLink 2 signing: who sent a frame, and that it is no recording of an older one.

A signature is the first 48 bits of SHA-256 over key, frame and a timestamp in units of 10 µs since
2015 (https://mavlink.io/en/guide/message_signing.html).  A stream's timestamps only ever rise.
pymavlink's own check moves a stream's timestamp before it has seen whether the signature fits, so
that one forged frame locks the true sender out; hence this one.

The clock's rule: a companion computer may have forgotten the date, and a vehicle refuses whoever
is behind it, and believes whoever is ahead: then all others are locked out.  So this computer's own
clock is never signed with.  Until a good frame of the vehicle is here we sign with the last time
that we know of, which it may well refuse; from then on its time is ours.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from edge.errors import TelemetryConfigError

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
STAMP_FILE: Final = "mavlink-timestamp"
_GROUP_AND_OTHERS: Final = 0o077
_MAGIC_V2, _SIGNED = 0xFD, 0x01
_SIGNATURE_BYTES: Final = 6
_TAIL_BYTES: Final = 1 + 6 + _SIGNATURE_BYTES  # link id, timestamp, signature
_STAMPS_PER_S: Final = 100_000
_STAMPS: Final = 1 << 48
_NS_PER_STAMP: Final = 10_000
# A stream that is new here may be this far behind what was heard already (the standard's minute).
_NEW_STREAM_BEHIND: Final = 60 * _STAMPS_PER_S
_KEPT_EVERY: Final = 60 * _STAMPS_PER_S


class Fault(Enum):
    """Why a frame is not believed."""

    UNSIGNED = "unsigned"
    FORGED = "forged"  # the signature does not fit the key
    REPLAYED = "replayed"  # its timestamp has been


@dataclass(slots=True)
class LinkSigning:
    """One key, what has been heard under it, and the time to sign with.

    Args:
        key: 32 bytes, shared with the vehicle.
        kept: The newest timestamp that an earlier run has seen; 0: none.
        mono_ns: The monotonic clock.
    """

    key: bytes
    kept: int = 0
    mono_ns: Callable[[], int] = time.monotonic_ns
    faults: dict[Fault, int] = field(default_factory=lambda: dict.fromkeys(Fault, 0))
    _streams: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _newest: int = 0  # of all that were good
    _newest_mono_ns: int = 0
    _last_sent: int = 0

    def fault(self, frame: bytes) -> Fault | None:
        """Check a whole frame; None: it is believed.  Faults are counted."""
        found = self._fault(frame)
        if found is not None:
            self.faults[found] += 1
        return found

    def _fault(self, frame: bytes) -> Fault | None:
        if frame[0] != _MAGIC_V2 or not frame[2] & _SIGNED:
            return Fault.UNSIGNED
        wanted = hashlib.sha256(self.key + frame[:-_SIGNATURE_BYTES]).digest()[:_SIGNATURE_BYTES]
        if not hmac.compare_digest(wanted, frame[-_SIGNATURE_BYTES:]):
            return Fault.FORGED
        link_id = frame[-_TAIL_BYTES]
        stamp = int.from_bytes(frame[1 - _TAIL_BYTES : -_SIGNATURE_BYTES], "little")
        stream = (link_id, frame[5], frame[6])
        newest = max(self._newest, self.kept)
        oldest = self._streams.get(stream, newest - _NEW_STREAM_BEHIND)
        if stamp <= oldest:
            return Fault.REPLAYED
        self._streams[stream] = stamp
        if stamp > self._newest:
            self._last_sent = 0 if self._newest == 0 else self._last_sent  # by an older time
            self._newest, self._newest_mono_ns = stamp, self.mono_ns()
        return None

    def next_stamp(self) -> int:
        """Return the timestamp to sign the next frame with; it rises with every call."""
        stamp = self.kept + 1
        if self._newest:
            stamp = self._newest + (self.mono_ns() - self._newest_mono_ns) // _NS_PER_STAMP
        self._last_sent = max(stamp, self._last_sent + 1)
        return self._last_sent

    def newest_worth_keeping(self) -> int | None:
        """Return a timestamp to keep over a restart, about once a minute; else None."""
        if self._newest < self.kept + _KEPT_EVERY:
            return None
        self.kept = self._newest
        return self.kept


def read_signing_secret(path: Path) -> bytes:
    """Read the key that vehicle and companion share: 64 hex digits in a file of mode 600.

    Raises:
        TelemetryConfigError: It is missing, readable by others, or no such key.
    """
    name = f"autopilot.signing_key_file {path}"
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TelemetryConfigError(f"{name}: cannot be read ({error})") from error
    if mode & _GROUP_AND_OTHERS:
        raise TelemetryConfigError(f"{name} may be read by others; run `chmod 600 {path}`")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise TelemetryConfigError(
            f"{name}: write the key as {2 * KEY_BYTES} hex digits; where the vehicle was given a "
            "passphrase, its SHA-256"
        )
    return key


def read_stamp(state_dir: Path | None) -> int:
    """Return the newest timestamp of earlier runs; 0 where there is none that can be read."""
    if state_dir is None:
        return 0
    try:
        stamp = int((state_dir / STAMP_FILE).read_text())
    except (OSError, ValueError):
        return 0
    return stamp if 0 <= stamp < _STAMPS else 0  # a longer one could not be sent


def keep_stamp(state_dir: Path | None, stamp: int) -> None:
    """Keep a timestamp for the next run; a disk that refuses costs a minute's protection."""
    if state_dir is None:
        return
    half = state_dir / f"{STAMP_FILE}.part"
    try:
        half.write_text(str(stamp))
        half.replace(state_dir / STAMP_FILE)
    except OSError as error:
        log.warning("mavlink_timestamp_not_kept reason=%s", error.strerror)
