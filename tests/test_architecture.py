"""The house as a law: who may import whom, where heavy things live, how big a module may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
STEPS = {"capture", "vision", "geo", "patrol", "report"}
# Only these know several steps: the loop, what sets it up, and the commands.
KNOWS_ALL = {
    "pipeline.py",
    "stages.py",
    "checks.py",
    "replay.py",
    "health.py",
    "bench.py",
    "district.py",
    "flightlog.py",
    "flight.py",
    "demo.py",
}
MAX_LINES = 400
MAX_FUNCTION_LINES = 40

# One home for each heavy dependency: import root → files or folders that may know it.
HOMES = {
    "paho": {"edge/protocol/mqtt.py"},
    "onnxruntime": {"edge/vision"},
    "onnx": {"edge/vision/quantize_graph.py", "models"},
    "pymavlink": {"edge/capture", "sim"},
    "gi": {"edge/capture", "sim"},
    "cbor2": {"edge/protocol"},
    "cryptography": {"edge/protocol", "edge/desk/authority.py"},
    "iotcore": {"edge/desk/broker.py"},
    "lap": {"edge/patrol"},
    "shapely": {"edge/patrol", "sim"},
    "pymap3d": {"edge/geo", "sim"},
    "pyulog": {"edge/capture/logs_px4.py"},
    "PIL": {"edge/capture/still_poses.py"},
    "rasterio": {"edge/geo/terrain_import.py"},
    "matplotlib": {"edge/desk/map.py", "sim", "models", "calibration"},
    "moderngl": {"sim"},
    "av": {"sim"},
    "pycocotools": {"sim"},
    "torch": {"models"},
    "sqlite3": {"edge/report", "edge/desk"},
    "tomllib": {"edge/toml_file.py"},
    "tomli": {"edge/toml_file.py"},
    "typer": {"edge/cli"},
    "rich": {"edge/cli", "sim", "models", "calibration"},
    "pydantic": {
        "edge/config.py",
        "edge/config_delivery.py",
        "edge/config_table.py",
        "edge/settings.py",
        "edge/signed.py",
        "edge/toml_file.py",
        "edge/capture/recording_spec.py",
        "edge/patrol/snapshot.py",
        "edge/vision",
        "edge/geo",
        "calibration",
        "sim",
    },
}


def modules(folder: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((REPO / folder).rglob("*.py")):
        yield path.relative_to(REPO), ast.parse(path.read_text("utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


ALL = [item for folder in ("edge", "sim", "models", "calibration") for item in modules(folder)]
IDS = [str(path) for path, _ in ALL]


@pytest.mark.parametrize(("path", "tree"), ALL, ids=IDS)
def test_a_step_never_imports_another_step(path: Path, tree: ast.Module) -> None:
    """Steps meet only in the loop: inside edge/, a step knows itself and the shared nouns."""
    if path.parts[0] != "edge" or len(path.parts) < 3 or path.parts[1] not in STEPS:
        return
    own = path.parts[1]
    others = {
        name.split(".")[1]
        for name in imports(tree)
        if name.startswith("edge.") and name.split(".")[1] in STEPS - {own}
    }
    assert not others, f"{path} imports {others}"


@pytest.mark.parametrize(("path", "tree"), ALL, ids=IDS)
def test_the_aircraft_does_not_know_the_ground_or_the_simulator(
    path: Path, tree: ast.Module
) -> None:
    """Steps and the wire format import neither the desk, nor the commands, nor the simulator."""
    if path.parts[0] != "edge" or path.parts[1] not in STEPS | {"protocol"}:
        return
    foreign = [
        name
        for name in imports(tree)
        if name.startswith(("edge.desk", "edge.cli", "sim", "models."))
    ]
    assert not foreign, f"{path} imports {foreign}"


@pytest.mark.parametrize(("path", "tree"), ALL, ids=IDS)
def test_the_simulator_shares_no_geometry_with_what_it_tests(path: Path, tree: ast.Module) -> None:
    """The truth comes from projection code of its own: shared code would share its errors."""
    if path.parts[0] not in {"sim", "models"}:
        return
    shared = [name for name in imports(tree) if name.startswith("edge.geo")]
    assert not shared, f"{path} imports {shared}"


def test_imports_never_run_in_a_circle() -> None:
    """Of two modules at most one knows the other, be it for a type's name only."""
    trees = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): tree for path, tree in ALL
    }
    knows = {
        name: {other for other in imports(tree) if other in trees and other != name}
        for name, tree in trees.items()
    }
    TopologicalSorter(knows).prepare()  # a circle is a CycleError, which names it


@pytest.mark.parametrize(("path", "tree"), ALL, ids=IDS)
def test_each_heavy_dependency_has_one_home(path: Path, tree: ast.Module) -> None:
    """A library that only one room needs is imported in that room only."""
    for name in imports(tree):
        homes = HOMES.get(name.split(".")[0])
        if homes is not None:
            assert any(path == Path(home) or Path(home) in path.parents for home in homes), (
                f"{path} imports {name}; its home is {sorted(homes)}"
            )


@pytest.mark.parametrize(("path", "tree"), ALL, ids=IDS)
def test_modules_and_functions_stay_readable(path: Path, tree: ast.Module) -> None:
    """A module has at most 400 lines and a function fewer than 40, docstring apart."""
    lines = (REPO / path).read_text("utf-8").count("\n")
    assert lines <= MAX_LINES, f"{path} has {lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length < MAX_FUNCTION_LINES, f"{path}:{node.lineno} {node.name}: {length} lines"


@pytest.mark.parametrize(("path", "tree"), ALL, ids=IDS)
def test_the_worlds_clock_is_read_in_one_place(path: Path, tree: ast.Module) -> None:
    """Inside the aircraft `time.time` appears in clock.py only; all else is monotonic."""
    if path.parts[0] != "edge" or path.name == "clock.py":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("time", "time"), ("time", "time_ns")}, (
                f"{path}:{node.lineno} reads the world's clock"
            )


def test_nothing_is_caught_blindly_but_in_the_guard() -> None:
    """One `except Exception`, in the loop's guard; tidying up and raising on is no catch."""
    places = [
        f"{path}:{node.lineno}"
        for path, tree in ALL
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    ]
    assert len(places) <= 1, places


def test_words_that_hide_a_missing_idea_are_not_names() -> None:
    """No class or module is a Manager, Helper, Handler or Util."""
    bad = ("manager", "helper", "handler", "util")
    names = [
        f"{path}: {node.name}"
        for path, tree in ALL
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(bad)
    ]
    names += [str(path) for path, _ in ALL if path.stem.lower().rstrip("s").endswith(bad)]
    assert not names, names
