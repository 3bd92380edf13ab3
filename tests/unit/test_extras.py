"""Laws of the optional extras: what is missing is named with what brings it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import MissingExtraError
from edge.extras import needs_extra

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SAY_AN_EXTRA = {"needs_extra", "how_to_install"}


def test_what_is_not_installed_is_named_with_what_brings_it() -> None:
    """One sentence: what cannot be done, what is not there, the command and where to give it."""
    with pytest.raises(MissingExtraError) as caught, needs_extra("demo", "map.png"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    assert str(caught.value) == (
        "map.png: No module named 'no_such_package'; install the extra `demo`: "
        "pip install '.[demo]', in the folder of Skywhistle's sources"
    )


def test_every_extra_that_a_message_names_is_there(repo: Path) -> None:
    """What a user is told to install can be installed, and never by a name on an index."""
    named, by_name = set(), []
    for path in sorted(path for room in ("edge", "sim") for path in (repo / room).rglob("*.py")):
        text = path.read_text("utf-8")
        by_name += [path.name] * ("skywhistle[" in text)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in SAY_AN_EXTRA:
                named |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    extras = tomllib.loads((repo / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"demo", "gstreamer", "quantize", "sim"} <= named <= set(extras["optional-dependencies"])
    assert not by_name


def test_drawing_without_the_simulators_extra_is_one_sentence(tmp_path: Path) -> None:
    """An aircraft's install has no renderer: the command says so and shows no traceback."""
    program = (
        "import sys; sys.modules['moderngl'] = None\n"
        f"sys.argv = 'skywhistle sim record demo --seed 1 --out {tmp_path}/f'.split()\n"
        "from edge.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("skywhistle: drawing a district: ")
    assert "'.[sim]'" in done.stderr
    assert done.stderr.count("\n") == 1
