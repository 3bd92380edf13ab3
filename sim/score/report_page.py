"""The score report: one HTML page that needs nothing but itself, no script, no net."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from edge import __version__
from sim.score.figures import ELLIPSE_PROBABILITY, Tally, estimates
from sim.score.findings import Finding, FindingKind
from sim.score.gate import Verdict
from sim.score.intervals import Estimate, sigmas_of
from sim.score.matching import MATCH_WITHIN_M, MIN_SEEN_FRAMES
from sim.score.report_html import Cell, data_uri, image, section, table
from sim.score.report_plots import draw_plots
from sim.score.report_stills import stills_section
from sim.score.result import ScoreResult, machine

MAX_MAPS = 30
_CONFIDENCE = 0.975  # on each side: the page shows 95 % intervals
_HEADINGS = {
    FindingKind.MISS: "Missed",
    FindingKind.FALSE_ALARM: "False alarms",
    FindingKind.DUPLICATE: "Duplicates",
}


@dataclass(frozen=True, slots=True)
class PageOrder:
    """What the page shows beside the result."""

    title: str = "Skywhistle: score"
    verdicts: Sequence[Verdict] = ()
    max_pictures: int = 400
    notes: Sequence[str] = field(default_factory=tuple)


def score_page(result: ScoreResult, order: PageOrder) -> str:
    """Return the page.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    sigmas = sigmas_of(_CONFIDENCE)
    parts = [_head(result, order), _gate(order.verdicts)]
    if result.flights:
        parts += [
            _figures(result, sigmas),
            _plots(result, sigmas),
            _by_class(result, sigmas),
            _by_group("By texture family", result.by_family, sigmas),
            _by_group("By flight", result.by_flight, sigmas),
            _frames(result),
            *_findings(result, order.max_pictures),
            _maps(result),
        ]
    if result.pictures is not None:
        parts.append(stills_section(result.pictures, order.max_pictures))
    parts.append(_rules())
    return page(order.title, "\n".join(part for part in parts if part))


def page(title: str, body: str) -> str:
    """Wrap a body; the policy forbids every load from anywhere."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _head(result: ScoreResult, order: PageOrder) -> str:
    plain = result.plain()
    models = ", ".join(f"{one['name']} {one['hash']}" for one in plain["models"])
    on = machine()
    facts = [
        f"flights: {len(result.flights)}, {result.whole.flight_h * 60:.1f} minutes, "
        f"{plain['frames']} frames, {plain['inferences']} inferences"
        if result.flights
        else "no flights",
        f"model {models}"
        + (f"; config {', '.join(plain['config_hashes'])}" if plain["config_hashes"] else ""),
        f"Skywhistle {__version__} on {on['machine']}, ONNX Runtime {on['onnxruntime']}, "
        f"OpenCV {on['opencv']}",
        *order.notes,
    ]
    lines = "<br>\n".join(escape(fact) for fact in facts)
    return f"<h1>{escape(order.title)}</h1>\n<p class=facts>{lines}</p>"


def _gate(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    failed = [one for one in verdicts if one.has_failed]
    word = f"The gate failed: {len(failed)} of {len(verdicts)}" if failed else "The gate passed"
    passed = [one for one in verdicts if not one.has_failed]
    rows = f"<ul>{''.join(f'<li>{escape(one.text)}</li>' for one in failed)}</ul>"
    rest = "".join(f"<li>{escape(one.text)}</li>" for one in passed)
    rest = f"<details><summary>{len(passed)} tests passed</summary><ul>{rest}</ul></details>"
    return f'<div class="gate {"bad" if failed else "good"}"><b>{word}</b>{rows}{rest}</div>'


_FIGURE_WORDS = (
    ("recall", "recall", "{:.3f}"),
    ("precision", "precision", "{:.3f}"),
    ("false_alarms_per_h", "false alarms per flight hour", "{:.1f}"),
    ("false_cases_per_100", "false cases per 100", "{:.1f}"),
    ("duplicates_per_100", "duplicates per 100 alerts", "{:.1f}"),
    ("geotag_median_m", "geotag error, median, m", "{:.2f}"),
    ("geotag_p90_m", "geotag error, 90 %, m", "{:.2f}"),
    ("ellipse_hit_rate", f"truth in the {100 * ELLIPSE_PROBABILITY:.0f} % ellipse", "{:.3f}"),
)


def _figures(result: ScoreResult, sigmas: float) -> str:
    counted = result.whole
    of = {
        "recall": f"{counted.found} of {counted.truths} violations shown",
        "precision": f"{counted.right} of {counted.alerts} alerts",
        "false_alarms_per_h": f"{counted.false_alarms} in {counted.flight_h:.2f} h",
        "false_cases_per_100": f"{counted.false_alarms} of {counted.alerts} alerts",
        "duplicates_per_100": f"{counted.duplicates} of {counted.alerts} alerts",
        "geotag_median_m": f"{len(counted.errors_m)} right alerts",
        "geotag_p90_m": f"{len(counted.errors_m)} right alerts",
        "ellipse_hit_rate": f"{counted.ellipse_hits} of {len(counted.errors_m)} right alerts",
    }
    found = estimates(counted, sigmas)
    rows: list[Sequence[Cell]] = [
        (word, _value(found[name], form), _interval(found[name], form), of[name])
        for name, word, form in _FIGURE_WORDS
    ]
    plain = result.plain()
    rows += [
        (word, "–" if plain[name] is None else form.format(plain[name]), "", of_what)
        for name, word, form, of_what in _SPEED_WORDS
    ]
    if plain["lost_events"]:
        rows.append(("frames lost to an error", str(plain["lost_events"]), "", "see the log"))
    return section("Figures", table(("figure", "value", "95 % by chance alone", "from"), rows))


_SPEED_WORDS = (
    ("shown_to_alert_median_s", "first shown → alert stored, median, s", "{:.1f}", "flight time"),
    ("frame_to_outbox_p99_s", "frame → outbox, p99, s", "{:.3f}", "replay on this machine"),
    ("inference_ms_median", "inference, median, ms", "{:.1f}", "replay on this machine"),
)


def _value(estimate: Estimate | None, form: str) -> str:
    return "–" if estimate is None else form.format(estimate.value)


def _interval(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return ""
    return f"{form.format(estimate.lower)} to {form.format(estimate.upper)}"


def _plots(result: ScoreResult, sigmas: float) -> str:
    figures = "".join(
        f"<figure>{image(data_uri(plot.svg, 'svg+xml'), plot.title)}"
        f"<figcaption><b>{escape(plot.title)}.</b> {escape(plot.text)}</figcaption></figure>"
        for plot in draw_plots(result, sigmas)
    )
    return section("Plots", f"<div class=plots>{figures}</div>")


_GROUP_HEAD = (
    "", "shown", "found", "missed", "recall", "alerts", "false", "double", "precision",
    "error, median, m", "error, 90 %, m", "in the ellipse",
)  # fmt: skip


def _row(name: str, counted: Tally, sigmas: float) -> Sequence[Cell]:
    figures = estimates(counted, sigmas)
    return (
        name,
        str(counted.truths),
        str(counted.found),
        str(counted.missed),
        _value(figures["recall"], "{:.2f}"),
        str(counted.alerts),
        str(counted.false_alarms),
        str(counted.duplicates),
        _value(figures["precision"], "{:.2f}"),
        _value(figures["geotag_median_m"], "{:.1f}"),
        _value(figures["geotag_p90_m"], "{:.1f}"),
        _value(figures["ellipse_hit_rate"], "{:.2f}"),
    )


def _by_group(title: str, groups: Mapping[str, Tally], sigmas: float) -> str:
    if not groups:
        return ""
    rows = [_row(name, counted, sigmas) for name, counted in groups.items()]
    return section(title, table(_GROUP_HEAD, rows))


def _by_class(result: ScoreResult, sigmas: float) -> str:
    rows = [_row(label, counted, sigmas) for label, counted in result.by_class.items()]
    rows.append(_row("all", result.whole, sigmas))
    body = table(_GROUP_HEAD, rows)
    if causes := result.causes_by_class():
        labels = sorted({label for by_label in causes.values() for label in by_label})
        cause_rows = [
            (cause, *(str(n[label] or "") for label in labels), str(n.total()))
            for cause, n in causes.items()
        ]
        body += "<h3>False alarms: what lay there, and what it was told to be</h3>"
        body += table(("cause", *labels, "all"), cause_rows)
    return section("By class", body)


def _frames(result: ScoreResult) -> str:
    level = result.frame_level
    if level is None:
        return ""
    rows = [
        (label, str(level.n_true[label]), "–" if ap is None else f"{ap:.3f}")
        for label, ap in level.by_class.items()
    ]
    mean = "–" if level.map50 is None else f"{level.map50:.3f}"
    rows.append(("mean", str(sum(level.n_true.values())), mean))
    lacking = ", ".join(f"{name} ({n} boxes)" for name, n in level.unknown.items())
    note = f"<p class=bad>The model has no label for {escape(lacking)}.</p>" if lacking else ""
    text = (
        f"<p>The detector by itself, on {level.n_frames} frames: average precision at IoU 0.5. "
        "Boxes less than 60 % in view or shorter than 24 px are ignored.</p>"
    )
    return section("Frame by frame", text + note + table(("class", "boxes", "AP50"), rows))


def _findings(result: ScoreResult, most: int) -> Iterator[str]:
    by_kind = {
        kind: [
            (name, one)
            for name, flight in result.flights.items()
            for one in flight.findings
            if one.kind is kind
        ]
        for kind in _HEADINGS
    }
    pictured = {
        kind: [pair for pair in findings if pair[1].picture_webp is not None]
        for kind, findings in by_kind.items()
    }
    room = shared_out({kind: len(pairs) for kind, pairs in pictured.items()}, most)
    for kind, heading in _HEADINGS.items():
        findings = by_kind[kind]
        if not findings:
            if kind is not FindingKind.DUPLICATE:
                yield section(heading, "<p>None.</p>")
            continue
        drawn = spread(pictured[kind], room[kind])
        rest = [pair for pair in findings if pair not in drawn]
        body = "<p class=key>Red: the thing itself. Yellow: what the detector saw. Green: what is "
        body += "there. Grey: what is there and harmless.</p>"
        body += f"<div class=cards>{''.join(_card(*pair) for pair in drawn)}</div>"
        if rest:
            more = "more " if drawn else ""
            body += f"<p>{len(rest)} {more}without a picture (no frame shows it, or the limit of "
            body += f"{most} pictures is reached):</p><ul>{_listed(rest)}</ul>"
        yield section(f"{heading}: {len(findings)}", body)


def shared_out(wanted: Mapping[FindingKind, int], most: int) -> dict[FindingKind, int]:
    """Share room out evenly; what one does not need goes to the others."""
    room: dict[FindingKind, int] = {}
    for n, (kind, count) in enumerate(sorted(wanted.items(), key=lambda pair: pair[1])):
        room[kind] = min(count, (most - sum(room.values())) // (len(wanted) - n))
    return room


def spread(pairs: Sequence[tuple[str, Finding]], most: int) -> list[tuple[str, Finding]]:
    """Choose so many, evenly over all flights."""
    n = min(most, len(pairs))
    return [pairs[i * len(pairs) // n] for i in range(n)]


def _card(flight: str, finding: Finding) -> str:
    picture = image(data_uri(finding.picture_webp or b"", "webp"), finding.title)
    why = "; ".join(finding.why)
    where = f"{flight}, frame {finding.frame}"
    return (
        f"<figure>{picture}<figcaption><b>{escape(finding.title)}</b> "
        f"{escape(why)}. <i>{escape(where)}</i></figcaption></figure>"
    )


def _listed(findings: Iterable[tuple[str, Finding]]) -> str:
    return "".join(
        f"<li><b>{escape(one.title)}</b> {escape('; '.join(one.why))}. <i>{escape(name)}</i></li>"
        for name, one in findings
    )


def _maps(result: ScoreResult) -> str:
    maps = [
        (name, flight.map_webp)
        for name, flight in result.flights.items()
        if flight.map_webp is not None
    ]
    figures = "".join(
        f"<figure>{image(data_uri(webp, 'webp'), name)}</figure>" for name, webp in maps[:MAX_MAPS]
    )
    left_out = len(maps) - MAX_MAPS
    note = f"<p>{left_out} more maps are left out.</p>" if left_out > 0 else ""
    return section("Maps", f"<div class=maps>{figures}</div>{note}") if maps else ""


def _rules() -> str:
    return section(
        "How it is scored",
        f"""<p>Each recorded flight goes through the very pipeline that flies; the newest word on
each incident is what counts. An alert is right if its class is and it lies within
{MATCH_WITHIN_M:.0f} m of the thing's outline, whatever ellipse it claims; the right class in the
wrong place is a false alarm and a miss. Pairs are matched nearest first, one alert to one thing; a
further alert on it is a duplicate, which lowers precision and is no false alarm. A violation is
asked for when the camera saw it in at least {MIN_SEEN_FRAMES} frames (its middle in the picture,
60 % of it in view, 24 px long or more); one that was seen less is neither asked for nor held
against an alert on it. So shown = found + missed and alerts = right + double + false. The cause of
a false alarm is the nearest thing within {MATCH_WITHIN_M:.0f} m, else “nothing”. The geotag error
is the distance to where the truth says the thing is (of smoke: its foot). False cases per 100 are
false alarms per 100 alerts. Intervals: Wilson for shares, Byar for rates, binomial ranks for
quantiles.</p>""",
    )


_STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#f5f6f8;margin:0 auto;
 max-width:1240px;padding:24px}
h1{font-size:26px;margin:0 0 6px}h2{font-size:19px;margin:0 0 10px}
h3{font-size:15px;margin:18px 0 6px}
section{background:#fff;border:1px solid #dfe3e8;border-radius:8px;padding:16px 20px;margin:16px 0;
 overflow-x:auto}
.facts,figcaption,.key{color:#4a5563;font-size:13px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:3px 12px 3px 0;text-align:right;border-bottom:1px solid #eceff2;white-space:nowrap}
th{font-size:12.5px;color:#4a5563;font-weight:600}
th:first-child,td:first-child,td.text{text-align:left}
figure{margin:0}img{max-width:100%;display:block}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(480px,1fr));gap:22px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:16px}
.cards img{border-radius:4px;width:100%}.maps{display:grid;gap:20px}
.gate{border-radius:8px;padding:10px 18px;margin:16px 0;background:#e7f4ea;border:1px solid #9bcfa8}
.gate.bad{background:#fdeaea;border-color:#e4a3a3}.gate ul{margin:6px 0;padding-left:20px}
.bad{color:#9c1f1f}.good{color:#1d6b34}
"""
