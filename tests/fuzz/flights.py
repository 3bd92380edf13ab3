"""Fuzz targets of what flights say: MAVLink on a link, logs of all kinds, stills with poses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.dispatch import WANTED
from edge.capture.gstreamer_recipes import recipe_from_url
from edge.capture.link_frames import MESSAGE_IDS, MESSAGE_NAMES, FrameCutter, Header
from edge.capture.link_signing import LinkSigning
from edge.capture.logs import read_log
from edge.capture.rates import RateAsker
from edge.capture.recording_spec import FlightTelemetry
from edge.capture.recording_stills import messages_of, posed_stills
from edge.capture.streams import text_of, url_of
from edge.capture.telemetry import Telemetry
from edge.records import NoPose, Pose
from tests.fuzz.mutate import Mutator, frame_of, mutate_bytes, mutate_mavlink, mutate_text
from tests.fuzz.target import Target, on_disk, scratch
from tests.unit.capture.log_writers import (
    UlogTopic,
    dataflash,
    dataflash_text,
    dji_xmp,
    exif,
    pix4d_xmp,
    still,
    ulog,
)
from tests.unit.capture.logged_flight import BOOT_S, dataflash_rows, ulog_topics
from tests.unit.capture.mavlink_peer import heartbeat, message_of, packed
from tests.unit.capture.test_srt import SAMPLES

_KEY: Final = bytes(range(32))
_UTC_US: Final = 1_790_000_000_000_000
_STEP_MS: Final = 40
_MOST_MESSAGES: Final = 5000  # of an input of some kB
_NETWORK: Final = frozenset(
    {"rtsp", "rtsps", "rtspt", "rtspu", "udp", "tcp", "mpegts", "mpegts+udp"}
)
_NAMES: Final = (
    "ATTITUDE", "GLOBAL_POSITION_INT", "SYSTEM_TIME", "GPS_RAW_INT", "EKF_STATUS_REPORT",
)  # fmt: skip


def _frames(step: int) -> list[bytes]:
    boot_ms = 60_000 + step * _STEP_MS
    return [packed(heartbeat()), *(packed(message_of(name, boot_ms)) for name in _NAMES)]


def _rare_frames() -> list[bytes]:
    """One of each message that the telemetry reads, of zeros."""
    told = []
    for name in sorted(set(WANTED) & set(MESSAGE_IDS)):
        number = MESSAGE_IDS[name]
        size = min(mavlink.mavlink_map[number].unpacker.size, 255)
        told.append(frame_of(number, bytes(size), Header(number, 1, 1)))
    return told


def _links() -> list[bytes]:
    return [b"".join(_frames(0) + _frames(1)), *_rare_frames(), b"\xfd\xfe" + _frames(3)[1]]


def _telemetry(log: Path) -> Telemetry:
    return Telemetry(FlightTelemetry(log=log), utc_by_record_time, BootClock(1e-3))


def _check_link(data: bytes) -> None:
    """In datagrams and in a stream, cut anywhere: the loop of the link as it is."""
    for is_whole, size in ((True, len(data) or 1), (False, 7), (False, 64)):
        telemetry, cutter = _telemetry(Path("a.tlog")), FrameCutter(WANTED)
        now_ns = 1_000_000_000
        for at in range(0, len(data), size):
            for header, message in cutter.cut(data[at : at + size], is_whole):
                now_ns += 1_000_000
                if message is None:
                    telemetry.note(MESSAGE_NAMES[header.message_id], header, now_ns)
                else:
                    telemetry.feed(message, now_ns)
        _ask(telemetry, now_ns)
        telemetry.health(now_ns, 3.0)
        assert cutter.counts.garbage_bytes <= len(data)


def _ask(telemetry: Telemetry, now_ns: int) -> None:
    for ago_ns in (0, 10_000_000, 10**9):
        assert isinstance(telemetry.at(now_ns - ago_ns), (Pose, NoPose))
        telemetry.utc(now_ns - ago_ns)
    telemetry.requests_due(RateAsker({"ATTITUDE": 30.0, "GPS_RAW_INT": 5.0}), now_ns)
    telemetry.video_streams()


def _addresses() -> list[bytes]:
    return [
        b"\0rtsp://10.0.0.2:8554/eo", b"\x01udp://@239.1.2.3:5600", b"\x02tcp://camera:5000",
        b"\x03mpegts://:5601", b"\x00camera:8554/eo", b"\x01192.168.1.20:5600", b"\x035600",
        b"\x02camera:5600",
    ]  # fmt: skip


def _check_address(data: bytes) -> None:
    """What a link announces puts nothing of its own into a pipeline."""
    url = url_of(data[0] if data else 0, text_of(data[1:]))
    if url is None:
        return
    assert url.isascii() and url.isprintable() and " " not in url
    assert url.partition("://")[0] in _NETWORK
    head = recipe_from_url(url, "auto", 0.1).head
    assert head.count("!") == (0 if url.startswith("rtsp") else 1), head
    assert head.count('"') in {0, 2}, head


def _signed_frames() -> list[bytes]:
    link = mavlink.MAVLink(None, 1, 1)
    link.signing.secret_key, link.signing.sign_outgoing = _KEY, True
    link.signing.link_id, link.signing.timestamp = 3, 36_000_000_000_000
    told = [heartbeat(), *(message_of(name, 60_000) for name in _NAMES)]
    return [b"".join(bytes(message.pack(link)) for message in told)]


def _check_signing(data: bytes) -> None:
    """What is believed was signed with the key, and is believed once."""
    signing = LinkSigning(_KEY, mono_ns=lambda: 0)
    cutter = FrameCutter(WANTED, lambda frame: signing.fault(frame) is None)
    heard = sum(1 for _ in cutter.cut(data, True))
    again = FrameCutter(WANTED, lambda frame: signing.fault(frame) is None)
    assert sum(1 for _ in again.cut(data, True)) == 0
    assert heard == cutter.counts.messages
    assert signing.next_stamp() > 0


def _tlogs() -> list[bytes]:
    out = b""
    for step in range(12):
        for frame in _frames(step):
            out += (_UTC_US + step * _STEP_MS * 1000).to_bytes(8, "big") + frame
    return [out]


def _reads(suffix: str) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        path, telemetry = on_disk(f"a{suffix}", data), _telemetry(Path(f"a{suffix}"))
        for count, one in enumerate(read_log(path), start=1):
            assert count <= _MOST_MESSAGES
            telemetry.feed(one.message, one.record_utc_ns)
            if count % 20 == 0:
                answer = telemetry.at(one.record_utc_ns - 10_000_000)
                assert isinstance(answer, (Pose, NoPose))

    return check


def _ulogs() -> list[bytes]:
    topics = [UlogTopic(one.name, one.fields, one.rows[:6]) for one in ulog_topics()]
    return [ulog(topics, round(BOOT_S * 1e6))]


def _subtitles() -> list[bytes]:
    files = []
    for step_s, words, _ in SAMPLES.values():
        lines = []
        for n in range(6):
            t_s = n * step_s
            start, end = (f"00:00:{int(s):02d},{round(s % 1 * 1000):03d}" for s in (t_s, t_s + 0.1))
            lines.append(f"{n + 1}\n{start} --> {end}\n{words(n, t_s)}\n")
        files.append("\n".join(lines).encode())
    return files


def _stills() -> list[bytes]:
    path = scratch() / "good.jpg"
    told = exif(
        taken="2024:06:10 10:14:01", subsecond="25", zone="+08:00", lat_lon_deg=(31.5, 120.3),
        altitude_m=72.0,
    )  # fmt: skip
    dji = dji_xmp(
        GimbalYawDegree=1, GimbalPitchDegree=-90, GimbalRollDegree=0, RelativeAltitude=60,
        RtkStdLon=0.01, RtkStdLat=0.01, UTCAtExposure="2024-06-10T10:14:01.25",
    )  # fmt: skip
    pix4d = pix4d_xmp(Yaw=10, Pitch=1, Roll=2, GPSXYAccuracy=0.5, GPSZAccuracy=1.0)
    files = []
    for packet in (dji, pix4d, ""):
        still(path, exif=told, xmp=packet)
        files.append(path.read_bytes())
    return files


def _check_still(data: bytes) -> None:
    telemetry = _telemetry(Path("a.bin"))
    posed = posed_stills([on_disk("a.jpg", data)])
    for one in messages_of(posed, None):
        telemetry.feed(one.message, one.record_utc_ns)
    assert isinstance(telemetry.at(posed[0].utc_ns), (Pose, NoPose))


def _either(one: Mutator, other: Mutator) -> Mutator:
    def mutate(data: bytes, rng: Random) -> bytes:
        return (one if rng.random() < 0.5 else other)(data, rng)

    return mutate


def _rows(count: int) -> list[Any]:
    return list(dataflash_rows())[:count]


TARGETS: Final = (
    Target("mavlink", _links, _check_link, mutate_mavlink, 1024, 250),
    Target("stream-address", _addresses, _check_address, _either(mutate_bytes, mutate_text), 256),
    Target("mavlink-signed", _signed_frames, _check_signing, mutate_mavlink, 1024),
    Target("tlog", _tlogs, _reads(".tlog"), mutate_mavlink, 8 * 1024, 150),
    Target("dataflash", lambda: [dataflash(_rows(90))], _reads(".bin"), mutate_bytes, 8192, 150),
    Target(
        "dataflash-text",
        lambda: [dataflash_text(_rows(60)).encode()],
        _reads(".log"),
        mutate_text,
        16 * 1024,
        100,
    ),
    Target("ulog", _ulogs, _reads(".ulg"), mutate_bytes, 16 * 1024, 100),
    Target("srt", _subtitles, _reads(".srt"), mutate_text, 16 * 1024, 150),
    Target("still", _stills, _check_still, _either(mutate_bytes, mutate_text), 8 * 1024, 150),
)
