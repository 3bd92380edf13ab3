"""Signed configs: what must be vouched for, and what a change to any of it does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from edge.cli.main import app
from edge.errors import UnsignedError
from edge.protocol.signing import read_public_keys
from edge.settings import read_settings
from edge.signed import list_of, require_signed

PEM = serialization.Encoding.PEM


def make_key(folder: Path, name: str) -> Path:
    secret = Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = folder / f"{name}.key"
    private.write_bytes(secret.private_bytes(PEM, form, plain))
    private.chmod(0o600)
    public_form = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / f"{name}.pub").write_bytes(secret.public_key().public_bytes(PEM, public_form))
    return private


@pytest.fixture
def config(tmp_path: Path, repo: Path) -> Path:
    """An aircraft's folder with all that its config names."""
    place = tmp_path / "etc"
    model = place / "model"
    model.mkdir(parents=True)
    shipped = repo / "models" / "whistle-n-int8"
    shutil.copy(shipped / "model.toml", model)
    shutil.copy(repo / "calibration/cameras/sim-720p.toml", place / "camera.toml")
    shutil.copy(repo / "calibration/mounts/nadir-fixed.toml", place / "mount.toml")
    shutil.copy(repo / "sim" / "grid.geojson", place / "zone.geojson")
    path = place / "patrol.toml"
    path.write_text(
        'drone_id = "drone-1"\n'
        '[[camera]]\nid = "main"\nsource = "mavlink"\nmodel = "model"\n'
        'calibration = "camera.toml"\nmount = "mount.toml"\n'
        '[[zone]]\nname = "town"\nfile = "zone.geojson"\n'
        '[[rule]]\nname = "shed"\nlabels = ["structure"]\n'
        '[mqtt]\nkey_file = "secret.key"\ncert_file = "own.crt"\nca_file = "ca.crt"\n'
    )
    for name in ("own.crt", "ca.crt"):
        (place / name).write_text(name)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path, "maker")


def sign(config: Path, key: Path) -> None:
    done = CliRunner().invoke(app, ["keys", "sign", str(config), "--key", str(key)])
    assert done.exit_code == 0, done.output


def check(config: Path, key: Path) -> None:
    signers = read_public_keys([key.with_suffix(".pub")], "--signed-by")
    require_signed(read_settings(config), signers)


def test_what_was_signed_may_fly(config: Path, key: Path) -> None:
    """Right after signing all is well, from whatever folder; no secret is in the list."""
    sign(config, key)
    check(config, key)
    moved = config.parent.with_name("elsewhere")
    shutil.move(config.parent, moved)
    check(moved / "patrol.toml", key)
    assert "secret" not in list_of(moved / "patrol.toml").read_text()


NAMED = ["patrol.toml", "model/model.toml", "camera.toml", "mount.toml", "zone.geojson", "ca.crt"]


@pytest.mark.parametrize("name", NAMED)
def test_a_changed_file_does_not_fly(config: Path, key: Path, name: str) -> None:
    """One more byte in any file that the config names makes the signature void, by its name."""
    sign(config, key)
    with (config.parent / name).open("a") as file:
        file.write("\n")
    with pytest.raises(UnsignedError, match=f"{name}: has changed since"):
        check(config, key)


def test_another_file_does_not_fly(config: Path, key: Path) -> None:
    """A config that names what was not signed is refused, be it signed for the rest."""
    sign(config, key)
    listed = list_of(config)
    lines = listed.read_text().splitlines(keepends=True)
    listed.write_text("".join(line for line in lines if "mount.toml" not in line))
    with pytest.raises(UnsignedError, match="does not fit"):
        check(config, key)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("signature = ", 'signature = "00" #'), "does not fit"),
        (("signature = ", 'signature = "no hex" #'), "non-hexadecimal"),
        (("key = ", 'key = "0011223344556677" #'), "none of those required"),
        (("key = ", 'keys = "" #'), "keys"),
    ],
)
def test_a_list_that_is_not_theirs_is_refused(
    config: Path, key: Path, change: tuple[str, str], says: str
) -> None:
    """Another signature, another key, another format: each says so, and how to mend it."""
    sign(config, key)
    listed = list_of(config)
    listed.write_text(listed.read_text().replace(*change, 1))
    with pytest.raises(UnsignedError, match=says):
        check(config, key)


def test_an_unsigned_config_starts_nothing(config: Path, key: Path, tmp_path: Path) -> None:
    """`run`, `flight` and `uplink` refuse before anything opens; a stranger's word is none."""
    words = ["--signed-by", str(key.with_suffix(".pub")), str(config)]
    for command in ("run", "flight", "uplink"):
        error = CliRunner().invoke(app, [command, *words]).exception
        assert isinstance(error, UnsignedError)
        assert "skywhistle keys sign" in str(error)
    sign(config, make_key(tmp_path, "stranger"))
    error = CliRunner().invoke(app, ["flight", *words]).exception
    assert isinstance(error, UnsignedError)
    assert "none of those required" in str(error)
