"""What each rule's threshold would have given: for whoever tunes patrol.toml on recorded flights.

The flights are replayed once with every threshold at its rule's min_score; an incident then counts
at a threshold if its score, the median of its looks, ever reached it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge.capture.recording import open_flight
from edge.errors import FlightError
from edge.records import Alert
from edge.replay import ReplayRequest, replay, replay_settings
from edge.settings import Settings
from sim.score.flight import ScoreOrder
from sim.score.matching import Truth, newest_words, read_truth, score, scored_alert

STEP = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """What one class would give at one threshold.

    Attributes:
        is_rule: Whether the config's threshold lies in this step.
    """

    label: str
    threshold: float
    truths: int
    found: int
    alerts: int
    right: int
    is_rule: bool

    @property
    def recall(self) -> float | None:
        """Found ÷ shown."""
        return self.found / self.truths if self.truths else None

    @property
    def precision(self) -> float | None:
        """Right ÷ alerts; duplicates are not right."""
        return self.right / self.alerts if self.alerts else None

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "recall": self.recall, "precision": self.precision}


@dataclass(frozen=True, slots=True)
class _Flown:
    """A flight's incidents with the best score that each ever had, and what was there."""

    alerts: tuple[tuple[Alert, float], ...]
    truth: Truth
    thresholds: dict[str, float]  # the rules', by label


def sweep(
    folders: Sequence[Path], order: ScoreOrder, on_frame: Callable[[], None] = lambda: None
) -> list[Asked]:
    """Replay flights and say, class by class, what thresholds would have given.

    Raises:
        FlightError: A folder is no flight, or has no truth.
        ConfigError, ModelError: The config or the model cannot be used.
    """
    flown = [_fly(folder, order, on_frame) for folder in folders]
    seen = {t.label for one in flown for t in one.truth.things if t.is_violation and t.is_shown}
    labels = sorted(seen | {alert.label for one in flown for alert, _ in one.alerts})
    lowest = min((low for one in flown for low in one.thresholds.values()), default=STEP)
    steps = [round(i * STEP, 2) for i in range(1, round(1 / STEP)) if i * STEP >= lowest - STEP]
    return [_at(flown, label, threshold) for label in labels for threshold in steps]


def _at(flown: Iterable[_Flown], label: str, threshold: float) -> Asked:
    truths = found = alerts = right = 0
    is_rule = False
    for one in flown:
        scored = score(
            [scored_alert(a) for a, best in one.alerts if a.label == label and best >= threshold],
            one.truth,
        )
        shown = [t for t in one.truth.things if t.is_violation and t.is_shown and t.label == label]
        truths += len(shown)
        found += len(shown) - sum(t.label == label for t in scored.missed)
        alerts += len(scored.matches)
        right += sum(m.truth is not None and not m.is_duplicate for m in scored.matches)
        own = one.thresholds.get(label)
        is_rule |= own is not None and threshold - STEP / 2 < own <= threshold + STEP / 2
    return Asked(label, threshold, truths, found, alerts, right, is_rule)


def _fly(folder: Path, order: ScoreOrder, on_frame: Callable[[], None]) -> _Flown:
    recorded = open_flight(folder)
    if recorded.spec.truth is None:
        raise FlightError(f"{folder}: has no truth to score against")
    truth = read_truth(recorded.path(recorded.spec.truth.file))
    with tempfile.TemporaryDirectory(prefix="skywhistle-sweep-") as scratch:
        out = Path(scratch)
        config = order.config or order.config_for(recorded)
        settings = replay_settings(recorded, out, config, order.model)
        request = ReplayRequest(
            recorded, _lowered(settings), out, backdrop=False, on_event=lambda _event: on_frame()
        )
        result = replay(request)
        result.mailbox.close()
    best: dict[bytes, float] = {}
    for stored in result.stored:
        alert = stored.alert
        best[alert.incident_id] = max(best.get(alert.incident_id, 0.0), alert.score)
    words = newest_words(one.alert for one in result.stored)
    rules = settings.patrol.rule
    return _Flown(
        tuple((alert, best[alert.incident_id]) for alert in words),
        truth,
        {label: rule.threshold for rule in reversed(rules) for label in rule.labels},
    )


def _lowered(settings: Settings) -> Settings:
    """Let every rule alert as soon as it has its looks, and tell each change of its score."""
    patrol = settings.patrol
    rules = tuple(
        rule.model_copy(update={"threshold": rule.min_score, "cooldown_s": 0.0})
        for rule in patrol.rule
    )
    return replace(settings, patrol=patrol.model_copy(update={"rule": rules}))
