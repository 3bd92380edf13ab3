"""When a picture was captured, from what GStreamer knows of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edge.capture.rtp import captured_from_ntp, unix_minus_mono_ns
from edge.capture.video_records import TimeSource
from edge.records import MonoNs

NS_PER_S = 1_000_000_000

# Between arrival and the decoder's output: a jitter buffer, a slow decoder.  Beyond, the
# timestamps are not on this computer's clock.
MAX_LAG_S = 5.0
# The jitter buffer smooths arrivals, so a packet that came early is stamped a little late.
MAX_LEAD_S = 0.02

# The least lag of this many seconds stands for a picture that no queue held up.
WINDOW_S = 30

# One sigma: arrival times carry scheduling and network jitter; the least lag most of it removed.
ARRIVAL_SIGMA_S = 0.05
FITTED_SIGMA_S = 0.02
PTS_SIGMA_S = 0.002
NTP_SIGMA_S = 0.005  # two disciplined clocks on a local network


@dataclass(frozen=True, slots=True)
class Captured:
    """An instant and how it is known."""

    mono_ns: MonoNs
    sigma_s: float
    source: TimeSource


class StreamTime:
    """Turns timestamps into instants on the monotonic clock.

    Live sources stamp buffers on the pipeline's clock when they arrive: that is used as it is.
    Others (MPEG-TS, TCP, a user's pipeline) count from somewhere else: their timestamps are
    smooth, so they are moved by the least lag seen lately.
    """

    def __init__(self, trusts_pts: bool, trusts_ntp: bool) -> None:
        self._trusts_pts = trusts_pts
        self._trusts_ntp = trusts_ntp
        self._least: deque[tuple[int, int]] = deque(maxlen=WINDOW_S)  # (second, lag_ns)

    def captured(
        self, pts_mono_ns: int | None, ntp_ns: int | None, arrived_mono_ns: int
    ) -> Captured:
        """Choose the best time there is.

        Args:
            pts_mono_ns: the buffer's running time plus the pipeline's base time, on the monotonic
                clock; None where the buffer has no timestamp.
            ntp_ns: the sender's NTP time, ns since 1900; None where it sent none.
            arrived_mono_ns: when the picture left the decoder.
        """
        if ntp_ns is not None and self._trusts_ntp:
            known_ns = captured_from_ntp(
                ntp_ns, arrived_mono_ns, unix_minus_mono_ns=unix_minus_mono_ns()
            )
            if known_ns is not None:
                return Captured(MonoNs(known_ns), NTP_SIGMA_S, TimeSource.RTP_NTP)
        if pts_mono_ns is None:
            return Captured(MonoNs(arrived_mono_ns), ARRIVAL_SIGMA_S, TimeSource.ARRIVAL)
        lag_ns = arrived_mono_ns - pts_mono_ns
        if self._trusts_pts and -MAX_LEAD_S * NS_PER_S <= lag_ns <= MAX_LAG_S * NS_PER_S:
            return Captured(MonoNs(pts_mono_ns), PTS_SIGMA_S, TimeSource.PTS)
        least_ns = self._least_lag_ns(lag_ns, arrived_mono_ns)
        return Captured(MonoNs(pts_mono_ns + least_ns), FITTED_SIGMA_S, TimeSource.PTS)

    def _least_lag_ns(self, lag_ns: int, arrived_mono_ns: int) -> int:
        second = arrived_mono_ns // NS_PER_S
        if self._least and abs(lag_ns - self._least[-1][1]) > MAX_LAG_S * NS_PER_S:
            self._least.clear()  # the timestamps jumped: what was learned is of another time line
        if self._least and self._least[-1][0] == second:
            lag_ns = min(lag_ns, self._least.pop()[1])
        self._least.append((second, lag_ns))
        return min(lag for _, lag in self._least)
