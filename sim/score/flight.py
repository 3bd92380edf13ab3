"""One recorded flight through the very pipeline that flies, and its score against its truth."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edge.capture.recording import RecordedFlight, open_flight
from edge.errors import FlightError
from edge.records import Alert, AlertKind, Frame, Tick
from edge.replay import ReplayRequest, ReplayResult, replay, replay_settings
from edge.settings import Settings
from edge.stages import Stored
from sim.score.findings import Finding, find_out
from sim.score.frames import FrameBoxes, box_frames
from sim.score.looks import FlightLooks, read_looks
from sim.score.matching import Score, Truth, newest_words, read_truth, score, scored_alert
from sim.score.pictures import add_pictures
from sim.score.report_map import draw_flight_map


def _none_named(_flight: RecordedFlight) -> Path | None:
    return None  # by name, for what is sent to another process cannot hold a lambda


@dataclass(frozen=True, slots=True)
class ScoreOrder:
    """How flights are to be scored.

    Attributes:
        config_for: Which patrol.toml a flight takes when none is named; None: its own.
        max_pictures: Of misses and false alarms, of one flight.
        with_map: Whether the flight's map is drawn.
        frame_step: Every so many frames the detector is scored by itself; 0: not at all.
    """

    config: Path | None = None
    model: Path | None = None
    config_for: Callable[[RecordedFlight], Path | None] = _none_named
    max_pictures: int = 0
    frame_step: int = 0
    with_map: bool = False


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """Which detector flew."""

    name: str
    hash: str  # first 8 bytes of the file's SHA-256
    folder: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlightScore:
    """How one flight did, and all that the report shows of it."""

    name: str
    origin: Mapping[str, Any]  # `[sim]` of flight.toml: scenario, seed, family, noise
    truth: Truth
    score: Score
    model: ModelUsed
    config_hash: str
    config: str
    flight_s: float
    wall_s: float
    frames: int
    inferences: int
    detections: int
    frames_dropped: int
    lost_events: int
    unplaced: Mapping[str, int]
    inference_s: tuple[float, ...]
    frame_to_outbox_s: tuple[float, ...]
    to_alert_s: tuple[float, ...]  # from when a found thing was first shown to its alert
    findings: tuple[Finding, ...]  # misses, false alarms, duplicates
    map_webp: bytes | None = None
    boxes: FrameBoxes | None = None


@dataclass(slots=True)
class _Watch:
    """Notes the flight's own time of what happens in a replay."""

    on_frame: Callable[[], None]
    first_ns: int | None = None
    last_ns: int = 0
    sizes_px: dict[str, tuple[int, int]] = field(default_factory=dict)
    new_ns: dict[bytes, int] = field(default_factory=dict)  # incident → when it was told
    _pending: list[bytes] = field(default_factory=list)

    def stored(self, one: Stored) -> None:
        """Note an alert; the loop stores before it asks for the next event."""
        if one.alert.kind is AlertKind.NEW:
            self._pending.append(one.alert.incident_id)

    def event(self, event: Frame | Tick) -> None:
        """Note an event that the loop is done with."""
        if isinstance(event, Frame):
            self.last_ns = event.captured_mono_ns
            self.first_ns = self.last_ns if self.first_ns is None else self.first_ns
            self.sizes_px[event.camera_id] = (event.width_px, event.height_px)
            self.on_frame()
        else:
            self.last_ns = event.mono_ns
        self.settle()

    def settle(self) -> None:
        """Give what was told since the last event its time."""
        for incident_id in self._pending:
            self.new_ns.setdefault(incident_id, self.last_ns)
        self._pending.clear()

    @property
    def flight_s(self) -> float:
        return 0.0 if self.first_ns is None else (self.last_ns - self.first_ns) * 1e-9


def score_flight(
    folder: Path, order: ScoreOrder, on_frame: Callable[[], None] = lambda: None
) -> FlightScore:
    """Replay a flight and score it.

    Args:
        folder: A flight folder with truth.
        order: With what, and how much of it is drawn.
        on_frame: Called after each frame of the replay, and of what scores frames.

    Raises:
        FlightError: The folder is no flight, or has no truth.
        ConfigError: The patrol config is not usable.
        ModelError: The model does not load.
    """
    recorded = open_flight(folder)
    if recorded.spec.truth is None:
        raise FlightError(
            f"{folder}: has no truth to score against; record one with `skywhistle sim record`, "
            "or look at the flight with `skywhistle replay`"
        )
    truth = read_truth(recorded.path(recorded.spec.truth.file))
    config = order.config or order.config_for(recorded)
    with tempfile.TemporaryDirectory(prefix="skywhistle-score-") as scratch:
        out = Path(scratch)
        settings = replay_settings(recorded, out, config, order.model)
        watch = _Watch(on_frame)
        request = ReplayRequest(
            recorded,
            settings,
            out,
            backdrop=order.with_map,
            on_event=watch.event,
            on_stored=watch.stored,
        )
        result = replay(request)
        watch.settle()
        result.mailbox.close()
        looks = read_looks(folder, out / "detections.jsonl", watch.sizes_px)
    return _scored(_Flown(recorded, truth, settings, result, watch, looks), order)


@dataclass(frozen=True, slots=True)
class _Flown:
    recorded: RecordedFlight
    truth: Truth
    settings: Settings
    result: ReplayResult
    watch: _Watch
    looks: FlightLooks


def _scored(flown: _Flown, order: ScoreOrder) -> FlightScore:
    result, recorded, watch = flown.result, flown.recorded, flown.watch
    alerts = {a.incident_id.hex(): a for a in newest_words(one.alert for one in result.stored)}
    scored = score(map(scored_alert, alerts.values()), flown.truth)
    model = _model_used(result, flown.settings)
    asked = partial(_asked, flown.settings, model.labels)
    findings = find_out(scored, flown.truth, alerts, flown.looks, asked)
    drawn = None
    if order.max_pictures:
        findings = add_pictures(open_flight(recorded.folder), findings, order.max_pictures)
    if order.with_map:
        drawn = draw_flight_map(recorded.spec.name, result.log, flown.truth, scored)
    health = result.stages.health
    return FlightScore(
        name=recorded.spec.name,
        origin=recorded.spec.sim,
        truth=flown.truth,
        score=scored,
        model=model,
        config_hash=flown.settings.config_hash.hex(),
        config=flown.settings.path.name,
        flight_s=watch.flight_s,
        wall_s=result.wall_s,
        frames=health.frames,
        inferences=health.inferences,
        detections=health.detections,
        frames_dropped=recorded.dropped["no_time"],
        lost_events=health.lost_events,
        unplaced=dict(Counter(health.no_pose) + Counter(health.no_geotag)),
        inference_s=tuple(health.inference_s),
        frame_to_outbox_s=tuple(health.frame_to_outbox_s),
        to_alert_s=_to_alert_s(scored, alerts, watch.new_ns, flown.looks),
        findings=tuple(findings),
        map_webp=drawn,
        boxes=_boxes(flown, order),
    )


def _boxes(flown: _Flown, order: ScoreOrder) -> FrameBoxes | None:
    """Score the detector by itself, where that is asked for."""
    if not order.frame_step:
        return None
    return box_frames(
        open_flight(flown.recorded.folder),
        flown.result.stages.detectors,
        flown.looks.boxes,
        order.frame_step,
        on_frame=flown.watch.on_frame,
    )


def _model_used(result: ReplayResult, settings: Settings) -> ModelUsed:
    camera = settings.patrol.camera[0]
    detector = result.stages.detectors[camera.id]
    return ModelUsed(
        detector.manifest.name,
        detector.model_hash.hex(),
        camera.model.name,
        tuple(detector.labels),
    )


def _asked(settings: Settings, known: Sequence[str], label: str) -> str:
    """Say what the rules ask of a class, or why it can never be told."""
    if label not in known:
        return "the model has no such class"
    rules = [rule for rule in settings.patrol.rule if label in rule.labels]
    if not rules:
        return "no rule asks for it"
    rule = min(rules, key=lambda one: one.threshold)
    size = f" and {rule.min_size_m:g} m" if rule.min_size_m else ""
    return f"rule {rule.name} asks for {rule.threshold:g} in {rule.min_looks} looks{size}"


def _to_alert_s(
    scored: Score, alerts: Mapping[str, Alert], new_ns: Mapping[bytes, int], looks: FlightLooks
) -> tuple[float, ...]:
    """Return how long after it was first shown each found thing was told.

    Below zero: told before the truth calls it shown.
    """
    start_ns = looks.start_ns()
    if start_ns is None:
        return ()
    waits = []
    for match in scored.matches:
        told_ns = new_ns.get(alerts[match.alert.incident_id].incident_id)
        thing = match.truth
        if thing is None or match.is_duplicate or thing.first_seen_s is None or told_ns is None:
            continue
        waits.append((told_ns - start_ns) * 1e-9 - thing.first_seen_s)
    return tuple(waits)
