"""What counts as a violation, and when the centre is told: `new`, `update`, `end`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge.accuracy import ce90_m, ellipse_from_covariance
from edge.config import RuleConfig
from edge.errors import ConfigError
from edge.patrol.dossier import Dossier
from edge.patrol.grid import Grid
from edge.patrol.incidents import Incidents
from edge.patrol.register import Register
from edge.patrol.told import Change, Told, change_since, size_of, told_by
from edge.patrol.zones import Zones
from edge.records import AlertKind, Detection, Incident, IncidentState, Sighting, Verdict

log = logging.getLogger(__name__)

SWEEP_EVERY_NS = 1_000_000_000  # `end` and waiting updates need not be punctual
RETRY_NS = 5_000_000_000  # after the mailbox refused


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules and what they refer to; swapped as a whole."""

    rules: tuple[RuleConfig, ...]
    zones: Zones = field(default_factory=lambda: Zones({}))
    grid: Grid = field(default_factory=Grid)
    codes: Mapping[str, str] = field(default_factory=dict)  # label → event code
    register: Register = field(default_factory=Register)

    def __post_init__(self) -> None:
        for rule in self.rules:
            for name in (*rule.inside, *rule.outside, *([rule.near] if rule.near else [])):
                if name not in self.zones.names:
                    known = ", ".join(sorted(self.zones.names)) or "none"
                    raise ConfigError(f"rule {rule.name!r} names zone {name!r}; there are: {known}")

    def named(self, name: str) -> RuleConfig | None:
        """Return a rule by name; None when it is gone."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def first_match(self, incident: Incident) -> RuleConfig | None:
        """Return the first rule, in the file's order, that an incident satisfies.

        None also where it stands with leave.
        """
        found = next((rule for rule in self.rules if self.matches(rule, incident)), None)
        return None if found and self.register.permit_of(incident) else found

    def matches(self, rule: RuleConfig, incident: Incident) -> bool:
        """Tell whether an incident is what a rule looks for.  Its place is the fused one."""
        size_m = size_of(incident)
        return (
            incident.label in rule.labels
            and incident.looks >= rule.min_looks
            and incident.median_score >= rule.threshold
            and size_m >= rule.min_size_m
            and (rule.max_size_m is None or size_m <= rule.max_size_m)
            and self._is_in_place(rule, incident.east_m, incident.north_m)
        )

    def _is_in_place(self, rule: RuleConfig, east_m: float, north_m: float) -> bool:
        if rule.inside and not any(self.zones.contains(z, east_m, north_m) for z in rule.inside):
            return False
        if any(self.zones.contains(zone, east_m, north_m) for zone in rule.outside):
            return False
        return not rule.near or self.zones.distance_m(rule.near, east_m, north_m) <= rule.near_m


class Rules:
    """Decides which incidents the centre hears of, once each, and again when it matters."""

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self._min_scores = _min_scores(book.rules)
        self._waiting: dict[bytes, int] = {}  # incident → when to look at it again, mono_ns
        self._look_at_all = True  # rules that are new, or incidents that are
        self._swept_at_ns = -SWEEP_EVERY_NS
        self._is_last_call = False  # the flight ends: what is held is told now or never
        # What a verdict of the last `due` replaced, by incident and revision.
        self._before: dict[tuple[bytes, int], tuple[IncidentState, int, Told | None]] = {}

    def reload(self, book: RuleBook) -> None:
        """Fly on with other rules, zones, grid and codes.

        The book was checked when it was made, so this cannot fail half-way.  Incidents keep
        their rule as long as it exists; one whose rule is gone takes the first that it matches.
        """
        self.book = book
        self._min_scores = _min_scores(book.rules)
        self._look_at_all = True

    def min_scores(self) -> dict[str, float]:
        """Return, for each label that a rule wants, the lowest `min_score` of its rules."""
        return dict(self._min_scores)

    def admits(self, seen: Detection | Sighting) -> bool:
        """Tell whether a detection is worth a look: a rule wants its label at its score."""
        detection = seen.detection if isinstance(seen, Sighting) else seen
        return detection.score >= self._min_scores.get(detection.label, 2.0)

    def due(self, incidents: Incidents, mono_ns: int) -> list[Verdict]:
        """Return the alerts that are due now, and note them as told.

        Call it after each frame and each tick.  A verdict that could not be stored goes back by
        `refused`.
        """
        self._before.clear()
        dossiers = {one.incident_id: one for one in incidents.take_touched()}
        if self._look_at_all:
            dossiers = {one.incident_id: one for one in incidents.dossiers()}
            self._look_at_all = False
        verdicts: list[Verdict] = []
        if mono_ns - self._swept_at_ns >= SWEEP_EVERY_NS:
            self._swept_at_ns = mono_ns
            dossiers |= self._no_longer_waiting(incidents, mono_ns)
            verdicts += self._ends(incidents, mono_ns)
        for dossier in dossiers.values():
            if incidents.dossier(dossier.incident_id) is dossier:
                verdicts += self._news_of(dossier, incidents, mono_ns)
        return verdicts

    def finish(self, incidents: Incidents, mono_ns: int) -> list[Verdict]:
        """Return what is still due or held, then an `end` for every incident that is followed.

        It says that this flight follows them no more, not that they are gone: a missing
        detection never closes a case.
        """
        # There is no later: what the mailbox refused a moment ago is tried once more.
        self._waiting = dict.fromkeys(self._waiting, mono_ns)
        self._swept_at_ns = mono_ns - SWEEP_EVERY_NS
        self._look_at_all = self._is_last_call = True
        verdicts = self.due(incidents, mono_ns)
        return verdicts + [
            self._tell(dossier, self._last_words(dossier, dossier.told), incidents, mono_ns)
            for dossier in incidents.dossiers()
            if dossier.state is IncidentState.REPORTED and dossier.told is not None
        ]

    def stands(self, verdict: Verdict) -> bool:
        """Tell whether a verdict of the last `due` is still to be told."""
        return (verdict.incident.incident_id, verdict.revision) in self._before

    def refused(self, verdict: Verdict, incidents: Incidents, mono_ns: int) -> None:
        """Take back a verdict of the last `due` that the mailbox did not accept; retried later.

        What was to follow it about the same incident does not `stand` any more: an `end` of what
        nobody has heard of would keep its `new` from ever being told.
        """
        key = verdict.incident.incident_id
        dossier = incidents.dossier(key)
        before = self._before.get((key, verdict.revision))
        for told in [one for one in self._before if one[0] == key and one[1] >= verdict.revision]:
            del self._before[told]
        if dossier is None or before is None:
            return
        dossier.change(*before)
        self._waiting[key] = mono_ns + RETRY_NS

    def _no_longer_waiting(self, incidents: Incidents, mono_ns: int) -> dict[bytes, Dossier]:
        ready = [key for key, at_ns in self._waiting.items() if at_ns <= mono_ns]
        for key in ready:
            del self._waiting[key]
        found = ((key, incidents.dossier(key)) for key in ready)
        return {key: dossier for key, dossier in found if dossier is not None}

    def _ends(self, incidents: Incidents, mono_ns: int) -> list[Verdict]:
        verdicts = []
        for dossier in incidents.dossiers():
            if dossier.state is not IncidentState.REPORTED or dossier.told is None:
                continue
            rule = self.book.named(dossier.told.rule)
            if rule is None or rule.end_after_s is None:
                continue
            if mono_ns - dossier.last_mono_ns > rule.end_after_s * 1e9:
                end = self._last_words(dossier, dossier.told)
                verdicts.append(self._tell(dossier, end, incidents, mono_ns))
        return verdicts

    def _news_of(self, dossier: Dossier, incidents: Incidents, mono_ns: int) -> list[Verdict]:
        """Return the `new` or `update` that is due about one incident, if any."""
        if dossier.told is None:
            return self._first_alert(dossier, incidents, mono_ns)
        told = dossier.told
        rule = self.book.named(told.rule) or self.book.first_match(dossier.incident)
        if rule is None or not self._is_due(dossier, rule, told, mono_ns):
            return []
        verdict = self._verdict(AlertKind.UPDATE, dossier, rule)
        change = self._change(dossier, told, told_by(verdict, mono_ns, dossier.best_quality))
        if change is None:
            return []
        log.info("incident_update incident=%s why=%s", dossier.incident_id.hex(), change.value)
        return [self._tell(dossier, verdict, incidents, mono_ns)]

    def _first_alert(self, dossier: Dossier, incidents: Incidents, mono_ns: int) -> list[Verdict]:
        if dossier.incident_id in self._waiting:  # the mailbox refused it a moment ago
            return []
        rule = self.book.first_match(dossier.incident)
        if rule is None:
            return []
        incidents.decide(dossier.incident_id, IncidentState.CONFIRMED, None)
        is_held = rule.if_vague == "hold" and is_vague(rule, dossier.incident)
        if is_held and not self._is_last_call:
            return []  # confirmed, so it is not forgotten; the next look asks again
        log.info("incident_new incident=%s rule=%s", dossier.incident_id.hex(), rule.name)
        verdict = self._verdict(AlertKind.NEW, dossier, rule)
        return [self._tell(dossier, verdict, incidents, mono_ns)]

    def _is_due(self, dossier: Dossier, rule: RuleConfig, told: Told, mono_ns: int) -> bool:
        """Tell whether the cooldown has passed; until then the incident waits."""
        ready_ns = told.mono_ns + int(rule.cooldown_s * 1e9)
        if dossier.state is IncidentState.GONE:
            return dossier.looks - told.looks >= rule.min_looks and mono_ns >= ready_ns
        if mono_ns < ready_ns:
            self._waiting[dossier.incident_id] = ready_ns
            return False
        return dossier.incident_id not in self._waiting

    def _change(self, dossier: Dossier, told: Told, now: Told) -> Change | None:
        if dossier.state is IncidentState.GONE:
            return Change.SEEN_AGAIN
        return change_since(told, now)

    def _verdict(self, kind: AlertKind, dossier: Dossier, rule: RuleConfig) -> Verdict:
        incident = dossier.incident
        return Verdict(
            kind=kind,
            incident=incident,
            revision=dossier.next_revision,
            rule=rule.name,
            severity=rule.severity,
            department=rule.department,
            event_code=rule.event_code or self.book.codes.get(incident.label, ""),
            grid_cell=self.book.grid.cell_at(incident.east_m, incident.north_m),
            threshold=rule.threshold,
            is_coarse=rule.if_vague != "send" and is_vague(rule, incident),
        )

    def _last_words(self, dossier: Dossier, told: Told | None) -> Verdict:
        """Return an `end`, in the words of the last alert: its rule may be gone by now."""
        if told is None:
            raise ValueError("an incident that was never told of cannot end")
        rule = self.book.named(told.rule)
        return Verdict(
            kind=AlertKind.END,
            incident=dossier.incident,
            revision=dossier.next_revision,
            rule=told.rule,
            severity=told.severity,
            department=told.department,
            event_code=told.event_code,
            grid_cell=told.grid_cell,
            threshold=told.threshold,
            is_coarse=rule is not None
            and rule.if_vague != "send"
            and is_vague(rule, dossier.incident),
        )

    def _tell(
        self, dossier: Dossier, verdict: Verdict, incidents: Incidents, mono_ns: int
    ) -> Verdict:
        """Note a verdict as told and return it with the incident as it is now."""
        key = dossier.incident_id
        self._before[key, verdict.revision] = (dossier.state, dossier.revision, dossier.told)
        self._waiting.pop(key, None)
        is_end = verdict.kind is AlertKind.END
        state = IncidentState.GONE if is_end else IncidentState.REPORTED
        incidents.decide(key, state, told_by(verdict, mono_ns, dossier.best_quality))
        return replace(verdict, incident=dossier.incident)


def is_vague(rule: RuleConfig, incident: Incident) -> bool:
    """Tell whether an incident's place is known less well than its rule wants."""
    if rule.max_ce90_m is None:
        return False
    return ce90_m(ellipse_from_covariance(incident.covariance)) > rule.max_ce90_m


def _min_scores(rules: Sequence[RuleConfig]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for rule in rules:
        for label in rule.labels:
            scores[label] = min(rule.min_score, scores.get(label, 1.0))
    return scores
