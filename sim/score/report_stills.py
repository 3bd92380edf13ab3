"""The report's part on single pictures: shares by tag, each miss and each false alarm shown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sim.score.report_html import data_uri, image, section, table
from sim.score.stills import StillLook, StillScore


def stills_section(score: StillScore, most: int) -> str:
    """Return the section.

    Args:
        score: Of a folder of tagged pictures.
        most: Bound on the pictures of misses, and on those of false alarms.
    """
    plain = score.plain()
    rows = []
    for tag, one in plain["by_tag"].items():
        told = ", ".join(f"{label} {n}" for label, n in one["told"].items())
        labels = " or ".join(one["labels"]) or "nothing"
        if one["labels"]:
            found = f"{one['found']} of {one['pictures']}"
            share, lower = f"{one['share_found']:.2f}", f"{one['share_at_min_score']:.2f}"
        else:
            found, share, lower = f"{one['false_alarms']} false", "", ""
        rows.append((tag, labels, str(one["pictures"]), found, share, lower, told))
    head = ("tag", "stands for", "pictures", "found", "share", "share at min_score", "boxes told")
    at = ", ".join(f"{label} {value:.2f}" for label, value in score.thresholds.items())
    text = (
        f"<p>Model {escape(score.model_name)} {escape(score.model_hash)}, at the thresholds that "
        f"the rules ask of an incident: {escape(at)}. False alarms per 10 pictures of nothing: "
        f"<b>{_or_dash(plain['false_alarms_per_10'])}</b> boxes, on "
        f"{_or_dash(plain['flagged_per_10'])} of 10 pictures. Boxes of another class on a tagged "
        "picture are not judged.</p>"
    )
    missed = [look for look in score.looks if look.is_miss]
    false = [look for look in score.looks if look.false_alarms]
    body = text + table(head, rows)
    body += _cards("Missed", missed, most) + _cards("False alarms", false, most)
    return section("Single pictures", body)


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _cards(title: str, looks: Sequence[StillLook], most: int) -> str:
    cards = "".join(_card(look) for look in looks[:most] if look.picture_webp is not None)
    left_out = len(looks) - most
    note = f"<p>{left_out} more are left out.</p>" if left_out > 0 else ""
    body = f"<div class=cards>{cards}</div>{note}" if looks else "<p>None.</p>"
    return f"<h3>{title}: {len(looks)}</h3>{body}"


def _card(look: StillLook) -> str:
    still = look.still
    picture = image(data_uri(look.picture_webp or b"", "webp"), still.path.name)
    best = ", ".join(f"{label} {value:.2f}" for label, value in look.best.items()) or "nothing"
    return (
        f"<figure>{picture}<figcaption><b>{escape(still.tag)}</b> best: {escape(best)}. "
        f"<i>{escape(still.path.name)}</i> {escape(still.note)}</figcaption></figure>"
    )
