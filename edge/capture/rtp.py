"""What an RTP stream says beyond its pictures: its codec, and its sender's clock."""

from __future__ import annotations

import ctypes
import ctypes.util
import ipaddress
import time
from urllib.parse import urlsplit

NS_PER_S = 1_000_000_000

# Seconds from 1900 (NTP) to 1970 (Unix): RFC 5905, figure 4.
NTP_TO_UNIX_S = 2_208_988_800

# A sender's stamp may be this much older than the arrival: encoder, network, Wi-Fi retries.  More
# means that the two clocks disagree.
MAX_AGE_S = 2.0
# It may be newer by no more than two disciplined clocks differ.
MAX_LEAD_S = 0.02

_RTP_FIXED_BYTES = 12

# First byte of an H.265 NAL unit is type << 1 (layer 0); each of these is a type that H.264 packets
# never carry at that place (types 0, 2, 4 and 6 with such reference bits).  RFC 7798 section 1.1.4.
_H265_TYPES = frozenset({0, 1, 19, 20, 21, 32, 33, 34, 39, 48, 49})
# H.264: slice, IDR, SPS, PPS, SEI, AUD and the packets STAP-A and FU-A.  RFC 6184 section 5.2.
_H264_TYPES = frozenset({1, 5, 6, 7, 8, 9, 24, 28})


def encoding_of_rtp(packet: bytes) -> str | None:
    """Tell H.264 from H.265 by the first NAL header in an RTP packet; None: it does not show.

    Only the first bytes are read, so a packet cut after some 80 bytes will do.
    """
    start = _payload_start(packet)
    if start is None or len(packet) < start + 2:
        return None
    first, second = packet[start], packet[start + 1]
    if first & 0x80:  # forbidden_zero_bit in both codecs
        return None
    # H.265: the layer id is 0 in one-layer video, so bit 0 of the first byte and the five high
    # bits of the second are 0, and the temporal id plus one, the rest, is not.
    looks_h265 = not first & 0x01 and not second & 0xF8 and second & 0x07
    if looks_h265 and first >> 1 in _H265_TYPES:
        return "h265"
    return "h264" if first & 0x1F in _H264_TYPES else None


def starts_picture(packet: bytes, codec: str) -> bool:
    """Whether an RTP packet is the first of a picture: its headers, or its topmost slice.

    Who joins midway must wait for such a packet: a key frame whose first slices are missing is
    decoded all the same, and its upper part is green.
    """
    start = _payload_start(packet)
    if start is None:
        return False
    unit = packet[start : start + 4].ljust(4, b"\0")
    if codec == "h264":
        kind = unit[0] & 0x1F
        if kind in {1, 5}:  # a slice; first_mb_in_slice is 0, coded as a single 1 bit
            return bool(unit[1] & 0x80)
        if kind == 28:  # FU-A: the start bit, then the slice's own header is the indicator
            return bool(unit[1] & 0x80) and bool(unit[2] & 0x80)
        return kind in {6, 7, 8, 9, 24}  # SEI, SPS, PPS, AUD, STAP-A
    kind = unit[0] >> 1 & 0x3F
    if kind < 32:  # a slice; first_slice_segment_in_pic_flag
        return bool(unit[2] & 0x80)
    if kind == 49:  # FU
        return bool(unit[2] & 0x80) and bool(unit[3] & 0x80)
    return kind in {32, 33, 34, 35, 39, 48}  # VPS, SPS, PPS, AUD, SEI, AP


def ends_picture(packet: bytes) -> bool:
    """Whether an RTP packet is the last of a picture: the marker bit (RFC 6184 section 5.1)."""
    return _payload_start(packet) is not None and bool(packet[1] & 0x80)


def _payload_start(packet: bytes) -> int | None:
    """Where an RTP packet's payload begins; None: this is no RTP (RFC 3550 section 5.1)."""
    if len(packet) < _RTP_FIXED_BYTES or packet[0] >> 6 != 2 or 64 <= packet[1] & 0x7F <= 95:
        return None  # version, and the payload types kept free for RTCP
    start = _RTP_FIXED_BYTES + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:  # header extension
        if len(packet) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    return start


def captured_from_ntp(ntp_ns: int, arrived_mono_ns: int, unix_minus_mono_ns: int) -> int | None:
    """Put a sender's NTP time on the monotonic clock; None: it is not plausible.

    Args:
        ntp_ns: ns since 1900 on the sender's clock.
        arrived_mono_ns: when the same picture arrived here.
        unix_minus_mono_ns: this computer's Unix time minus its monotonic time, now.
    """
    captured_ns = ntp_ns - NTP_TO_UNIX_S * NS_PER_S - unix_minus_mono_ns
    age_ns = arrived_mono_ns - captured_ns
    if not -MAX_LEAD_S * NS_PER_S <= age_ns <= MAX_AGE_S * NS_PER_S:
        return None
    return captured_ns


def unix_minus_mono_ns() -> int:
    """The OS clock against the monotonic one, to meet a sender's NTP time with.

    Not a capture time: the difference of two readings of clocks, read between two others.
    """
    before = time.monotonic_ns()
    unix = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return unix - (before + time.monotonic_ns()) // 2


def shares_clock(url: str) -> bool:
    """Whether a sender's wall clock can be met with ours: same computer, or ours is disciplined."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        if ipaddress.ip_address(host).is_loopback:
            return True
    except ValueError:
        pass  # a name
    return _is_disciplined()


def _is_disciplined() -> bool:
    """Whether the kernel says that NTP, PTP or GNSS steers the OS clock."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "ntp_adjtime"):
        return False
    timex = (ctypes.c_long * 64)()  # larger than struct timex on every ABI; modes 0 only reads
    time_error = 5  # TIME_ERROR in <sys/timex.h>: not synchronised
    return 0 <= int(libc.ntp_adjtime(timex)) < time_error
