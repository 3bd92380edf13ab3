"""Which labels somebody can report: a rule on any other would wait for ever, in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.config import PatrolConfig, RuleConfig
from edge.errors import LabelError
from edge.records import CLASS_NUMBERS

_FIRST_AIR_NUMBER = 32  # classes from here on are measured by a sensor, not seen (DESIGN section 2)
AIR_LABELS = frozenset(
    name for name, number in CLASS_NUMBERS.items() if number >= _FIRST_AIR_NUMBER
)


def refuse_unknown_labels(patrol: PatrolConfig, labels_of_models: Iterable[Sequence[str]]) -> None:
    """See that every label of every rule is one that some camera's model has.

    Raises:
        LabelError: One is not; names the rule, the label and what there is.
    """
    known = {label for labels in labels_of_models for label in labels}
    for rule in patrol.rule:
        if unknown := unknown_labels(rule, known):
            raise LabelError(
                f"rule {rule.name!r} is on label {unknown[0]!r}, which no camera's model has "
                f"(there are {', '.join(sorted(known))}); correct or remove the rule, or fly a "
                "model that knows it"
            )


def unknown_labels(rule: RuleConfig, known: Iterable[str]) -> list[str]:
    """List the labels of a rule that are neither known to a model nor measured in the air."""
    return sorted(set(rule.labels) - set(known) - AIR_LABELS)


def rules_that_can_fire(
    rules: Iterable[RuleConfig], known: Iterable[str]
) -> tuple[tuple[RuleConfig, ...], list[str]]:
    """Narrow rules to the labels of another model than they were written for.

    Returns:
        The rules that have a label left, narrowed to it; the labels left out, sorted.
    """
    known = set(known)
    kept, left_out = [], set()
    for rule in rules:
        unknown = unknown_labels(rule, known)
        left_out.update(unknown)
        labels = tuple(label for label in rule.labels if label not in unknown)
        if labels:
            kept.append(rule.model_copy(update={"labels": labels}))
    return tuple(kept), sorted(left_out)
