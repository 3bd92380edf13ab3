"""The gate's verdicts as JUnit XML, which every CI server shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edge.errors import ConfigError
from sim.score.gate import Verdict

# Figures that a CI server should show beside the verdicts.
_PROPERTIES = (
    "skywhistle", "machine", "truths", "recall", "precision", "false_alarms_per_h", "duplicates",
    "geotag_median_m", "geotag_p90_m", "ellipse_hit_rate", "frames", "inferences",
)  # fmt: skip


def write_junit(
    path: Path, suites: Mapping[str, Sequence[Verdict]], result: Mapping[str, Any]
) -> None:
    """Write one suite for each part of the gate; without any, one case: it was scored.

    Raises:
        ConfigError: The file cannot be written.
    """
    root = ElementTree.Element("testsuites", name="skywhistle score")
    shown = {name: verdicts for name, verdicts in suites.items() if verdicts}
    scored = Verdict("scored", False, f"{result.get('flights', 0)} flights scored, no gate asked")
    for name, verdicts in (shown or {"score": [scored]}).items():
        failures = sum(one.has_failed for one in verdicts)
        suite = ElementTree.SubElement(
            root, "testsuite", name=name, tests=str(len(verdicts)), failures=str(failures),
            errors="0", time=str(result.get("wall_s", 0)),
        )  # fmt: skip
        properties = ElementTree.SubElement(suite, "properties")
        for key in _PROPERTIES:
            if result.get(key) is not None:
                ElementTree.SubElement(properties, "property", name=key, value=str(result[key]))
        for one in verdicts:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"skywhistle.{name}", name=one.name, time="0"
            )
            if one.has_failed:
                ElementTree.SubElement(case, "failure", message=one.text).text = one.text
            else:
                ElementTree.SubElement(case, "system-out").text = one.text
    ElementTree.indent(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
