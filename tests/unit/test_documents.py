"""What the documents say to type, read or look at is there."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

from edge.cli.main import app
from edge.config import PatrolConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCUMENTS = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/calibrating.md",
             "docs/delivery.md", "docs/detectors.md", "docs/training.md")  # fmt: skip
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_TEST_FILE = re.compile(r"`(test_\w+\.py)`")
_TEST = re.compile(r"`(test_\w+)(?:\[[^`]*)?`")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_link_leads_somewhere(repo: Path, name: str) -> None:
    """Every relative link of a document is a file of the project."""
    document = repo / name
    links = _LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_command_can_be_typed(repo: Path, name: str) -> None:
    """Every command line in a block of a document names a command, and options that it has."""
    root: Any = get_command(app)
    for line in _command_lines((repo / name).read_text()):
        command = root
        words = shlex.split(line, comments=True)[1:]
        while hasattr(command, "commands"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        asked = {word.partition("=")[0] for word in words if re.match(r"-+[a-z]", word)}
        assert asked - known - {"--help"} == set(), line


def _command_lines(text: str) -> Iterator[str]:
    for kind, block in _BLOCK.findall(text):
        if kind in ("", "sh", "bash"):
            for line in block.splitlines():
                if line.strip().startswith("skywhistle "):
                    yield line.strip().partition("|")[0]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_piece_of_config_has_keys_that_exist(repo: Path, name: str) -> None:
    """Every key in a block of TOML is one that patrol.toml knows."""
    for kind, block in _BLOCK.findall((repo / name).read_text()):
        if kind == "toml":
            for table, content in tomllib.loads(block).items():
                known = _keys_of(table)
                for piece in content if isinstance(content, list) else [content]:
                    assert set(piece) <= known, f"{name}: [{table}]"


def _keys_of(table: str) -> set[str]:
    assert table in PatrolConfig.model_fields, table
    kind = PatrolConfig.model_fields[table].annotation
    inner = getattr(kind, "__args__", (kind,))[0]
    assert isinstance(inner, type)
    assert issubclass(inner, BaseModel)
    return set(inner.model_fields)


def test_a_test_that_is_named_as_proof_exists(repo: Path) -> None:
    """SECURITY.md names files and functions of tests that are there."""
    text = (repo / "SECURITY.md").read_text()
    files = {path.name: path for path in (repo / "tests").rglob("test_*.py")}
    assert set(_TEST_FILE.findall(text)) <= set(files)
    functions = set(re.findall(r"^def (test_\w+)", _sources(files.values()), re.MULTILINE))
    named = {name for name in _TEST.findall(text) if not name.endswith("_")}
    assert len(named) > 20
    assert named - functions == set()


def _sources(paths: Iterable[Path]) -> str:
    return "\n".join(path.read_text() for path in paths)
