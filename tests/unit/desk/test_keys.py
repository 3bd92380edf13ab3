"""`skywhistle keys`, as somebody uses it who sets up a first broker."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import tomli
from typer.testing import CliRunner, Result

from edge.cli.main import app
from edge.config_delivery import MqttConfig
from edge.errors import KeysError
from edge.protocol.credentials import tls_context


def keys(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, words)])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    assert keys("init", folder, "--broker", "mqtt.example.org").exit_code == 0
    assert keys("drone", folder, "patrol-01").exit_code == 0
    return folder


def test_what_is_printed_is_the_table_that_works(made: Path) -> None:
    """The tables that `keys drone` prints are a config's, and their files are in the folder."""
    shown = keys("drone", made, "patrol-02").output
    pasted = tomli.loads(shown[shown.index("[mqtt]") : shown.index(str(made / "desk"))])
    table = pasted["mqtt"]
    assert (table["host"], table["port"]) == ("mqtt.example.org", 8883)
    folder = made / "drones" / "patrol-02"
    files = [pasted["signing"]["key_file"], pasted["privacy"]["originals_key"]]
    for name in (*files, *pasted["commands"]["keys"]):
        assert (folder / Path(name).name).is_file()
    for name in ("ca_file", "cert_file", "key_file"):
        table[name] = folder / Path(table[name]).name
        assert table[name].is_file()
    context = tls_context(MqttConfig(**table))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_the_list_tells_what_holds(made: Path) -> None:
    """`show` names every certificate, whether it is withdrawn, and its last day."""
    assert keys("revoke", made, "patrol-01").output.startswith("1 withdrawn")
    rows = {line.split()[0]: line.split()[1] for line in keys("show", made).output.splitlines()[1:]}
    assert rows == {"broker": "valid", "desk": "valid", "patrol-01": "withdrawn"}
    assert keys("drone", made, "patrol-01").exit_code == 0  # a new machine of the same name
    assert keys("revoke", made, "patrol-01").output.startswith("1 withdrawn")  # only the new one


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("drone", "nowhere", "patrol-01"), "skywhistle keys init"),
        (("init", "nowhere/deeper", "--broker", "no host"), "neither an address nor a plain host"),
        (("revoke", "made", "patrol-09"), "there are: broker, desk, patrol-01"),
        (("drone", "made", "desk"), "not 'desk'"),
    ],
)
def test_a_mistake_is_told_with_the_way_out(made: Path, words: tuple[str, ...], says: str) -> None:
    """Each is a KeysError, exit code 2, that says what to do."""
    command, folder, *rest = words
    where = made if folder == "made" else made.parent / folder
    error = keys(command, where, *rest).exception
    assert isinstance(error, KeysError)
    assert says in str(error)
