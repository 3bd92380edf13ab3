"""Signed commands: which are obeyed, and what a forger can do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError, ProtocolError, SignatureError
from edge.protocol.cbor import encode_item
from edge.protocol.command import (
    AHEAD_MAX_MS,
    Command,
    CommandResult,
    Gate,
    Outcome,
    Refusal,
    Verb,
    command_body,
    decode_command,
    decode_result,
    encode_command,
    encode_result,
)
from edge.protocol.signing import (
    PublicKey,
    Purpose,
    SigningKey,
    by_id,
    open_signed,
    read_public_key,
    read_signing_key,
    seal_signed,
)

NOW_MS = 1_800_000_000_000


def pair(folder: Path, name: str) -> tuple[SigningKey, PublicKey]:
    """Make a key pair as `skywhistle keys` does, and read it back."""
    secret = ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(secret.private_bytes(pem, form, plain))
    private.chmod(0o600)
    public_form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(secret.public_key().public_bytes(pem, public_form))
    return read_signing_key(private, "key"), read_public_key(public, "key")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[SigningKey, PublicKey]:
    return pair(tmp_path_factory.mktemp("keys"), "desk")


def command(**changes: object) -> Command:
    fields: dict[str, object] = {
        "drone_id": "drone-1",
        "verb": Verb.PING,
        "nonce": b"n" * 16,
        "issued_utc_ms": NOW_MS,
        "valid_s": 600,
    }
    return Command(**(fields | changes))  # type: ignore[arg-type]


Desk = tuple[SigningKey, PublicKey]


def admitted(
    desk: Desk, payload: bytes, now_ms: int | None = NOW_MS, last: int = 0
) -> Command | Refusal:
    return Gate("drone-1", by_id([desk[1]])).admit(payload, now_ms, last)


def test_a_command_comes_through_as_it_was_given(desk: Desk) -> None:
    """Signed by the desk, for this drone, now: it is obeyed, with all it says."""
    given_ = command(verb=Verb.RELEASE, incident_id=b"i" * 16, case="2026-118")
    assert admitted(desk, encode_command(given_, desk[0])) == given_


@pytest.mark.parametrize(
    ("changes", "now_ms", "last_ms", "why"),
    [
        ({"drone_id": "drone-2"}, NOW_MS, 0, Refusal.NOT_OURS),
        ({}, NOW_MS, NOW_MS, Refusal.REPLAYED),
        ({}, NOW_MS, NOW_MS + 5000, Refusal.REPLAYED),
        ({}, NOW_MS + 600_001, 0, Refusal.STALE),
        ({}, NOW_MS - AHEAD_MAX_MS - 1, 0, Refusal.AHEAD),
        ({"valid_s": 1}, None, NOW_MS - 1, None),
        ({}, NOW_MS + 600_000, NOW_MS - 1, None),
        ({}, NOW_MS - AHEAD_MAX_MS, 0, None),
    ],
)
def test_what_is_not_for_us_now_is_refused(
    desk: Desk, changes: dict[str, object], now_ms: int | None, last_ms: int, why: Refusal | None
) -> None:
    """For another drone, again, too old, or from the future: each refused by its name."""
    verdict = admitted(desk, encode_command(command(**changes), desk[0]), now_ms, last_ms)
    assert (verdict if isinstance(verdict, Refusal) else None) == why


@given(issued=st.integers(1, NOW_MS), later=st.lists(st.integers(0, NOW_MS * 2), max_size=5))
def test_a_recorded_command_never_works_again(desk: Desk, issued: int, later: list[int]) -> None:
    """Whatever the clock says afterwards, forwards or back, what was taken once is refused."""
    payload = encode_command(command(issued_utc_ms=issued, valid_s=86_400), desk[0])
    first = admitted(desk, payload, issued)
    assert isinstance(first, Command)
    for now_ms in (None, 0, *later):
        assert admitted(desk, payload, now_ms, first.issued_utc_ms) is Refusal.REPLAYED


def test_a_strangers_signature_counts_for_nothing(desk: Desk, tmp_path: Path) -> None:
    """Another key, no keys at all, or a body that another purpose was signed for: unsigned."""
    stranger, _ = pair(tmp_path, "stranger")
    assert admitted(desk, encode_command(command(), stranger)) is Refusal.UNSIGNED
    nobody = Gate("drone-1").admit(encode_command(command(), desk[0]), NOW_MS, 0)
    assert nobody is Refusal.UNSIGNED
    body = command_body(command())
    assert admitted(desk, seal_signed(Purpose.ALERT, body, desk[0])) is Refusal.UNSIGNED
    swapped = encode_item([desk[0].key_id, body, stranger.sign(Purpose.COMMAND, body)])
    assert admitted(desk, swapped) is Refusal.UNSIGNED


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(desk: Desk, at: int, bit: int) -> None:
    """Every single flipped bit of a command is noticed."""
    payload = bytearray(encode_command(command(), desk[0]))
    payload[at % len(payload)] ^= 1 << bit
    assert admitted(desk, bytes(payload)) in {Refusal.UNSIGNED, Refusal.MALFORMED}


@given(st.binary(max_size=700))
def test_noise_is_malformed(desk: Desk, noise: bytes) -> None:
    """Bytes that nobody signed are refused, and raise nothing."""
    assert admitted(desk, noise) in {Refusal.UNSIGNED, Refusal.MALFORMED}
    with pytest.raises(ProtocolError):
        open_signed(Purpose.COMMAND, noise, by_id([desk[1]]), 512)


@given(noise=st.binary(max_size=80))
def test_a_signed_oddity_is_malformed(desk: Desk, noise: bytes) -> None:
    """What the desk signed but is no command is refused, and raises nothing."""
    assert admitted(desk, seal_signed(Purpose.COMMAND, noise, desk[0])) is Refusal.MALFORMED


def test_a_verb_of_a_newer_desk_is_named() -> None:
    """The message says that the desk is newer."""
    fields = {2: "drone-1", 3: 99, 4: b"n" * 16, 5: NOW_MS, 6: 5}
    with pytest.raises(ProtocolError, match="verb 99"):
        decode_command(encode_item(fields))


def test_a_release_names_its_case() -> None:
    """An original leaves for a case, or not at all."""
    with pytest.raises(ProtocolError, match="a case"):
        command(verb=Verb.RELEASE, incident_id=b"i" * 16)
    with pytest.raises(ProtocolError, match="incident"):
        command(verb=Verb.RELEASE, case="2026-118")


@given(st.sampled_from(Outcome), st.text(max_size=200))
def test_an_answer_comes_back(outcome: Outcome, text: str) -> None:
    """The answer names its command; a long text is cut at a character."""
    back = decode_result(encode_result(CommandResult(b"n" * 16, outcome, text)))
    assert (back.nonce, back.outcome) == (b"n" * 16, outcome)
    assert text.encode(errors="replace").startswith(back.text.encode())


def test_a_key_file_that_is_none_is_named(tmp_path: Path, desk: Desk) -> None:
    """Missing, readable by others, of another kind, or the public half: each says so."""
    curve = ec.generate_private_key(ec.SECP256R1())
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    other = tmp_path / "other.key"
    other.write_bytes(curve.private_bytes(serialization.Encoding.PEM, form, plain))
    other.chmod(0o600)
    with pytest.raises(ConfigError, match="no Ed25519 key"):
        read_signing_key(other, "commands.key")
    other.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_signing_key(other, "commands.key")
    with pytest.raises(ConfigError, match=r"commands\.keys"):
        read_public_key(tmp_path / "none.pub", "commands.keys")
    text = tmp_path / "text.pub"
    text.write_text("a key, surely")
    with pytest.raises(ConfigError, match="is no key"):
        read_public_key(text, "commands.keys")


def test_a_signature_tells_who_and_that_it_fits(desk: Desk) -> None:
    """The error names the key; a good one returns what was signed."""
    payload = seal_signed(Purpose.COMMAND, b"body", desk[0])
    assert open_signed(Purpose.COMMAND, payload, by_id([desk[1]]), 8) == (b"body", desk[1].key_id)
    with pytest.raises(SignatureError, match=desk[1].key_id.hex()):
        open_signed(Purpose.COMMAND, payload, {}, 8)
    assert dataclasses.is_dataclass(desk[0])
    assert "Ed25519PrivateKey object" in repr(desk[0])  # the key's bytes are in no repr
