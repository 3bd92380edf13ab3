"""A recorded flight through the very same pipeline, faster than real time where it can.

What a replay leaves in its folder: `mailbox.db` as on the aircraft, `alerts.geojson` (the newest
word on each incident), `detections.jsonl` (one line a frame), `summary.json`, `map.png`.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from edge.build import build_stages
from edge.capture.recording import RecordedFlight
from edge.config import (
    AutopilotConfig,
    CameraConfig,
    DistrictConfig,
    GroundConfig,
    PatrolConfig,
    RuleConfig,
)
from edge.errors import ConfigError, MailboxError, OutputError
from edge.flightlog import FlightLog
from edge.labels import rules_that_can_fire
from edge.mount_kind import MountWord, mount_word
from edge.pipeline import fly
from edge.records import Frame, MonoNs, Tick
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.settings import Settings, read_settings
from edge.stages import Stages, Stored
from edge.vision.manifest import read_manifest

log = logging.getLogger(__name__)

_BACKDROP_FRAMES = 80  # half-size frames kept for the map: some 50 MB at 720p


@dataclass(slots=True)
class ReplayClock:
    """Tells a replay's `now`: the event's own time plus how long the loop has worked on it."""

    _event_mono_ns: int = 0
    _handed_ns: int = 0

    def hand(self, event: Frame | Tick) -> None:
        """Note that the loop gets this event now."""
        self._event_mono_ns = event.captured_mono_ns if isinstance(event, Frame) else event.mono_ns
        self._handed_ns = time.monotonic_ns()

    def now(self) -> MonoNs:
        """Return the replay's time."""
        return MonoNs(self._event_mono_ns + time.monotonic_ns() - self._handed_ns)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is replayed, with what, and where the results go."""

    flight: RecordedFlight
    settings: Settings
    out: Path
    annotate: bool = False
    backdrop: bool = True  # keep some frames for the map
    on_event: Callable[[Frame | Tick], None] = field(default=lambda _event: None)
    on_stored: Callable[[Stored], None] = field(default=lambda _stored: None)
    on_built: Callable[[Stages], None] = field(default=lambda _stages: None)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay leaves for its summary and map."""

    stages: Stages
    log: FlightLog
    mailbox: Mailbox
    stored: tuple[Stored, ...]  # every alert, in the order of their seq
    wall_s: float
    mounts: dict[str, MountWord] = field(default_factory=dict)  # by camera


def replay(request: ReplayRequest) -> ReplayResult:
    """Fly a recorded flight and return what was seen; the mailbox stays open.

    Raises:
        ConfigError, ModelError: Nothing was flown.
        OutputError, MailboxError: The results cannot be written; the mailbox is closed.
    """
    settings, flight = request.settings, request.flight
    telemetry = flight.telemetry(settings.patrol.autopilot)
    mailbox = Mailbox(settings.patrol.mailbox, Clocks())
    clock = ReplayClock()
    flight_log = FlightLog(
        request.out,
        annotate=request.annotate,
        keep_images_every=_backdrop_every(flight) if request.backdrop else 0,
    )
    stored: list[Stored] = []

    def on_stored(one: Stored) -> None:
        stored.append(one)
        request.on_stored(one)

    stages = build_stages(
        settings, telemetry, mailbox, now=clock.now, flight_log=flight_log, on_stored=on_stored
    )
    stages.fatal = (OutputError, MailboxError)  # on the ground half a result is none
    request.on_built(stages)
    started_ns = time.monotonic_ns()

    def paced() -> Iterator[Frame | Tick]:
        for event in flight.events(telemetry.feed):
            clock.hand(event)
            yield event
            request.on_event(event)

    with ExitStack() as on_failure:
        on_failure.callback(mailbox.close)
        with flight_log:
            fly(paced(), stages)
        on_failure.pop_all()
    wall_s = (time.monotonic_ns() - started_ns) * 1e-9
    shown = telemetry.health().gimbal_kind
    mounts = {camera.id: mount_word(camera.mount, shown) for camera in settings.patrol.camera}
    return ReplayResult(stages, flight_log, mailbox, tuple(stored), wall_s, mounts)


_RESULTS = frozenset(
    {
        "alerts.csv",
        "alerts.geojson",
        "detections.jsonl",
        "evidence",
        "frames",
        "map.png",
        "patrol.toml",
        "state",
        "summary.json",
        "uplink.log",
    }
)
_DATABASES = ("mailbox.db", "desk.db")  # and what lies beside them: logs, locks, the reserve


def fresh_folder(out: Path) -> None:
    """Make the results folder, empty of an earlier replay's results and of nothing else.

    Raises:
        ConfigError: It holds files that no replay writes, or cannot be made; nothing was removed.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give an empty --out folder")
    if out.exists():
        foreign = sorted(
            path.name
            for path in out.iterdir()
            if path.name not in _RESULTS and not path.name.startswith(_DATABASES)
        )
        if foreign:
            raise ConfigError(
                f"{out}: holds {foreign[0]}, which no replay writes; give an empty --out folder"
            )
    try:
        if out.exists():
            shutil.rmtree(out)
        out.mkdir(parents=True)
    except OSError as error:
        where = error.filename or out
        raise ConfigError(
            f"{out}: cannot be made ({where}: {error.strerror}); give another --out folder"
        ) from error


def _backdrop_every(flight: RecordedFlight) -> int:
    return max(1, (flight.n_frames() or 0) // _BACKDROP_FRAMES)


def replay_settings(
    flight: RecordedFlight, out: Path, config: Path | None = None, model: Path | None = None
) -> Settings:
    """Join a patrol config with a flight's own cameras, calibrations and log.

    Args:
        flight: Its cameras, mounts and the log's ids replace those of the config.
        out: Mailbox, evidence and state go below it.
        config: A patrol.toml; else the one the flight names; else every label of `model`.
        model: Replaces the config's model.

    Raises:
        ConfigError: There is neither a config nor a model.
        ModelError: The model has no manifest.
    """
    spec = flight.spec
    if config is None and spec.patrol is not None:
        config = flight.path(spec.patrol.config)
    if config is not None:
        settings = read_settings(config)
    elif model is not None:
        settings = Settings(_patrol_for(model), flight.folder / "flight.toml", b"\0" * 8)
    else:
        what = "names no patrol config; give one with --config, or --model alone"
        raise ConfigError(f"{flight.folder}: {what}")
    patrol = settings.patrol
    template = patrol.camera[0]
    cameras = tuple(
        template.model_copy(
            update={
                "id": camera.id,
                "model": model or template.model,
                "calibration": flight.path(camera.calibration),
                "mount": flight.path(camera.mount),
                "latency_s": camera.latency_s,
                "latency_sigma_s": camera.latency_sigma_s,
            }
        )
        for camera in spec.camera
    )
    ids = spec.telemetry.model_dump(include={"system_id", "component_id", "gimbal_component_id"})
    replayed = patrol.model_copy(
        update={
            "camera": cameras,
            "rule": _rules_for(patrol, model),
            "autopilot": patrol.autopilot.model_copy(update=ids),
            "state_dir": out / "state",
            "mailbox": patrol.mailbox.model_copy(update={"path": out / "mailbox.db"}),
            "evidence": patrol.evidence.model_copy(update={"folder": out / "evidence"}),
            "district": _district_of(flight, patrol),
            "ground": _ground_of(flight, patrol),
        }
    )
    return Settings(replayed, settings.path, settings.config_hash)


def _ground_of(flight: RecordedFlight, patrol: PatrolConfig) -> GroundConfig:
    """Add the flight's own offset between home and the ground, and take the tile beside it."""
    ground = flight.spec.ground
    known: dict[str, object] = {"home_offset_m": patrol.ground.home_offset_m + ground.home_offset_m}
    if ground.terrain is not None:
        known["terrain"] = flight.path(ground.terrain)
    return patrol.ground.model_copy(update=known)


def _district_of(flight: RecordedFlight, patrol: PatrolConfig) -> DistrictConfig:
    """Take the register that the flight was recorded with, if it names one."""
    permitted = flight.spec.district.permitted
    if permitted is None:
        return patrol.district
    return patrol.district.model_copy(update={"permitted": flight.path(permitted)})


def _rules_for(patrol: PatrolConfig, model: Path | None) -> tuple[RuleConfig, ...]:
    """Narrow the config's rules to a model that they were not written for."""
    if model is None:
        return patrol.rule
    rules, left_out = rules_that_can_fire(patrol.rule, read_manifest(model).labels)
    if left_out:
        log.warning("labels_not_of_model model=%s labels=%s", model, ",".join(left_out))
    return rules or patrol.rule  # none left: refused at the start, by name


def _patrol_for(model: Path) -> PatrolConfig:
    """Make the config of someone who only wants to see what a model finds: one rule for all."""
    manifest = read_manifest(model)
    score = manifest.thresholds.min_score
    return PatrolConfig(
        drone_id="replay",
        camera=(
            CameraConfig(id="main", source="replay", model=model, calibration=Path(), mount=Path()),
        ),
        rule=(
            RuleConfig(
                name="any", labels=manifest.labels, min_score=score, threshold=score, min_looks=2
            ),
        ),
        autopilot=AutopilotConfig(),
    )
