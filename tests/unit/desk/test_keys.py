"""`skywhistle keys`, as somebody uses it who sets up a first broker."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import tomli
from cryptography import x509
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


def chain(folder: Path, name: str) -> x509.Certificate:
    """Read a name's certificate, vouched for by the authority beside it."""
    found = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
    found.verify_directly_issued_by(
        x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    )
    return found


def test_broker_and_desk_outlive_their_certificates(made: Path) -> None:
    """`issue` makes new ones of the same authority for the same names; drones need no new keys."""
    before = {name: chain(made / name, name) for name in ("broker", "desk")}
    command_key = (made / "desk" / "command.key").read_bytes()
    for name, former in before.items():
        assert keys("issue", made, name, "--days", "1000").exit_code == 0
        new = chain(made / name, name)
        assert new.serial_number != former.serial_number
        assert new.not_valid_after_utc > former.not_valid_after_utc
        assert new.subject == former.subject
    hosts = chain(made / "broker", "broker").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [name.value for name in hosts.value] == ["mqtt.example.org"]
    assert (made / "desk" / "command.key").read_bytes() == command_key
    ends = [line for line in keys("show", made).output.splitlines() if line.startswith("desk")]
    assert [line.split()[1] for line in ends] == ["valid", "valid"]


def test_a_robbed_desk_gets_new_keys_of_all_kinds(made: Path) -> None:
    """After `revoke` and `issue --new-keys` nothing that was stolen is of use to whoever has it."""
    secrets = ("desk.key", "command.key", "ack.key", "originals.key")
    stolen = {name: (made / "desk" / name).read_bytes() for name in secrets}
    keys("revoke", made, "desk")
    told = keys("issue", made, "desk", "--new-keys").output
    assert "onto every aircraft" in told
    assert all((made / "desk" / name).read_bytes() != stolen[name] for name in secrets)
    (kept,) = (made / "desk").glob("originals.until-*.key")
    assert kept.read_bytes() == stolen["originals.key"]  # what was sealed to it must still open
    assert kept.stat().st_mode & 0o777 == 0o600
    keys("drone", made, "patrol-02")
    for name in ("command.pub", "ack.pub", "originals.pub"):
        assert (made / "drones/patrol-02" / name).read_bytes() == (
            made / "desk" / name
        ).read_bytes()
    assert keys("issue", made, "broker", "--new-keys").exit_code == 2


def test_a_dashboard_gets_a_certificate_of_its_own(made: Path) -> None:
    """Its table is printed; its folder holds a certificate, a key and nothing that signs."""
    shown = keys("issue", made, "dashboard").output
    assert 'cert_file = "/etc/skywhistle/keys/dashboard.crt"' in shown
    names = {path.name for path in (made / "dashboard").iterdir()}
    assert names == {"ca.crt", "dashboard.crt", "dashboard.key"}
    chain(made / "dashboard", "dashboard")


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
