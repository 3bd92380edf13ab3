"""What the loop flies with: the steps, set up from the config and joined to one another.

`pipeline.py` reads as verbs because this file knows which object each verb belongs to.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Protocol

from edge.accuracy import ellipse_from_covariance
from edge.config import PatrolConfig
from edge.district import (
    District,
    open_district,
    rule_book,
    save_incidents,
)
from edge.errors import ConfigError, SkywhistleError
from edge.flightlog import FlightLog, Look
from edge.geo.camera import flown_intrinsics
from edge.geo.delay_watch import DelayWatch
from edge.geo.height_watch import HeightWatch
from edge.geo.locate import Unlocated
from edge.health import Health, video_delay
from edge.labels import refuse_unknown_labels
from edge.patrol.another_side import Suggestion, suggestions
from edge.patrol.snapshot import UNKNOWN_TIME
from edge.protocol.messages import MessageKind, Stamp, seal
from edge.records import (
    Alert,
    AlertFlags,
    Detection,
    Frame,
    Incident,
    MonoNs,
    NoPose,
    Pose,
    Sighting,
    Tick,
    UtcTime,
    Verdict,
    Xyxy,
)
from edge.report.ballast import is_for_want_of_room
from edge.report.compose import AlertContext, compose_alert
from edge.report.evidence import EvidenceKeeper, EvidenceRef
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing, outgoing_alert, outgoing_evidence
from edge.settings import Settings, read_settings, reloaded, restart_needed
from edge.signed import require_signed
from edge.vision.detector import OnnxDetector
from edge.vision.tiles import TileGrid, detect_in_tiles

log = logging.getLogger(__name__)

_SAVE_EVERY_NS = 5_000_000_000  # a restart in the air forgets at most this much of the looks


class PoseSource(Protocol):
    """Tells where the vehicle was and what time it was; `Telemetry` does."""

    def at(self, mono_ns: MonoNs) -> Pose | NoPose: ...

    def utc(self, mono_ns: MonoNs) -> UtcTime: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """An alert that the mailbox has accepted."""

    alert: Alert
    seq: int
    n_bytes: int  # of the MQTT payload
    frame_to_outbox_s: float


@dataclass(slots=True)
class Stages:
    """The steps of one flight and what they share."""

    settings: Settings
    detectors: Mapping[str, OnnxDetector]
    poses: PoseSource
    mailbox: Mailbox
    evidence: EvidenceKeeper
    now: Callable[[], MonoNs]
    on_stored: Callable[[Stored], None]
    log: FlightLog | None = None
    delays: Mapping[str, DelayWatch] = field(default_factory=dict)
    fatal: tuple[type[Exception], ...] = ()  # what ends a replay; nothing ends a flight
    health: Health = field(default_factory=Health)
    heights: HeightWatch | None = None
    _district: District | None = None
    _saved_ns: int = 0
    _pictured: dict[bytes, bytes] = field(default_factory=dict)  # incident → hash of its picture
    _frame_sizes_px: dict[str, tuple[int, int]] = field(default_factory=dict)
    _agl_m: float = 0.0  # of the last pose: a frame's own pose is best known after its inference

    # --- verbs of the loop ------------------------------------------------------------------------

    @contextmanager
    def guard(self, event: Frame | Tick | Verdict | None) -> Iterator[None]:
        """Lose one event, count it, go on: the one place where any exception is caught."""
        try:
            yield
        except self.fatal:
            raise
        except Exception as error:
            if self.health.lose(error):  # each once; the counts tell of the rest
                log.exception("event_lost event=%s", type(event).__name__)

    def timed(self, frame: Frame) -> Frame:
        """Let the frame's time be as unsure as its camera's delay has been found to be."""
        return self.delays[frame.camera_id].timed(frame) if self.delays else frame

    def watch_delay(self, event: Frame | Tick) -> None:
        """Look, when there is time, whether the video is as late as configured."""
        for camera_id, watch in self.delays.items():
            watch.see(event)
            self.health.video_delays[camera_id] = video_delay(camera_id, watch.told)

    def detect(self, frame: Frame) -> list[Detection]:
        """Run the camera's detector and count what it did."""
        health, detector = self.health, self.detectors[frame.camera_id]
        health.frames += 1
        self._frame_sizes_px[frame.camera_id] = (frame.width_px, frame.height_px)
        grid = self._tiles_of(frame.camera_id)
        if grid is None:
            detections, inference_s = detector.detect(frame.image_bgr), detector.last_inference_s
        else:
            looked = detect_in_tiles(detector, frame.image_bgr, grid)
            detections, inference_s = looked.detections, looked.inference_s
        if health.inferences == 0:
            log.info("first_inference camera=%s index=%d", frame.camera_id, frame.index)
        health.inferences += 1 if grid is None else grid.n_inferences
        health.frame_rate.count(frame.captured_mono_ns)
        health.inference_s.append(inference_s)
        health.detections += len(detections)
        return detections

    def district(self, pose: Pose) -> District:
        """Return the district; the first pose ever may have to say where its origin is."""
        self._agl_m = pose.above_home_m if pose.terrain_agl_m is None else pose.terrain_agl_m
        if self.heights is not None:
            self.heights.look(pose)
        if self._district is None:
            utc = self.poses.utc(pose.mono_ns)
            self._district = open_district(self.settings, pose, utc, self._new_incident_id)
        return self._district

    def admit(self, located: Sequence[Sighting | Unlocated], district: District) -> list[Sighting]:
        """Keep the sightings that a rule wants; count why others have no place."""
        admitted = []
        for item in located:
            if isinstance(item, Unlocated):
                self.health.no_geotag[item.reason.value] += 1
            elif district.rules.admits(item):
                admitted.append(item)
        self.health.sightings += len(admitted)
        return admitted

    def keep_pictures(self, frame: Frame, pose: Pose, district: District) -> None:
        """Keep the crop of each incident whose best look this frame is."""

        def finest(part: Xyxy) -> float | None:
            return district.finest_gsd(part, frame, pose)

        for dossier in district.incidents.touched():
            best = dossier.best
            is_of_frame = best.captured_mono_ns == frame.captured_mono_ns
            if is_of_frame and best.camera_id == frame.camera_id:
                self.evidence.offer(dossier.incident_id, frame, best, finest)

    def due(self, now_mono_ns: MonoNs) -> list[Verdict]:
        """Return the alerts that are due; none before the first pose."""
        district = self._district
        return [] if district is None else district.rules.due(district.incidents, now_mono_ns)

    def store(self, verdict: Verdict, now_mono_ns: MonoNs) -> None:
        """Put an alert and its picture into the mailbox; what it refuses is tried again later."""
        district = self._district
        if district is None or not district.rules.stands(verdict):
            return
        is_stored = False
        try:
            alert, messages = self._messages(verdict, district)
            seqs = self.mailbox.put_all(messages)
            is_stored = True
            self._note_picture(alert)
        finally:  # whatever went wrong, what is not stored has not been told
            if not is_stored:
                district.rules.refused(verdict, district.incidents, now_mono_ns)
        health = self.health
        health.stored += 1
        health.verdicts[verdict.kind.name.lower()] += 1
        frame_to_outbox_s = (self.now() - now_mono_ns) * 1e-9
        health.frame_to_outbox_s.append(frame_to_outbox_s)
        stamp = Stamp(self.mailbox.epoch, seqs[0])
        n_bytes = len(seal(MessageKind.ALERT, stamp, messages[0].body))
        self.on_stored(Stored(alert, seqs[0], n_bytes, frame_to_outbox_s))

    def note(
        self, frame: Frame, seen: Sequence[Detection], pose: Pose | NoPose,
        located: Sequence[Sighting | Unlocated] = (),
    ) -> None:  # fmt: skip
        """Let a replay write the look down; in flight there is no log."""
        if self.log is not None:
            self.log.note(Look(frame, seen, pose, located), self._district)

    def incident_counts(self) -> dict[str, int]:
        """Return what association did: incidents by state, sightings absorbed, merged, lost."""
        return {} if self._district is None else asdict(self._district.incidents.health())

    def looks_wanted(self, mono_ns: MonoNs) -> list[Suggestion]:
        """Return from where one more look would help most, of the vaguest places."""
        district = self._district
        if district is None:
            return []
        return suggestions(district.incidents, district.rules.book, mono_ns)

    def candidates_dropped(self) -> Counter[str]:
        """Count by reason what the detectors found and took for no box with a label."""
        total: Counter[str] = Counter()
        for detector in self.detectors.values():
            total.update({why.value: n for why, n in detector.dropped.items()})
        return total

    def housekeep(self, mono_ns: MonoNs) -> None:
        """Keep the incidents on disk, so that a restart in the air repeats no alert."""
        if self._district is not None:
            self._district.settle_times(self.poses.utc)
        if mono_ns - self._saved_ns >= _SAVE_EVERY_NS:
            self.save(mono_ns)

    def finish(self, mono_ns: MonoNs) -> None:
        """End the flight: say `end` for what was followed, keep what is known."""
        if self._district is not None:
            for verdict in self._district.rules.finish(self._district.incidents, mono_ns):
                with self.guard(verdict):
                    self.store(verdict, mono_ns)
            self.save(mono_ns)
        log.info(
            "made_way candidates=%s crops=%d evidence_files=%d",
            dict(self.candidates_dropped()),
            self.evidence.crops_dropped,
            self.evidence.files_dropped,
        )
        self.tell_errors()

    def tell_errors(self) -> None:
        """Log how often each error has cost an event."""
        if self.health.errors:
            log.warning("events_lost counts=%s", dict(self.health.errors))

    # --- what only a restart or a reload needs ----------------------------------------------------

    def save(self, mono_ns: MonoNs) -> None:
        """Write the incidents to the state folder; on a full disk pictures make way for them."""
        self._saved_ns = mono_ns
        if self._district is None:
            return
        utc_ns = self.poses.utc(mono_ns).utc_ns
        try:
            save_incidents(self.settings, self._district, mono_ns, utc_ns)
        except SkywhistleError as error:
            if not (is_for_want_of_room(error.__cause__) and self.mailbox.make_room()):
                raise
            save_incidents(self.settings, self._district, mono_ns, utc_ns)

    def reload(self) -> None:
        """Take over changed rules and zones, all or nothing; say what needs a restart."""
        district = self._district
        try:
            fresh = read_settings(self.settings.path)
            if self.settings.signers:
                require_signed(fresh, self.settings.signers)
            taken = reloaded(self.settings, fresh)
            patrol = taken.patrol
            # Also before the first pose: what cannot be read must be refused now, not then.
            plane = None if district is None else district.plane
            book = rule_book(patrol, plane, self.poses.utc(self.now()).utc_ns)
            refuse_unknown_labels(patrol, (one.labels for one in self.detectors.values()))
        except ConfigError as error:
            log.error("reload_refused reason=%s", str(error).replace("\n", "; "))
            return
        if late := restart_needed(self.settings.patrol, fresh.patrol):
            log.warning("reload_partial restart_needed=%s", ",".join(late))
        self.settings = taken
        lower_to_rules(self.detectors.values(), patrol)
        if district is not None:
            district.reload(patrol, book)
        log.info("reloaded config_hash=%s", taken.config_hash.hex())

    def _new_incident_id(self) -> bytes:
        """Make a UUID of version 7 (RFC 9562): milliseconds first, so that ids sort by time."""
        utc_ns = self.poses.utc(self.now()).utc_ns or 0
        value = (utc_ns // 1_000_000 & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
        value = value & ~(0xF << 76) | 0x7 << 76
        return (value & ~(0x3 << 62) | 0x2 << 62).to_bytes(16, "big")

    def _messages(self, verdict: Verdict, district: District) -> tuple[Alert, list[Outgoing]]:
        incident = verdict.incident
        picture = self.evidence.store(incident.incident_id)
        is_timed = district.knows_time_of(incident)
        utc = self.poses.utc(incident.best.captured_mono_ns) if is_timed else UNKNOWN_TIME
        lat_deg, lon_deg = district.plane.geodetic_from_enu(incident.east_m, incident.north_m)
        alert = compose_alert(
            verdict,
            AlertContext(
                lat_deg=lat_deg,
                lon_deg=lon_deg,
                ellipse=ellipse_from_covariance(incident.covariance),
                time=utc,
                frame_size_px=self._frame_size_px(incident.best),
                model_hash=self._model_hash(incident.best.camera_id),
                config_hash=self.settings.config_hash,
                evidence_hash=picture.hash8 if isinstance(picture, EvidenceRef) else b"",
                flags=AlertFlags(advisory=self._is_advisory(incident)),
            ),
        )
        messages = [outgoing_alert(alert)]
        is_known = self._pictured.get(incident.incident_id) == alert.evidence_hash
        if isinstance(picture, EvidenceRef) and not is_known:
            messages.append(outgoing_evidence(alert, picture.path))
        return alert, messages

    def _note_picture(self, alert: Alert) -> None:
        """Remember which picture of an incident is on its way: it is queued once."""
        if alert.evidence_hash:
            self._pictured[alert.incident_id] = alert.evidence_hash
            while len(self._pictured) > self.settings.patrol.association.max_incidents:
                del self._pictured[next(iter(self._pictured))]

    def _tiles_of(self, camera_id: str) -> TileGrid | None:
        """Say how a camera's frame is cut at this height; None: not at all."""
        tiles = next((c.tiles for c in self.settings.patrol.camera if c.id == camera_id), None)
        if tiles is None or self._agl_m < tiles.from_agl_m:
            return None
        return TileGrid(tiles.columns, tiles.rows, tiles.overlap, tiles.and_whole)

    def _model_hash(self, camera_id: str) -> bytes:
        """Return the hash of a camera's model; b"" for a camera that flew with it earlier only."""
        detector = self.detectors.get(camera_id)
        return b"" if detector is None else detector.model_hash

    def _is_advisory(self, incident: Incident) -> bool:
        """Say whether the model that saw it best says of itself that it often misses this label."""
        detector = self.detectors.get(incident.best.camera_id)
        return detector is not None and incident.label in detector.manifest.advisory

    def _frame_size_px(self, best: Sighting) -> tuple[int, int] | None:
        """Return the size of the camera's frames; of its calibration before the first frame.

        None: an incident of an earlier flight, seen by a camera that this one does not have.
        """
        if best.camera_id not in self._frame_sizes_px:
            camera = next((c for c in self.settings.patrol.camera if c.id == best.camera_id), None)
            if camera is None:
                return None
            intrinsics = flown_intrinsics(camera)
            self._frame_sizes_px[camera.id] = (intrinsics.width_px, intrinsics.height_px)
        return self._frame_sizes_px[best.camera_id]


def lower_to_rules(detectors: Iterable[OnnxDetector], patrol: PatrolConfig) -> None:
    """Let each detector give what the most curious rule on its labels asks for, and no more."""
    for detector in detectors:
        scores = [
            rule.min_score
            for rule in patrol.rule
            if not set(rule.labels).isdisjoint(detector.labels)
        ]
        detector.min_score = min(scores, default=1.0)
