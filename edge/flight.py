"""`skywhistle flight`: the loop on a live aircraft, from opening the wires to closing them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edge import __version__
from edge.build import build_stages, trusted_utc_ns
from edge.capture.events import events
from edge.capture.link import MavlinkLink
from edge.capture.rates import missing
from edge.capture.streams import VideoStream
from edge.capture.telemetry import Telemetry
from edge.capture.video import open_video
from edge.capture.video_records import VideoSource, VideoState
from edge.config import CameraConfig, PatrolConfig
from edge.errors import MailboxError
from edge.health import Health
from edge.machine import release_free_memory, settle_memory
from edge.pipeline import fly
from edge.protocol.command import Verb
from edge.protocol.status import FlightStatus, LinkState, LookWanted
from edge.records import AlertKind, Frame, MonoNs, Tick
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.obey import Deed, obey
from edge.report.rolelock import RoleLock
from edge.report.status import uplink_health_from
from edge.settings import Settings
from edge.signed import list_of
from edge.stages import Stages, Stored
from edge.watchdog import Watchdog

log = logging.getLogger(__name__)

_THERMAL_ZONES = Path("/sys/class/thermal")
_MILLIDEGREES = 1000.0
_UPLINK_SILENT_S = 15.0  # at least; three status intervals if that is more
# A camera that this flight has seen and that has been silent for so long, however often it was
# opened again: the flight lets itself be started afresh, once.
_CAMERA_SILENT_NS = 120_000_000_000


@dataclass(slots=True)
class Watch:
    """What happens beside the loop's verbs: status, reload, a change worth a log line."""

    settings: Settings
    stages: Stages
    link: MavlinkLink
    sources: Sequence[VideoSource]
    mailbox: Mailbox
    reload: threading.Event
    deeds: Mapping[Verb, Deed] = field(default_factory=dict)
    watchdog: Watchdog = field(default_factory=Watchdog)
    _config_mtime_ns: int = 0
    _status_due_ns: int = 0
    _lost_told: int = 0  # events that the guard had caught by the last status
    _repeats_told: int = 0
    _states: dict[str, VideoState] = field(default_factory=dict)
    _pictures: dict[str, tuple[int, int]] = field(default_factory=dict)  # how many, since when
    _is_blind: bool = False
    _autopilot: tuple[object, ...] = ()
    _uplink: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        self._config_mtime_ns = self._mtime_ns()

    def pass_through(self, stream: Iterator[Frame | Tick]) -> Iterator[Frame | Tick]:
        """Hand every event on; at ticks, look around."""
        for event in stream:
            yield event
            if not self._is_blind:
                self.watchdog.alive()
            if isinstance(event, Tick):
                with self.stages.guard(event):  # a status that fails must not end the flight
                    self.look_around(event.mono_ns)
                with self.stages.guard(event):  # nor may a command that fails keep the status back
                    obey(self.mailbox, self.deeds)

    def look_around(self, mono_ns: MonoNs) -> None:
        """Reload a changed config, log a camera's change of state, tell the status."""
        if self.reload.is_set() or self._mtime_ns() != self._config_mtime_ns:
            self.reload.clear()
            self._config_mtime_ns = self._mtime_ns()
            self.stages.reload()
        silent = [self._is_silent(source, mono_ns) for source in self.sources]
        self._is_blind = any(silent)
        for source in self.sources:
            health = source.health()
            if self._states.get(source.camera_id) != health.state:
                self._states[source.camera_id] = health.state
                log.info(
                    "camera_changed camera=%s state=%s size=%dx%d decoder=%s error=%s",
                    source.camera_id,
                    health.state.value,
                    health.width_px,
                    health.height_px,
                    health.decoder,
                    health.last_error,
                )
        if mono_ns >= self._status_due_ns:
            self._status_due_ns = mono_ns + int(self.settings.patrol.status.interval_s * 1e9)
            self._tell_status(mono_ns)
            release_free_memory()
            self.stages.evidence.originals.expire()
            self._look_at_autopilot()
            self._look_at_uplink()
            self._look_at_errors()

    def _is_silent(self, source: VideoSource, mono_ns: MonoNs) -> bool:
        """Tell whether a camera that gave pictures gives none any more; dark ones count, too."""
        health = source.health()
        n = health.frames + health.black + health.frozen + health.dropped
        n_before, since_ns = self._pictures.get(source.camera_id, (0, mono_ns))
        if n != n_before:
            since_ns = mono_ns
        self._pictures[source.camera_id] = (n, since_ns)
        is_silent = n > 0 and source.is_live and mono_ns - since_ns > _CAMERA_SILENT_NS
        if is_silent and not self._is_blind:
            silent_s = (mono_ns - since_ns) / 1e9
            log.error("camera_silent camera=%s for_s=%.0f", source.camera_id, silent_s)
        return is_silent

    def _look_at_errors(self) -> None:
        """Log what keeps going wrong each time it has doubled: a log on a disk is bounded, too."""
        repeats = self.stages.health.repeats()
        if repeats > 2 * self._repeats_told:
            self._repeats_told = repeats
            self.stages.tell_errors()

    def _look_at_autopilot(self) -> None:
        """Log what has changed about the vehicle: who it is, its gimbal, time, what it lacks."""
        health, asked_hz = self.link.health(), self.link.asked_hz()
        lacking = tuple(missing(asked_hz, health.rates_hz))
        seen = (
            health.connected,
            health.firmware,
            health.gimbal_kind.value,
            health.time_source.value,
            health.reboots,
            lacking,
        )
        if seen == self._autopilot:
            return
        self._autopilot = seen
        log.info(
            "autopilot_changed connected=%s firmware=%s gimbal=%s time=%s reboots=%d "
            "rates=%s lacking=%s bad_crc=%d other_vehicles=%d",
            *seen[:-1],
            ",".join(f"{name}:{health.rates_hz.get(name, 0.0):.1f}" for name in asked_hz),
            ",".join(lacking) or "nothing",
            health.bad_crc,
            health.other_vehicle,
        )

    def _look_at_uplink(self) -> None:
        """Log what has changed about the other program: whether it runs, and has its broker."""
        silent_s = max(_UPLINK_SILENT_S, 3 * self.settings.patrol.status.interval_s)
        health = uplink_health_from(self.mailbox, silent_s)
        seen = (False, False, "") if health is None else (True, health.is_up, health.reason)
        if seen == self._uplink:
            return
        self._uplink = seen
        queued = self.mailbox.queue_state().queued
        log.info("uplink_changed runs=%s up=%s reason=%s queued=%d", *seen, queued)

    def _tell_status(self, mono_ns: MonoNs) -> None:
        try:
            self.mailbox.set_flight_status(self.status(mono_ns))
        except MailboxError as error:  # a full disk: the flight goes on, the next try is soon
            log.warning("status_not_stored reason=%s", error)

    def status(self, mono_ns: MonoNs) -> FlightStatus:
        """Gather what the drone says of itself."""
        health, evidence = self.stages.health, self.stages.evidence
        # In the order of the cameras, each model once.
        hashes = list(dict.fromkeys(d.model_hash for d in self.stages.detectors.values()))
        return FlightStatus(
            version=__version__,
            model_hash=hashes[0],
            other_models=tuple(hashes[1:]),
            config_hash=self.stages.settings.config_hash,
            frame_rate_hz=sum(source.health().rate_hz for source in self.sources),
            inference_rate_hz=health.frame_rate.hz(mono_ns),
            frames_dropped=sum(source.health().dropped for source in self.sources),
            detections=health.detections,
            alerts=health.stored,
            link=LinkState.UP if self.link.health().connected else LinkState.DOWN,
            temperature_c=hottest_c(),
            note=self._worst(),
            candidates_dropped=self.stages.candidates_dropped().total(),
            pictures_dropped=evidence.crops_dropped + evidence.files_dropped,
            video_delays=tuple(health.video_delays.values()),
            looks_wanted=tuple(
                LookWanted(one.incident_id, one.from_deg, one.ce90_m)
                for one in self.stages.looks_wanted(mono_ns)
            ),
        )

    def _worst(self) -> str:
        """Name the worst thing that is wrong, "" where nothing is."""
        for detector in self.stages.detectors.values():
            if not detector.provider_is_as_asked:
                return f"provider {detector.provider_got}"
        for source in self.sources:
            state = source.health().state
            if state in {VideoState.LOST, VideoState.FROZEN, VideoState.BLACK}:
                return f"camera {source.camera_id} {state.value}"
        if not self.link.health().connected:
            return "no autopilot"
        heights = self.stages.heights
        if heights is not None and heights.doubt is not None:
            return f"terrain {heights.doubt.kind.value}"
        health = self.stages.health
        for delay in health.video_delays.values():
            if delay.is_off:
                return f"camera {delay.camera_id} video {delay.video_delay_ms} ms late"
        is_new, self._lost_told = health.lost_events > self._lost_told, health.lost_events
        return health.last_error if is_new else ""  # what went wrong an hour ago is in the log

    def _mtime_ns(self) -> int:
        path = self.settings.path
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:  # an editor is replacing it: look again at the next tick
            return self._config_mtime_ns
        with suppress(OSError):  # signed after it was changed, it may be taken over now
            changed_ns = max(changed_ns, list_of(path).stat().st_mtime_ns)
        return changed_ns


def fly_aircraft(
    settings: Settings,
    stop: threading.Event,
    reload: threading.Event,
    watchdog: Watchdog | None = None,
) -> None:
    """Fly until `stop`, or until every camera was a file that has ended.

    The watchdog hears of each turn of the loop, and of none while a camera has fallen silent.

    Raises:
        ConfigError, ModelError: Nothing was opened.
        RoleTakenError: Another flight uses this mailbox.
        VideoError, TelemetryError: A source or link can never open as configured.
    """
    patrol = settings.patrol
    settle_memory()
    with ExitStack() as stack:
        stack.enter_context(RoleLock(patrol.mailbox.path, "flight"))
        telemetry = Telemetry(patrol.autopilot)
        clocks = Clocks(utc_ns=lambda: trusted_utc_ns(telemetry.utc(_mono_ns())))
        pictures = patrol.evidence.folder if patrol.evidence.enabled else None
        mailbox = stack.enter_context(Mailbox(patrol.mailbox, clocks, pictures))
        link = MavlinkLink(patrol.autopilot, telemetry, patrol.state_dir)
        stages = build_stages(
            settings, telemetry, mailbox, now=_mono_ns, on_stored=_announcer(patrol, link)
        )
        link.start()
        stack.callback(link.close)
        sources = [
            open_video(camera, partial(announced_stream, camera, link)) for camera in patrol.camera
        ]
        deeds: dict[Verb, Deed] = {
            Verb.PING: lambda _command: f"flying, version {__version__}",
            Verb.RELEASE: lambda command: stages.evidence.originals.release(
                command, mailbox.put_all
            ),
        }
        watch = Watch(
            settings, stages, link, sources, mailbox, reload, deeds, watchdog or Watchdog()
        )
        log.info("flight_started drone=%s cameras=%d", patrol.drone_id, len(sources))
        fly(watch.pass_through(events(sources, stop)), stages)
        watch.look_around(_mono_ns())
    _log_end(stages.health, link)


def _log_end(health: Health, link: MavlinkLink) -> None:
    heard = link.health()
    log.info(
        "flight_ended frames=%d detections=%d sightings=%d alerts=%d lost_events=%d no_pose=%s "
        "no_geotag=%s mavlink=%d bad_crc=%d reboots=%d gimbal=%s",
        health.frames,
        health.detections,
        health.sightings,
        health.stored,
        health.lost_events,
        dict(health.no_pose),
        dict(health.no_geotag),
        heard.messages,
        heard.bad_crc,
        heard.reboots,
        heard.gimbal_kind.value,
    )


def announced_stream(camera: CameraConfig, link: MavlinkLink) -> VideoStream | None:
    """Choose which announced stream a camera with source `mavlink` plays; None: none yet."""
    streams = link.video_streams()
    wanted = camera.mavlink_stream
    return next((s for s in streams if wanted in (0, s.stream_id)), None)


def hottest_c() -> float | None:
    """Read the hottest thermal zone; None where the computer has none."""
    readings = []
    for zone in _THERMAL_ZONES.glob("thermal_zone*/temp"):
        try:
            readings.append(int(zone.read_text()) / _MILLIDEGREES)
        except (OSError, ValueError):  # a zone that is switched off answers with an error
            continue
    return max(readings, default=None)


def _announcer(patrol: PatrolConfig, link: MavlinkLink) -> Callable[[Stored], None]:
    def announce(stored: Stored) -> None:
        if patrol.autopilot.statustext and stored.alert.kind is AlertKind.NEW:
            link.say(f"{stored.alert.rule}: {stored.alert.label}", severity=4)

    return announce


def _mono_ns() -> MonoNs:
    return MonoNs(time.monotonic_ns())
