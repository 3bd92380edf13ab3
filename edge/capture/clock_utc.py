"""UTC as the autopilot knows it from its GNSS receiver."""

from __future__ import annotations

_MS = 1_000_000
# 2020 to 2100, with five years of grace for old recordings.  What receivers say before they know
# lies outside: 1970, 1980, or a GPS week counter's turn (19.7 years) back.
_PLAUSIBLE_UTC_NS = (1_420_070_400 * 10**9, 4_102_444_800 * 10**9)
_UTC_AGREE_NS = 500 * _MS


class UtcOffset:
    """UTC − boot time as SYSTEM_TIME says it; believed once two messages agree."""

    def __init__(self) -> None:
        self.implausible = 0
        self._candidate_ns: int | None = None
        self.offset_ns: int | None = None

    def hear(self, unix_us: int, boot_ns: int) -> None:
        """Take a SYSTEM_TIME; 0 means no fix yet, and years that cannot be are counted."""
        if unix_us == 0:
            return
        if not _PLAUSIBLE_UTC_NS[0] <= unix_us * 1000 <= _PLAUSIBLE_UTC_NS[1]:
            self.implausible += 1
            return
        offset_ns = unix_us * 1000 - boot_ns
        candidate_ns, self._candidate_ns = self._candidate_ns, offset_ns
        if candidate_ns is not None and abs(offset_ns - candidate_ns) <= _UTC_AGREE_NS:
            self.offset_ns = offset_ns

    def clear(self) -> None:
        """Forget: the boot clock has started again."""
        self._candidate_ns = self.offset_ns = None
