"""Would this aircraft fly?  Part by part, in plain words: what `skywhistle check` asks."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

import cv2

from edge.capture.clock import utc_by_os_clock
from edge.capture.link_probe import AutopilotProbe, probe_autopilot
from edge.capture.video_probe import probe_camera
from edge.config import CameraConfig, GroundConfig, PatrolConfig
from edge.desk.probe import probe_broker
from edge.district import rule_book
from edge.errors import ConfigError, LabelError, ModelError, RoleTakenError, TerrainError
from edge.geo.calibration_file import read_table
from edge.geo.camera import flown_intrinsics
from edge.geo.camera_file import CameraFile
from edge.geo.height_watch import doubts_of
from edge.geo.mount import read_mount
from edge.geo.plane import known_origin
from edge.geo.terrain import tile_of
from edge.key_words import KEYS_OF
from edge.labels import refuse_unknown_labels
from edge.mount_kind import Agreement, mount_word
from edge.records import Pose
from edge.report.rolelock import RoleLock, lock_path
from edge.settings import Settings
from edge.vision.manifest import read_manifest
from edge.vision.probe import probe_model
from edge.vision.tiles import TileGrid

_MEGABYTE = 1_000_000
# 2026-01-01: a computer that thinks it is earlier has forgotten the time.
_PLAUSIBLE_UTC_NS = 1_767_225_600 * 1_000_000_000
# Messages without which nothing can be located; the others make it better.
_NEEDED = frozenset({"ATTITUDE", "GLOBAL_POSITION_INT"})
# These only for the ground, and only where `ground.source` may take it from them.
_GROUND_OF = {"RANGEFINDER": "rangefinder", "TERRAIN_REPORT": "terrain_report"}
_OPENCV_NAMES = ("opencv-python", "opencv-python-headless", "opencv-contrib-python",
                 "opencv-contrib-python-headless")  # fmt: skip


class Grade(Enum):
    """How a part is."""

    OK = "ok"
    WARN = "warn"  # it flies, but worse than it could
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one part."""

    part: str
    grade: Grade
    text: str


_GRADE_OF_MOUNT = {
    Agreement.AGREES: Grade.OK,
    Agreement.UNTOLD: Grade.WARN,
    Agreement.EXTRA: Grade.WARN,
    Agreement.DISAGREES: Grade.FAIL,
    Agreement.SILENT: Grade.FAIL,
}


def check(settings: Settings, seconds: float) -> Iterator[Finding]:
    """Yield findings as they are made; each part is looked at for at most some `seconds`."""
    patrol = settings.patrol
    yield Finding("config", Grade.OK, f"{settings.path}: read, {len(patrol.rule)} rules")
    yield from _check_nothing_flies(patrol)
    yield from _check_files(patrol)
    for camera in patrol.camera:
        yield from _check_calibration(camera)
        yield from _check_model(camera, patrol)
    yield from _check_labels(patrol)
    autopilot = probe_autopilot(patrol.autopilot, seconds)
    yield from _check_autopilot(autopilot, patrol)
    yield from check_terrain(patrol.ground, autopilot.pose)
    for camera in patrol.camera:
        yield from _check_camera(camera, autopilot, seconds)
    yield from _check_broker(patrol)
    yield from _check_keys(patrol)
    yield from _check_disk(patrol)
    yield from _check_computer()


def _check_nothing_flies(patrol: PatrolConfig) -> Iterator[Finding]:
    """A flight under way holds autopilot and camera: what is said of them then means nothing."""
    if not lock_path(patrol.mailbox.path, "flight").exists():
        return
    try:
        RoleLock(patrol.mailbox.path, "flight").probe()
    except RoleTakenError as error:
        text = f"{error}: it holds the autopilot's port and the camera, which may fail below"
        yield Finding("aircraft", Grade.WARN, text)


def _check_files(patrol: PatrolConfig) -> Iterator[Finding]:
    try:
        rule_book(patrol, None)
        yield Finding("config", Grade.OK, "zones, grid and event codes are readable")
    except ConfigError as error:
        yield Finding("config", Grade.FAIL, str(error))
    try:
        known_origin(patrol.state_dir, patrol.district)
    except ConfigError as error:
        yield Finding("state", Grade.FAIL, str(error))


def _check_calibration(camera: CameraConfig) -> Iterator[Finding]:
    """Lens and mount are read even where neither camera nor autopilot is there to fit them."""
    for part, read in (
        (f"lens of {camera.id}", lambda: flown_intrinsics(camera)),
        (f"mount of {camera.id}", lambda: read_mount(camera.mount)),
    ):
        try:
            read()
        except ConfigError as error:
            yield Finding(part, Grade.FAIL, str(error))
    with suppress(ConfigError):  # told already
        fold = read_table(camera.calibration, CameraFile).fold()
        if fold is not None:
            text = f"holds {fold:.0%} of the way to the corners: beyond, nothing has a place"
            yield Finding(f"lens of {camera.id}", Grade.WARN, text)


def _check_model(camera: CameraConfig, patrol: PatrolConfig) -> Iterator[Finding]:
    part = f"model of {camera.id}"
    try:
        probe = probe_model(camera.model, patrol.inference)
    except ModelError as error:
        yield Finding(part, Grade.FAIL, str(error))
        return
    yield Finding(
        part,
        Grade.OK,
        f"{probe.name}: hash {probe.sha256[:16]} as in its manifest, layout {probe.layout}, "
        f"{len(probe.labels)} labels, {probe.inference_ms:.0f} ms an inference",
    )
    yield from _check_tiles(camera, probe.detect_ms)
    grade = Grade.OK if probe.provider_is_as_asked else Grade.FAIL
    told = f"asked for {probe.provider_asked}, got {probe.provider_got}"
    mend = "" if grade is Grade.OK else "; install its onnxruntime, or change inference.providers"
    yield Finding(part, grade, told + mend)
    if probe.advisory:
        told = f"often misses {', '.join(probe.advisory)}: their alerts are marked advisory"
        yield Finding(part, Grade.WARN, told)
    wanted = {label for rule in patrol.rule for label in rule.labels}
    if not wanted & set(probe.labels):
        yield Finding(
            part, Grade.FAIL, f"no rule wants any of its labels: {', '.join(probe.labels)}"
        )


def _check_tiles(camera: CameraConfig, detect_ms: float) -> Iterator[Finding]:
    """Say what tiles cost: an inference each."""
    tiles = camera.tiles
    if tiles is None:
        return
    grid = TileGrid(tiles.columns, tiles.rows, tiles.overlap, tiles.and_whole)
    frame_ms = grid.n_inferences * detect_ms
    may_hz = 1000.0 / frame_ms
    grade = Grade.OK if may_hz >= camera.max_rate_hz else Grade.WARN
    above = f" from {tiles.from_agl_m:g} m above ground on" if tiles.from_agl_m else ""
    yield Finding(
        f"tiles of {camera.id}",
        grade,
        f"{tiles.columns}×{tiles.rows}{above}: {grid.n_inferences} inferences a frame, about "
        f"{frame_ms:.0f} ms, so at most {may_hz:.1f} of the {camera.max_rate_hz:g} frames a second "
        "that max_rate_hz allows",
    )


def _check_labels(patrol: PatrolConfig) -> Iterator[Finding]:
    try:
        labels = [read_manifest(camera.model).labels for camera in patrol.camera]
        refuse_unknown_labels(patrol, labels)
        yield Finding("rules", Grade.OK, "every label of every rule is one that a model knows")
    except LabelError as error:
        yield Finding("rules", Grade.FAIL, str(error))
    except ModelError:
        return  # told already, where the model was looked at


def _check_autopilot(probe: AutopilotProbe, patrol: PatrolConfig) -> Iterator[Finding]:
    if probe.error:
        yield Finding("autopilot", Grade.FAIL, probe.error)
        return
    yield Finding("autopilot", Grade.OK, f"heartbeat of a {probe.vehicle_type}, {probe.firmware}")
    for name, asked_hz in sorted(probe.asked_hz.items()):
        got_hz = probe.rates_hz.get(name, 0.0)
        grade, why = Grade.OK, ""
        if name in probe.missing:
            grade, why = _grade_of_missing(name, got_hz, patrol.ground.source)
        told = f"{name}: {got_hz:.1f} Hz, asked for {asked_hz:g}"
        yield Finding("autopilot", grade, told + why)
    for camera in patrol.camera:
        yield from _check_gimbal(camera, probe)


def _grade_of_missing(name: str, got_hz: float, ground: str) -> tuple[Grade, str]:
    """Say how bad it is that a message comes too seldom or not at all, and why."""
    of_ground = _GROUND_OF.get(name)
    if of_ground is not None and ground not in {"auto", of_ground}:
        return Grade.OK, f"; not needed: ground.source is {ground}"
    if got_hz > 0.0:
        return Grade.WARN, ""
    if name in _NEEDED or of_ground == ground:
        return Grade.FAIL, "; without it nothing can be located"
    if of_ground is not None:
        return Grade.WARN, "; ground.source is auto: the ground is taken from what there is"
    return Grade.WARN, ""


def check_terrain(ground: GroundConfig, pose: Pose | None) -> Iterator[Finding]:
    """Say whether the terrain tile is usable, and whether its heights fit the autopilot's.

    Args:
        ground: Of the config.
        pose: Of the aircraft now; None where the autopilot has none.
    """
    if ground.terrain is None:
        return
    try:
        tile = tile_of(ground.terrain)
    except TerrainError as error:
        yield Finding("terrain", Grade.FAIL, str(error))
        return
    if tile is None or ground.source not in {"auto", "terrain_tile"}:
        told = f"{ground.terrain.name} is not used: ground.source is {ground.source}"
        yield Finding("terrain", Grade.WARN, told)
        return
    compared = "" if tile.is_sea_level else ", not compared with the autopilot's sea level"
    yield Finding("terrain", Grade.OK, f"{ground.terrain.name}: read, datum {tile.datum}{compared}")
    if pose is None:
        told = "its heights were not compared: the autopilot gives no position yet"
        yield Finding("terrain", Grade.WARN, told)
        return
    doubts = list(doubts_of(pose, tile, ground))
    for doubt in doubts:
        yield Finding("terrain", Grade.FAIL, str(doubt))
    if not doubts:
        told = "its heights and the autopilot's agree as well as their sigmas allow"
        yield Finding("terrain", Grade.OK, told)


def _check_gimbal(camera: CameraConfig, probe: AutopilotProbe) -> Iterator[Finding]:
    try:
        word = mount_word(camera.mount, probe.gimbal)
    except ConfigError:
        return  # told already, with the lens
    yield Finding(f"mount of {camera.id}", _GRADE_OF_MOUNT[word.agreement], word.text)


def _check_camera(
    camera: CameraConfig, autopilot: AutopilotProbe, seconds: float
) -> Iterator[Finding]:
    part = f"camera {camera.id}"
    streams = autopilot.streams
    chosen = next((s for s in streams if camera.mavlink_stream in (0, s.stream_id)), None)
    if camera.source == "mavlink" and chosen is None:
        text = "no stream was announced over MAVLink"
        mend = "give its URL" if autopilot.heartbeat else "it needs the autopilot first"
        yield Finding(part, Grade.FAIL, f"{text}; {mend}")
        return
    probe = probe_camera(camera, lambda: chosen, seconds)
    if not probe.opened:
        named = probe.error.startswith(camera.source)
        text = probe.error if named else f"{camera.source}: {probe.error}"
        yield Finding(part, Grade.FAIL, text)
        return
    yield Finding(
        part,
        Grade.WARN if probe.error else Grade.OK,
        f"{camera.source}: {probe.width_px}×{probe.height_px} at {probe.rate_hz:.1f} Hz by "
        f"{probe.decoder}, time from {probe.time_source}"
        + (f"; {probe.error}" * bool(probe.error)),
    )
    try:
        intrinsics = flown_intrinsics(camera)
        intrinsics.scaled_to(probe.width_px, probe.height_px)
        fit = intrinsics.fit_to(probe.width_px, probe.height_px)
        yield Finding(part, Grade.OK, f"calibration {camera.calibration.name} {fit}")
    except ConfigError as error:  # of a file that is not there: told a second time, no harm
        yield Finding(part, Grade.FAIL, str(error))


def _check_broker(patrol: PatrolConfig) -> Iterator[Finding]:
    where = f"{patrol.mqtt.host}:{patrol.mqtt.port}"
    try:
        probe = probe_broker(patrol.mqtt, patrol.drone_id)
    except ConfigError as error:
        yield Finding("broker", Grade.FAIL, str(error))
        return
    if not probe.connected:
        yield Finding("broker", Grade.FAIL, probe.error)
        return
    secure = "with TLS" if probe.tls else "without TLS: anyone on the way can read and forge"
    yield Finding("broker", Grade.OK if probe.tls else Grade.WARN, f"{where}: connected {secure}")
    for may, what in ((probe.may_publish, "publish"), (probe.may_subscribe, "subscribe")):
        text = f"may {what} as {patrol.drone_id}" if may else f"may not {what}: {probe.error}"
        yield Finding("broker", Grade.OK if may else Grade.FAIL, text)


def _check_keys(patrol: PatrolConfig) -> Iterator[Finding]:
    """Every key that `flight` or `uplink` reads at its start, and what it is for."""
    for part, look in KEYS_OF.items():
        try:
            yield Finding(part, Grade.OK, look(patrol))
        except ConfigError as error:
            yield Finding(part, Grade.FAIL, str(error))


def _check_disk(patrol: PatrolConfig) -> Iterator[Finding]:
    folder = _nearest_folder(patrol.mailbox.path)
    need_mb = patrol.mailbox.max_mb + patrol.evidence.max_mb * patrol.evidence.enabled
    free_mb = shutil.disk_usage(folder).free / _MEGABYTE
    held_mb = patrol.mailbox.path.stat().st_size / _MEGABYTE if patrol.mailbox.path.exists() else 0
    grade = Grade.OK if free_mb > need_mb else Grade.WARN
    text = f"{folder}: {free_mb:.0f} MB free, may need {need_mb:.0f}"
    if free_mb + held_mb < patrol.mailbox.max_mb:  # pictures make way, alerts do not
        grade, text = Grade.FAIL, f"{text}; free some, or lower mailbox.max_mb"
    yield Finding("disk", grade, text)
    for kept in sorted({folder, _nearest_folder(patrol.state_dir / "any")}):
        if not os.access(kept, os.W_OK):
            yield Finding("disk", Grade.FAIL, f"{kept}: may not be written by this user")


def _check_computer() -> Iterator[Finding]:
    utc_ns = utc_by_os_clock(time.monotonic_ns())
    if utc_ns < _PLAUSIBLE_UTC_NS:
        text = "this computer has forgotten the time: TLS fails until it knows it; set up NTP"
        yield Finding("clock", Grade.FAIL, text)
    else:
        yield Finding("clock", Grade.OK, "plausible; alerts take the autopilot's GNSS time")
    installed = [name for name in _OPENCV_NAMES if _is_installed(name)]
    grade = Grade.OK if len(installed) == 1 else Grade.WARN
    more = (
        "" if grade is Grade.OK else f"; {len(installed)} builds are installed, remove all but one"
    )
    yield Finding("opencv", grade, f"{cv2.__version__} from {Path(cv2.__file__).parent}{more}")


def _nearest_folder(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.is_dir())


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
