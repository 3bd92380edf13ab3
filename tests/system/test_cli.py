"""The command line as a new user types it: what it says, what it leaves alone, how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from edge import __version__
from edge.config_delivery import MqttConfig
from edge.desk.store import DeskStore
from edge.report.rolelock import RoleLock
from tests.aircraft import REPO, Aircraft, command, skywhistle
from tests.patrol_flight import write_parts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.system

COMMANDS = (
    "", "run", "flight", "uplink", "desk", "check", "replay", "decode", "bench", "demo", "schema",
    "model add", "model show", "sim serve", "sim resend",
)  # fmt: skip


@pytest.fixture
def aircraft(tmp_path: Path) -> Aircraft:
    """An aircraft without autopilot, camera and broker."""
    write_parts(tmp_path / "flight")
    mqtt = MqttConfig(port=1, tls=False)
    return Aircraft(tmp_path / "drone", tmp_path / "flight", mqtt, 1, witnessed=False)


@pytest.fixture(scope="module")
def alert_hex(repo: Path) -> str:
    """One alert's body, as the golden files keep it."""
    return (repo / "tests" / "golden" / "alerts" / "typical.hex").read_text().strip()


def test_every_command_says_what_it_does() -> None:
    """`--help` works for all, and each says something of its own."""
    done = [command(*words.split(), "--help") for words in COMMANDS]
    for words, one in zip(COMMANDS, done, strict=True):
        assert one.returncode == 0, f"{words}: {one.stderr}"
        assert "Usage" in one.stdout
    assert len({one.stdout for one in done}) == len(COMMANDS)


def test_the_version_is_the_package_s() -> None:
    """`--version` prints it and nothing else."""
    done = skywhistle("--version")  # a child, as a shell starts it
    assert done.returncode == 0
    assert done.stdout == f"skywhistle {__version__}\n"


def test_a_mistake_in_the_config_stops_all_before_anything_opens(aircraft: Aircraft) -> None:
    """Exit code 2, with file, line, key, value and the nearest key; no file has been made."""
    text = aircraft.config.read_text().replace("min_looks", "min_loks")
    aircraft.config.write_text(text)
    line = text[: text.index("min_loks")].count("\n") + 1
    before = sorted(aircraft.folder.rglob("*"))
    for name in ("run", "flight", "uplink", "desk", "check"):
        done = command(name, str(aircraft.config))
        assert done.returncode == 2
        told = f"{aircraft.config}:{line}: rule.0.min_loks: unknown key (value 3)"
        assert f"{told}; did you mean `min_looks`?" in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(aircraft.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("port = 1", 'port = "one"'), "mqtt.port = 'one'"),
        (("threshold = 0.6", "threshold = 6"), "rule.0.threshold = 6"),
        (('drone_id = "drone-1"', ""), "drone_id: is missing"),
        (("[mqtt]", "[mqtt"), "is not TOML"),
    ],
)
def test_each_kind_of_mistake_is_named(
    aircraft: Aircraft, change: tuple[str, str], told: str
) -> None:
    """Wrong type, impossible value, missing key and broken TOML: exit code 2, and which it is."""
    aircraft.config.write_text(aircraft.config.read_text().replace(*change))
    done = command("check", str(aircraft.config))
    assert done.returncode == 2
    assert told in done.stderr
    assert str(aircraft.config) in done.stderr


def test_a_wrong_model_is_told_at_the_start(aircraft: Aircraft) -> None:
    """A file that is not the manifest's, and a missing folder: a sentence each, exit code 2."""
    model = aircraft.flight / "model"
    with (model / "detector.onnx").open("ab") as file:
        file.write(b"\0")
    done = command("flight", str(aircraft.config))
    assert done.returncode == 2
    assert "SHA-256" in done.stderr
    assert "detector.onnx" in done.stderr
    for path in model.iterdir():
        path.unlink()
    model.rmdir()
    missing = command("flight", str(aircraft.config))
    assert missing.returncode == 2
    assert f"{model}/model.toml: cannot be read (No such file" in missing.stderr
    assert "skywhistle model add" in missing.stderr
    assert "Traceback" not in done.stderr + missing.stderr


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("/camera.toml", "/nowhere.toml", "nowhere.toml"),
        ("/mount.toml", "/nowhere.toml", "nowhere.toml"),
        ("labels = [", 'labels = ["dragon", ', "'dragon', which no camera's model has"),
    ],
)
def test_run_starts_nothing_that_cannot_fly(
    aircraft: Aircraft, old: str, new: str, told: str
) -> None:
    """What a config names and is not there is told by the parent, before any program starts."""
    text = aircraft.config.read_text()
    assert old in text
    aircraft.config.write_text(text.replace(old, new))
    done = command("run", str(aircraft.config))
    assert done.returncode == 2
    assert told in done.stderr
    assert "program_" not in done.stderr


@pytest.mark.parametrize("role", ["run", "flight", "uplink"])
def test_one_run_for_one_mailbox(aircraft: Aircraft, role: str) -> None:
    """A second one says who works there and ends: its programs could only restart for ever."""
    mailbox = aircraft.folder / "var" / "mailbox.db"
    with RoleLock(mailbox, role):
        done = command("run", str(aircraft.config))
    assert done.returncode == 1
    assert f"another {role} (process {os.getpid()}) works on this mailbox" in done.stderr
    assert "program_" not in done.stderr


def test_decode_reads_hex_files_and_lines(alert_hex: str, tmp_path: Path) -> None:
    """As an argument, raw or hex in a file, line by line from `mosquitto_sub`: the same words."""
    raw, text = tmp_path / "alert.bin", tmp_path / "alert.hex"
    raw.write_bytes(bytes.fromhex(alert_hex))
    text.write_text(alert_hex + "\n")
    done = [command("decode", *words) for words in ([alert_hex], [str(raw)], [str(text)])]
    lines = f"sw/v1/drone-1/up/alert {alert_hex}\nsw/v1/drone-1/up/alert {alert_hex}\n"
    twice = skywhistle("decode", stdin=lines.encode())
    for one in [*done, twice]:
        assert one.returncode == 0, one.stderr
    assert len({one.stdout for one in done}) == 1
    assert twice.stdout == done[0].stdout * 2
    as_json = json.loads(command("decode", "--json", alert_hex).stdout)
    assert as_json["fields"]["incident_id"] in done[0].stdout


def test_decode_says_what_is_not_ours(alert_hex: str) -> None:
    """Garbage between good lines is named; the good lines are read; exit code 1."""
    lines = f"{alert_hex}\nffff\n{alert_hex}\n"
    done = skywhistle("decode", "--json", stdin=lines.encode())
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert "not a message of ours" in done.stderr
    for garbage, code in (("zz", 2), ("00" * 300, 1)):  # no hex at all: a mistyped file name
        bad = command("decode", garbage)
        assert bad.returncode == code
        assert "Traceback" not in bad.stderr


def test_the_schema_takes_the_shipped_config(repo: Path) -> None:
    """`schema` prints JSON Schema under which the commented patrol.toml is valid."""
    schema = json.loads(command("schema").stdout)
    config = tomllib.loads((repo / "patrol.toml").read_text())
    jsonschema.validate(config, schema)
    config["rule"][0]["min_loks"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, schema)


def test_what_is_not_there_is_named(aircraft: Aircraft, tmp_path: Path) -> None:
    """A missing flight, log, model or database is one sentence with its path, no traceback."""
    nowhere = str(tmp_path / "nowhere")
    commands = (
        ("replay", nowhere),
        ("sim", "serve", nowhere),
        ("sim", "resend", nowhere),
        ("model", "add", nowhere),
        ("model", "show", nowhere),
        ("run", nowhere),
        ("desk", str(aircraft.config), "--database", nowhere, "--export", f"{nowhere}.csv"),
        ("desk", "--export", f"{nowhere}.txt"),
        ("decode", f"{nowhere}.bin"),
        ("bench", "--only", "start", "--flight", nowhere),
    )
    for words in commands:
        done = command(*words)
        assert done.returncode in {1, 2}, words
        assert nowhere in done.stderr, words
        assert "Traceback" not in done.stderr, words


def test_results_that_cannot_be_written_are_told_before_the_work(
    aircraft: Aircraft, repo: Path, tmp_path: Path
) -> None:
    """A file where a folder should be: one sentence with its path, and the file is untouched."""
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    inside, flight = str(file / "results"), str(repo / "sim" / "flights" / "demo")
    commands = (
        ("replay", flight, "--out", str(file)),
        ("replay", flight, "--out", inside),
        ("demo", "--flight", flight, "--out", str(file)),
        ("bench", "--only", "start", "--out", f"{inside}/bench.json"),
        ("desk", str(aircraft.config), "--database", f"{inside}/desk.db"),
    )
    for words in commands:
        done = command(*words)
        assert done.returncode in {1, 2}, words
        assert str(file) in done.stderr, words
        assert "measuring" not in done.stderr, words
    assert file.read_text() == "mine"


def test_the_simulator_names_what_it_cannot_use(tmp_path: Path) -> None:
    """A folder in use and a link that is none are told at once, and the folder stays as it was."""
    (tmp_path / "diary.txt").write_text("mine")
    used = skywhistle("sim", "record", "demo", "--seed", "1", "--out", str(tmp_path))
    assert used.returncode == 2
    assert f"{tmp_path}: is in use" in used.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]
    nowhere = skywhistle("sim", "serve", "demo", "--mavlink", "nowhere")
    assert nowhere.returncode == 2
    assert "'nowhere'" in nowhere.stderr
    assert "Traceback" not in used.stderr + nowhere.stderr


def test_an_export_that_cannot_be_written_is_named(aircraft: Aircraft, tmp_path: Path) -> None:
    """The desk's file stays; the path that refused is in the one sentence."""
    database = tmp_path / "desk.db"
    DeskStore(database).close()
    path = tmp_path / "nowhere" / "alerts.csv"
    done = command("desk", str(aircraft.config), "--database", str(database), "--export", str(path))
    assert done.returncode == 1
    assert f"{path}.part: No such file or directory; check the path" in done.stderr


def test_a_desk_needs_a_config_to_listen_and_none_to_export(tmp_path: Path) -> None:
    """An export reads the desk's file alone; a desk that is to listen is asked where."""
    database, out = tmp_path / "desk.db", tmp_path / "alerts.csv"
    DeskStore(database).close()
    done = command("desk", "--database", str(database), "--export", str(out))
    assert done.returncode == 0, done.stderr
    assert out.read_text().startswith("drone,received_utc,")
    asked = command("desk", "--database", str(database))
    assert asked.returncode == 2
    assert "needs a patrol.toml" in asked.stderr


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('url = "udpin:', 'url = "udp in:', "no kind of link that is known"),
        ('source = "', 'source = "nowhere/', "no such video file"),
    ],
)
def test_what_the_config_cannot_mean_stops_the_start(
    aircraft: Aircraft, old: str, new: str, told: str
) -> None:
    """Exit code 2: who supervises `flight` would only meet the same file again."""
    text = aircraft.config.read_text()
    assert old in text
    aircraft.config.write_text(text.replace(old, new))
    done = command("flight", str(aircraft.config))
    assert done.returncode == 2
    assert told in done.stderr


def test_one_desk_for_one_database(aircraft: Aircraft, tmp_path: Path) -> None:
    """Two would push each other out of their one session at the broker, many times a second."""
    database = tmp_path / "desk.db"
    with RoleLock(database, "desk"):
        done = command("desk", str(aircraft.config), "--database", str(database))
    assert done.returncode == 1
    assert "another desk" in done.stderr
    assert "--database" in done.stderr


def test_ctrl_c_while_the_commands_load_is_silent() -> None:
    """No traceback out of an import: the program ends by the signal itself."""
    child = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "edge.cli", "decode"],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.endswith(" typer\n") or " typer." in line:  # in the middle of loading
            break
    child.send_signal(signal.SIGINT)
    _, rest = child.communicate(timeout=30)
    assert child.returncode == -signal.SIGINT
    assert "Traceback" not in rest
