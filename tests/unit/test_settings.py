"""patrol.toml: what is right is read, what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edge.config import PatrolConfig
from edge.errors import ConfigError
from edge.settings import json_schema, read_settings, reloaded, restart_needed

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

GOOD = """\
drone_id = "d1"

[[camera]]
id = "main"
source = "flight.mp4"
model = "model"
calibration = "camera.toml"
mount = "mount.toml"

[[rule]]
name = "sheds"
labels = ["structure"]
threshold = 0.5
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "patrol.toml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings(write(tmp_path, text))
    return str(caught.value)


def test_the_shipped_config_is_good_and_fits_its_schema(repo: Path) -> None:
    """patrol.toml works as it stands, and the schema for editors accepts it."""
    read_settings(repo / "patrol.toml")
    read_settings(repo / "deploy" / "systemd" / "patrol.toml")
    table = tomllib.loads((repo / "patrol.toml").read_text())
    jsonschema.validate(table, json.loads(json_schema()))


def _rules(path: Path, *keys: str) -> dict[str, list[object]]:
    """Return the given keys of each rule, or all of them, by the rule's name."""
    rules = tomllib.loads(path.read_text())["rule"]
    return {r["name"]: [r[k] for k in keys or sorted(set(r) - {"name"})] for r in rules}


def test_every_shipped_config_flies_one_model_by_one_set_of_thresholds(repo: Path) -> None:
    """The simulator's two differ in their error budget alone, and patrol.toml asks the same."""
    survey, typical = repo / "sim" / "patrol.toml", repo / "sim" / "patrol-typical.toml"
    plain = [tomllib.loads(path.read_text()) for path in (survey, typical)]
    assert plain[0].pop("accuracy") != plain[1].pop("accuracy")
    assert plain[0] == plain[1]
    flown = repo / "patrol.toml"
    keys = ("labels", "min_score", "threshold", "severity", "department")
    assert _rules(flown, *keys) == _rules(survey, *keys)
    model = tomllib.loads(flown.read_text())["camera"][0]["model"]
    assert (repo / model).resolve() == (repo / "sim" / plain[0]["camera"][0]["model"]).resolve()


def test_the_shipped_schema_is_the_one_of_the_code(repo: Path) -> None:
    """The schema file is what `skywhistle schema` prints."""
    assert (repo / "deploy" / "patrol.schema.json").read_text() == json_schema()


def test_relative_paths_start_at_the_configs_folder(tmp_path: Path) -> None:
    """A config means the same whatever folder the command is run in."""
    patrol = read_settings(write(tmp_path, GOOD)).patrol
    assert patrol.camera[0].model == tmp_path / "model"
    assert patrol.camera[0].source == str(tmp_path / "flight.mp4")
    assert patrol.mailbox.path == tmp_path / "var" / "mailbox.db"


def test_a_source_that_is_no_file_stays_as_it_is(tmp_path: Path) -> None:
    """URLs, pipelines and `mavlink` are not paths."""
    for source in ("mavlink", "rtsp://10.0.0.3/main", "udp://:5600", "gst:videotestsrc"):
        text = GOOD.replace("flight.mp4", source)
        assert read_settings(write(tmp_path, text)).patrol.camera[0].source == source


def test_an_unknown_key_names_file_line_key_value_and_the_nearest_key(tmp_path: Path) -> None:
    """A misspelt key cannot be overlooked, and the message mends it."""
    text = GOOD.replace("threshold = 0.5", "thresold = 0.5")
    message = refusal(tmp_path, text)
    assert f"{tmp_path / 'patrol.toml'}:13: rule.0.thresold" in message
    assert "0.5" in message
    assert "did you mean `threshold`?" in message


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('id = "main"', "id = 7", 4, "camera.0.id = 7"),
        ("threshold = 0.5", "threshold = 1.5", 13, "rule.0.threshold = 1.5"),
        ("threshold = 0.5", 'threshold = "0.5"', 13, "rule.0.threshold = '0.5': write a number"),
        ("threshold = 0.5", "min_looks = true", 13, "rule.0.min_looks = True: write a number"),
        ("threshold = 0.5", 'max_size_m = "9"', 13, "rule.0.max_size_m = '9': write a number"),
        ("threshold = 0.5", "cooldown_s = inf", 13, "rule.0.cooldown_s = inf"),
        ("threshold = 0.5", '[mqtt]\ntls = "no"', 14, "mqtt.tls = 'no': write true or false"),
        ('drone_id = "d1"', 'drone_id = "a/b"', 1, "drone_id = 'a/b': a name has letters"),
        ("threshold = 0.5", 'inside = ["nowhere"]', 13, "rule.0.inside: rule 'sheds' names zone"),
        ("threshold = 0.5", 'near = "nowhere"', 13, "rule.0.near: rule 'sheds' names zone"),
        ("threshold = 0.5", "[inference]\nproviders = []", 14, "providers = []: name at least"),
    ],
)
def test_a_wrong_value_names_its_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    """A wrong type and an impossible value are told with their place."""
    message = refusal(tmp_path, GOOD.replace(old, new))
    assert says in message
    assert f":{line}:" in message


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """An operator mends a file once, not once for each mistake."""
    text = GOOD.replace("threshold = 0.5", "thresold = 0.5").replace('id = "main"', "id = 7")
    assert len(refusal(tmp_path, text).splitlines()) == 2


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """What must be there and is not is told by its full name."""
    assert "camera.0.mount: is missing" in refusal(
        tmp_path, GOOD.replace('mount = "mount.toml"\n', "")
    )


def test_what_is_not_toml_or_not_there_is_told(tmp_path: Path) -> None:
    """A broken or absent file is a config error, not a traceback."""
    assert "is not TOML" in refusal(tmp_path, "drone_id = [")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_settings(tmp_path / "binary.toml")


def test_two_cameras_of_one_name_are_refused(tmp_path: Path) -> None:
    """Names that tell things apart are unique."""
    camera = GOOD[GOOD.index("[[camera]]") : GOOD.index("[[rule]]")]
    assert "same name" in refusal(tmp_path, GOOD + camera)


def test_only_rules_and_zones_reload(tmp_path: Path) -> None:
    """A change elsewhere says `restart needed` by the table's name."""
    old = read_settings(write(tmp_path, GOOD)).patrol
    new = read_settings(write(tmp_path, GOOD.replace("0.5", "0.6"))).patrol
    assert restart_needed(old, new) == []
    moved = read_settings(write(tmp_path, GOOD + "\n[mqtt]\nport = 1\n")).patrol
    assert restart_needed(old, moved) == ["mqtt"]


def test_after_a_reload_the_hash_is_that_of_what_flies(tmp_path: Path) -> None:
    """A file that is taken over whole gives its hash; one of which a part must wait does not."""
    start = read_settings(write(tmp_path, GOOD))
    rules = read_settings(write(tmp_path, GOOD.replace("0.5", "0.6")))
    assert reloaded(start, rules) == rules
    moved_text = GOOD.replace("0.5", "0.6") + "\n[mqtt]\nport = 1\n"
    moved = read_settings(write(tmp_path, moved_text))
    partial = reloaded(start, moved)
    assert partial.patrol == rules.patrol  # the broker needs a restart
    assert len({s.config_hash for s in (start, rules, moved, partial)}) == 4
    edited = read_settings(write(tmp_path, moved_text + "# the same values\n"))
    assert reloaded(partial, edited) == partial
    assert reloaded(partial, start) == start  # and all is as it was


def test_the_hash_changes_with_the_text(tmp_path: Path) -> None:
    """Two alerts with one config hash were made by one config."""
    first = read_settings(write(tmp_path, GOOD))
    second = read_settings(write(tmp_path, GOOD + "# edited\n"))
    assert first.config_hash != second.config_hash
    assert len(first.config_hash) == 8
    assert isinstance(first.patrol, PatrolConfig)


def test_a_terrain_tile_is_named_relative_to_the_config(tmp_path: Path) -> None:
    """`ground.terrain` starts at the config's folder; a source that needs one says so."""
    text = GOOD + '[ground]\nsource = "terrain_tile"\n'
    assert "needs `terrain`" in refusal(tmp_path, text)
    settings = read_settings(write(tmp_path, text + 'terrain = "maps/a.npz"\n'))
    assert settings.patrol.ground.terrain == tmp_path.resolve() / "maps" / "a.npz"
