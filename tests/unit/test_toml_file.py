"""One reader, one wording: whatever the file, a mistake is found at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from edge.capture.recording import open_flight
from edge.errors import (
    CalibrationError,
    ConfigError,
    FlightError,
    ModelManifestError,
    ScenarioError,
    SkywhistleError,
)
from edge.geo.camera import read_intrinsics
from edge.geo.mount import read_mount
from edge.settings import read_settings
from edge.toml_file import line_of, read_toml
from edge.vision.manifest import read_manifest
from sim.scenario import load_scenario


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width_px: int = Field(gt=0)
    sides_m: tuple[float, float] = (1.0, 1.0)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    part: tuple[Inner, ...] = ()
    more: dict[str, Inner] = Field(default_factory=dict)


def refusal(folder: Path, text: str) -> str:
    path = folder / "file.toml"
    path.write_text(text)
    with pytest.raises(FlightError) as refused:
        read_toml(path, FlightError, "make one").into(Outer)
    return str(refused.value).replace(str(path), "F")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "F:1: name: is missing; add it"),
        ('nam = "a"\nname = "b"\n', "F:1: nam: unknown key (value 'a'); did you mean `name`?"),
        (
            'name = "a"\n[[part]]\nwidth_px = 1\n[[part]]\nqqq = 2\nwidth_px = 1\n',
            "F:5: part.1.qqq: unknown key (value 2); known here: sides_m, width_px",
        ),
        (
            'name = "a"\n[[part]]\nwidth_px = 0\n',
            "F:3: part.0.width_px = 0: Input should be greater than 0",
        ),
        (
            'name = "a"\n[more.x]\nwidth_px = 1\nsides_m = [1.0]\n',
            "F:4: more.x.sides_m.1: is missing; add it",
        ),
        ("name = 1\n", "F:1: name = 1: Input should be a valid string"),
    ],
)
def test_a_mistake_gives_file_line_key_value_and_what_to_do(
    tmp_path: Path, text: str, said: str
) -> None:
    """The sentence is enough to mend the file without reading any documentation."""
    assert refusal(tmp_path, text) == said


def test_the_line_of_a_key_is_that_of_its_own_table() -> None:
    """The third [[rule]] is not the first."""
    text = "[[rule]]\nname = 1\n[[rule]]\nname = 2\n[a.b]\nname = 3\n"
    assert line_of(text, ("rule", 1, "name")) == 4
    assert line_of(text, ("a", "b", "name")) == 6
    assert line_of(text, ("rule", 1)) == line_of(text, ("rule", 1, "absent")) == 3
    assert line_of("name = 0\nsides = [1]\n", ("sides", 1)) == 2
    quoted = """a = 1\n"open pit" = 2\n[x . "烟. 火"]\n'b.c' = 3\n"""
    assert line_of(quoted, ("open pit",)) == 2
    assert line_of(quoted, ("x", "烟. 火", "b.c")) == 4


READERS: list[tuple[str, Callable[[Path], object], type[SkywhistleError]]] = [
    ("patrol.toml", read_settings, ConfigError),
    ("camera.toml", read_intrinsics, CalibrationError),
    ("mount.toml", read_mount, CalibrationError),
    ("flight.toml", lambda path: open_flight(path.parent), FlightError),
    ("model.toml", lambda path: read_manifest(path.parent), ModelManifestError),
    ("scenario.toml", load_scenario, ScenarioError),
]


@pytest.mark.parametrize(("name", "read", "kind"), READERS, ids=[name for name, _, _ in READERS])
def test_every_file_is_refused_in_the_same_words(
    tmp_path: Path, name: str, read: Callable[[Path], object], kind: type[SkywhistleError]
) -> None:
    """A missing file, other text, a key that nobody knows: the kind of error tells the file's."""
    path = tmp_path / name
    for content, said in (
        (None, "cannot be read (No such file or directory); "),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"= 1", "is not TOML: "),
        (b"x" * 1_000_001, "1000001 bytes are not such a file; "),
        (b"format = 1\nzzzzz = 7\n", ":2: zzzzz: unknown key (value 7); known here: "),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(kind) as refused:
            read(path)
        assert f"{path}" in str(refused.value)
        assert said in str(refused.value)
