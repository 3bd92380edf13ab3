"""Attacks on a broker that `skywhistle keys` has set up: a real mosquitto, its own listener.

Each attack has a listener where its success would show.  Beside it the law-abiding way is walked,
so that nothing is refused merely because nothing works.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.config_delivery import MqttConfig
from edge.desk.authority import Authority
from edge.desk.broker import free_port
from edge.desk.broker_files import write_broker_files
from edge.desk.orders import Order, send_order
from edge.desk.probe import probe_broker
from edge.errors import BrokerError, KeysError
from edge.protocol.command import Verb
from edge.protocol.credentials import tls_context
from edge.protocol.signing import read_signing_key
from edge.records import UtcNs

pytestmark = pytest.mark.system

NOW = datetime.now(timezone.utc)
WAIT_S = 8.0
HEARD_WITHIN_S = 0.6  # what a loopback broker delivers comes within milliseconds


@dataclass
class Town:
    """An authority, its broker at work, and who lives there."""

    folder: Path
    port: int
    authority: Authority
    log: Path

    def keys(self, name: str) -> Path:
        """Return the folder of a name's keys."""
        return self.folder / (name if name in {"desk", "dashboard"} else f"drones/{name}")

    def config(self, name: str, **changes: Any) -> MqttConfig:
        """Say how a name reaches the broker."""
        keys = self.keys(name)
        fields = {
            "port": self.port,
            "ca_file": keys / "ca.crt",
            "cert_file": keys / f"{name}.crt",
            "key_file": keys / f"{name}.key",
        }
        return MqttConfig(**(fields | changes))

    def context(self, name: str | None, **changes: Any) -> ssl.SSLContext:
        """Return the TLS settings of a name; None: of somebody without a certificate."""
        if name is None:
            return ssl.create_default_context(cafile=str(self.folder / "broker" / "ca.crt"))
        context = tls_context(self.config(name, **changes))
        assert context is not None
        return context


@dataclass
class Talker:
    """A plain MQTT client without any of our restraint."""

    town: Town
    context: ssl.SSLContext
    client_id: str
    version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    will: tuple[str, bytes] | None = None
    username: str | None = None
    is_up: bool = False
    client: Client | None = None

    def __enter__(self) -> Talker:
        client = Client(CallbackAPIVersion.VERSION2, self.client_id, protocol=self.version)
        client.tls_set_context(self.context)
        if self.will is not None:
            client.will_set(*self.will, qos=1, retain=True)
        if self.username is not None:
            client.username_pw_set(self.username, "whatever")
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_publish = lambda _c, _d, _mid, code, _p: self.answers.append(code.value)
        self.client = client
        with contextlib.suppress(OSError):
            if self.version is MQTTProtocolVersion.MQTTv5:
                client.connect("127.0.0.1", self.town.port, clean_start=True)
            else:
                client.connect("127.0.0.1", self.town.port)
            client.loop_start()
            wait_until(lambda: self.is_up, 2.0)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.client is not None
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, _c: Any, _d: Any, _f: Any, code: Any, _p: Any) -> None:
        self.is_up = code.value < 0x80

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Publish and return the broker's answer; None where none came."""
        assert self.client is not None
        before = len(self.answers)
        self.client.publish(topic, payload, qos=1, retain=retain)
        wait_until(lambda: len(self.answers) > before, 2.0)
        return self.answers[-1] if len(self.answers) > before else None

    def listen(self, topic: str) -> None:
        """Subscribe, and wait for the answer."""
        assert self.client is not None
        done: list[bool] = []
        self.client.on_subscribe = lambda *_: done.append(True)
        self.client.subscribe(topic, qos=1)
        wait_until(lambda: bool(done), 2.0)


def wait_until(is_so: Callable[[], bool], wait_s: float = WAIT_S) -> bool:
    """Wait; tells whether it came true."""
    deadline = time.monotonic() + wait_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    folder, port = tmp_path_factory.mktemp("keys") / "town", free_port()
    authority = Authority.create(folder, ["127.0.0.1", "localhost"], NOW, 30)
    for name in ("drone-1", "drone-2", "dismissed"):
        authority.issue_drone(name, NOW, 30)
    authority.issue_drone("outworn", NOW - timedelta(days=3), 1)
    authority.revoke("dismissed", NOW)
    authority.issue_dashboard(NOW, 30)
    broker = folder / "broker"
    (broker / "state").mkdir()
    write_broker_files(broker, broker, broker / "state", address="127.0.0.1", port=port)
    conf, log = broker / "mosquitto.conf", broker / "mosquitto.log"
    with log.open("wb") as out:
        command = [program, "-v", "-c", str(conf)]
        # Started by root mosquitto would become a user who cannot read a test's folder.
        conf.write_text(conf.read_text() + "user root\n")
        child = subprocess.Popen(command, stdout=out, stderr=out)
        built = Town(folder, port, authority, log)
        assert wait_until(lambda: is_open(port)), log.read_text()
        yield built
        child.terminate()
        child.wait(10)


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


@pytest.fixture
def drone(town: Town) -> Iterator[Talker]:
    """The attacker that has a drone in hand: drone-2 with its valid keys."""
    with Talker(town, town.context("drone-2"), "drone-2-own") as talker:
        assert talker.is_up
        yield talker


@pytest.fixture
def desk(town: Town) -> Iterator[Talker]:
    """The desk, which hears whatever any drone says."""
    with Talker(town, town.context("desk"), "desk-own") as talker:
        assert talker.is_up
        talker.listen("sw/v1/+/up/#")
        talker.listen("sw/v1/desk/#")
        yield talker


# --- what is allowed ---------------------------------------------------------------------------


def test_everybody_may_do_what_is_theirs(town: Town, desk: Talker) -> None:
    """A drone speaks and is spoken to, the desk tells all, and `check` finds nothing wrong."""
    with Talker(town, town.context("drone-1"), "drone-1-own") as one:
        one.listen("sw/v1/drone-1/dn/#")
        assert one.say("sw/v1/drone-1/up/alert", b"mine") in {0, 16}
        assert wait_until(lambda: ("sw/v1/drone-1/up/alert", b"mine") in desk.heard)
        assert desk.say("sw/v1/drone-1/dn/ack", b"got it") == 0
        assert wait_until(lambda: ("sw/v1/drone-1/dn/ack", b"got it") in one.heard)
        assert desk.say("sw/v1/desk/state", b"here") in {0, 16}
    probe = probe_broker(town.config("drone-1"), "drone-1")
    assert (probe.connected, probe.tls, probe.may_publish, probe.may_subscribe) == (True,) * 4


def test_a_dashboard_reads_what_the_desk_tells(town: Town, desk: Talker) -> None:
    """It hears alerts and state, nothing of any drone, and nobody hears it."""
    with (
        Talker(town, town.context("dashboard"), "board") as board,
        Talker(town, town.context("drone-1"), "drone-1-own") as one,
    ):
        for topic in ("sw/v1/desk/alert", "sw/v1/desk/state", "sw/v1/+/up/#", "sw/v1/+/dn/#"):
            board.listen(topic)
        one.say(f"{ONE}/up/alert", b"raw")
        desk.say(f"{ONE}/dn/cmd", b"order")
        for topic in ("sw/v1/desk/alert", "sw/v1/desk/state", f"{ONE}/dn/cmd", f"{ONE}/up/alert"):
            board.say(topic, b"from the board")
        board.say("sw/v1/dashboard/up/alert", b"from the board")
        desk.say("sw/v1/desk/state", b"here")
        desk.say("sw/v1/desk/alert", b"told")
        assert wait_until(lambda: ("sw/v1/desk/alert", b"told") in board.heard)
        assert {text for _, text in board.heard} == {b"here", b"told"}
    assert b"from the board" not in [text for _, text in desk.heard]


# --- who may connect ---------------------------------------------------------------------------


def is_let_in(town: Town, context: ssl.SSLContext | None) -> bool:
    """Tell whether somebody gets as far as the broker's welcome."""
    if context is None:
        with socket.create_connection(("127.0.0.1", town.port), 2.0) as plain:
            plain.sendall(bytes.fromhex("100f00044d5154540502003c0000026162"))  # CONNECT, MQTT 5
            with contextlib.suppress(OSError):
                return plain.recv(4)[:1] == b"\x20"  # CONNACK
            return False
    with Talker(town, context, "stranger") as talker:
        return talker.is_up


def forged(town: Town, folder: Path, name: str, *, issuer: str = "", days: int = 30) -> Any:
    """Return the TLS settings of a certificate that the attacker has made.

    Args:
        town: Whose broker is attacked.
        folder: For the forgery.
        name: In the certificate.
        issuer: Whose valid certificate signs it, as if a drone were an authority; empty: itself.
        days: How long it holds.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer: Any = key
    signed_by, chain = subject, b""
    if issuer:
        keys = town.keys(issuer)
        chain = (keys / f"{issuer}.crt").read_bytes()
        signed_by = x509.load_pem_x509_certificate(chain).subject
        secret = (keys / f"{issuer}.key").read_bytes()
        signer = serialization.load_pem_private_key(secret, None)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(signer, hashes.SHA256())
    )
    folder.mkdir()
    pem = folder / "forged.pem"
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + chain
        + key.private_bytes(serialization.Encoding.PEM, form, plain)
    )
    context = town.context(None)
    context.load_cert_chain(pem)
    return context


def of_another_authority(town: Town, folder: Path) -> ssl.SSLContext:
    other = Authority.create(folder, ["127.0.0.1"], NOW, 30)
    made = other.issue_drone("drone-1", NOW, 30)
    context = town.context(None)
    context.load_cert_chain(made / "drone-1.crt", made / "drone-1.key")
    return context


def by_the_brokers_own(town: Town, _folder: Path) -> ssl.SSLContext:
    context = town.context(None)
    broker = town.folder / "broker"
    context.load_cert_chain(broker / "broker.crt", broker / "broker.key")
    return context


def by_tls_12(town: Town, _folder: Path) -> ssl.SSLContext:
    context = town.context("drone-1")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


CONNECTIONS: dict[str, Callable[[Town, Path], ssl.SSLContext | None]] = {
    "without TLS": lambda _town, _folder: None,
    "without a certificate": lambda town, _folder: town.context(None),
    "by another authority's certificate of the same name": of_another_authority,
    "by a certificate that vouches for itself": lambda town, folder: forged(town, folder, "desk"),
    "by a certificate that a drone has signed": lambda town, folder: forged(
        town, folder, "desk", issuer="drone-2"
    ),
    "by an expired certificate": lambda town, _folder: town.context("outworn"),
    "by a withdrawn certificate": lambda town, _folder: town.context("dismissed"),
    "by the broker's own certificate": by_the_brokers_own,
    "by TLS 1.2": by_tls_12,
}


@pytest.mark.parametrize("attack", CONNECTIONS)
def test_a_stranger_does_not_get_in(town: Town, tmp_path: Path, attack: str) -> None:
    """Without a valid certificate of this authority, over TLS 1.3, nobody is answered."""
    assert is_let_in(town, town.context("drone-1"))
    assert not is_let_in(town, CONNECTIONS[attack](town, tmp_path / "made"))


def test_no_other_door_is_open(town: Town) -> None:
    """The broker that the files describe listens on one port, which asks for a certificate."""
    conf = (town.folder / "broker" / "mosquitto.conf").read_text()
    lines = [line for line in conf.splitlines() if line.startswith(("listener", "port", "bind"))]
    assert lines == [f"listener {town.port} 127.0.0.1"]
    assert "allow_anonymous true" not in conf


# --- who may say what --------------------------------------------------------------------------

ONE, OWN = "sw/v1/drone-1", "sw/v1/drone-2"
REFUSED = 0x87  # Not authorized

SAYINGS = {
    "an alert for another drone": (f"{ONE}/up/alert", False),
    "a loss of another drone's alerts": (f"{ONE}/up/result", False),
    "a picture for another drone": (f"{ONE}/up/media", False),
    "a status of another drone that stays": (f"{ONE}/up/status", True),
    "the desk's state": ("sw/v1/desk/state", True),
    "an alert as if the desk had committed it": ("sw/v1/desk/alert", False),
    "an ack that makes another drone forget": (f"{ONE}/dn/ack", False),
    "an ack to itself": (f"{OWN}/dn/ack", False),
    "a command to another drone": (f"{ONE}/dn/cmd", False),
    "a command to itself": (f"{OWN}/dn/cmd", False),
    "something outside the topics": ("other/topic", False),
    "something on the broker's own topics": ("$SYS/broker/uptime", False),
    "an alert of a drone whose name begins alike": (f"{OWN}x/up/alert", False),
}


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_drone_speaks_for_itself_alone(
    town: Town, drone: Talker, desk: Talker, saying: str
) -> None:
    """What a drone says outside its own `up` is refused in the PUBACK and reaches nobody."""
    topic, retain = SAYINGS[saying]
    with Talker(town, town.context("drone-1"), "drone-1-own") as victim:
        victim.listen(f"{ONE}/dn/#")
        payload = f"forged {time.monotonic_ns()}".encode()
        assert drone.say(topic, payload, retain=retain) in {REFUSED, None}
        if drone.is_up:
            marker = f"{OWN}/up/alert", payload + b" after"
            drone.say(*marker)
            wait_until(lambda: marker in desk.heard)
        heard = [text for _, text in (*victim.heard, *desk.heard)]
    assert payload not in heard


@pytest.mark.parametrize("saying", ["an ack that makes another drone forget", "the desk's state"])
def test_an_older_protocol_gets_no_further(town: Town, desk: Talker, saying: str) -> None:
    """MQTT 3.1.1 has no refusal to give, but what is not allowed reaches nobody all the same."""
    topic, retain = SAYINGS[saying]
    context, old = town.context("drone-2"), MQTTProtocolVersion.MQTTv311
    with (
        Talker(town, town.context("drone-1"), "drone-1-own") as victim,
        Talker(town, context, "old", version=old) as attacker,
    ):
        victim.listen(f"{ONE}/dn/#")
        attacker.say(topic, b"old forgery", retain=retain)
        attacker.say(f"{OWN}/up/alert", b"old truth")
        assert wait_until(lambda: (f"{OWN}/up/alert", b"old truth") in desk.heard)
        heard = [text for _, text in (*victim.heard, *desk.heard)]
    assert b"old forgery" not in heard


@pytest.mark.parametrize("topic", [f"{ONE}/up/status", "sw/v1/desk/state"])
def test_a_will_is_nobody_elses(town: Town, desk: Talker, topic: str) -> None:
    """A last will on another's topic is not executed."""
    payload = f"will {time.monotonic_ns()}".encode()
    will = (topic, payload)
    with Talker(town, town.context("drone-2"), "testator", will=will) as attacker:
        client = attacker.client
        assert client is not None
        if attacker.is_up:  # mosquitto refuses either the will or, at once, the connection
            raw = client.socket()
            assert raw is not None
            raw.shutdown(socket.SHUT_RDWR)  # dies without a farewell
            time.sleep(HEARD_WITHIN_S)
    assert payload not in [text for _, text in desk.heard]


def test_a_name_in_the_connect_counts_for_nothing(town: Town, desk: Talker) -> None:
    """Who calls itself `desk` by password stays who its certificate says."""
    with Talker(town, town.context("drone-2"), "liar", username="desk") as attacker:
        attacker.say(f"{ONE}/dn/cmd", b"as desk")
        attacker.say("sw/v1/desk/alert", b"as desk")
        time.sleep(HEARD_WITHIN_S)
    assert b"as desk" not in [text for _, text in desk.heard]


# --- who may hear what -------------------------------------------------------------------------

EARS = {
    "another drone's alerts": f"{ONE}/up/#",
    "every drone's alerts": "sw/v1/+/up/#",
    "everything": "#",
    "what is told another drone": f"{ONE}/dn/#",
    "what is told every drone": "sw/v1/+/dn/cmd",
    "the desk's alerts": "sw/v1/desk/alert",
    "every drone's alerts, shared": "$share/thieves/sw/v1/+/up/#",
    "the broker's own topics": "$SYS/#",
}


@pytest.mark.parametrize("ear", EARS)
def test_a_drone_hears_what_is_meant_for_it_alone(
    town: Town, drone: Talker, desk: Talker, ear: str
) -> None:
    """Whatever a drone subscribes to, others' alerts, commands and statuses do not come."""
    with Talker(town, town.context("drone-1"), "drone-1-own") as victim:
        victim.say(f"{ONE}/up/status", b"kept", retain=True)
        drone.listen(EARS[ear])
        drone.listen(f"{OWN}/dn/#")
        victim.say(f"{ONE}/up/alert", b"secret")
        desk.say(f"{ONE}/dn/cmd", b"secret")
        desk.say("sw/v1/desk/alert", b"secret")
        desk.say(f"{OWN}/dn/ack", b"for drone-2")
        assert wait_until(lambda: any(text == b"for drone-2" for _, text in drone.heard))
        time.sleep(HEARD_WITHIN_S / 3)
    others = [topic for topic, _ in drone.heard if not topic.startswith(f"{OWN}/")]
    assert others == []


def test_the_desk_cannot_make_up_an_alert(desk: Talker) -> None:
    """A stolen desk key forges no drone's alerts: the desk may only read them."""
    assert desk.say(f"{ONE}/up/alert", b"made up") == REFUSED


def test_a_session_is_not_inherited(town: Town, desk: Talker) -> None:
    """Who connects under another's client id gets nothing that waited for the other."""
    context = town.context("drone-1")
    expiry = Properties(PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = 600
    owner = Client(CallbackAPIVersion.VERSION2, "sw-drone-1", protocol=MQTTProtocolVersion.MQTTv5)
    owner.tls_set_context(context)
    up: list[bool] = []
    owner.on_connect = lambda *_: owner.subscribe(f"{ONE}/dn/#", qos=1)
    owner.on_subscribe = lambda *_: up.append(True)
    owner.connect("127.0.0.1", town.port, clean_start=False, properties=expiry)
    owner.loop_start()
    assert wait_until(lambda: bool(up))
    owner.disconnect()
    owner.loop_stop()
    desk.say(f"{ONE}/dn/cmd", b"for drone-1 only")
    thief = Client(CallbackAPIVersion.VERSION2, "sw-drone-1", protocol=MQTTProtocolVersion.MQTTv5)
    thief.tls_set_context(town.context("drone-2"))
    heard: list[bytes] = []
    thief.on_message = lambda _c, _d, message: heard.append(bytes(message.payload))
    thief.connect("127.0.0.1", town.port, clean_start=False, properties=expiry)
    thief.loop_start()
    time.sleep(HEARD_WITHIN_S)
    thief.disconnect()
    thief.loop_stop()
    assert heard == []


def test_a_flood_of_one_packet_is_cut_off(town: Town, drone: Talker, desk: Talker) -> None:
    """A packet larger than any of ours ends the connection and reaches nobody."""
    drone.say(f"{OWN}/up/media", b"x" * 200_000)
    assert all(len(text) < 100_000 for _, text in desk.heard)


# --- brokers that are not ours -----------------------------------------------------------------


@contextlib.contextmanager
def impostor(chain: Path, key: Path, ca: Path, *, only_12: bool = False) -> Iterator[int]:
    """A TLS server with somebody's certificate, which says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.load_verify_locations(ca)
    if only_12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        listener.settimeout(0.1)
        while not ended.is_set():
            with contextlib.suppress(OSError):
                raw, _ = listener.accept()
                with raw, context.wrap_socket(raw, server_side=True) as talk:
                    talk.recv(200)
                    # CONNACK of MQTT 3.1.1: accepted; a client of MQTT 5 must not go on with it.
                    talk.sendall(bytes.fromhex("20020000"))
                    talk.recv(200)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    ended.set()
    thread.join()
    listener.close()


@pytest.mark.parametrize("who", ["another drone", "another authority", "an older TLS"])
def test_a_false_broker_is_told_nothing(town: Town, tmp_path: Path, who: str) -> None:
    """A drone speaks to a broker of its own authority, by TLS 1.3, or not at all."""
    broker, thief = town.folder / "broker", town.keys("drone-2")
    chain, key = broker / "broker.crt", broker / "broker.key"
    if who == "another drone":
        chain, key = thief / "drone-2.crt", thief / "drone-2.key"
    elif who == "another authority":
        Authority.create(tmp_path / "other", ["127.0.0.1"], NOW, 30)
        chain, key = (tmp_path / "other/broker" / name for name in ("broker.crt", "broker.key"))
    with impostor(chain, key, broker / "ca.crt", only_12=who == "an older TLS") as port:
        probe = probe_broker(town.config("drone-1", port=port), "drone-1", wait_s=4.0)
    assert not probe.connected
    assert probe.error


def test_a_broker_at_another_address_is_not_trusted(town: Town) -> None:
    """The certificate names its hosts; under another name the same broker is a stranger."""
    probe = probe_broker(town.config("drone-1", host="127.0.0.2"), "drone-1", wait_s=4.0)
    assert not probe.connected


# --- the authority -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["desk", "broker", "dashboard", "a/b", "+", "#", "", "x" * 33])
def test_no_drone_gets_anothers_name(town: Town, name: str) -> None:
    """Names that the ACL knows otherwise, or that are no level of a topic, are never certified."""
    with pytest.raises(KeysError):
        town.authority.issue_drone(name, NOW, 30)


def test_a_second_certificate_needs_the_first_withdrawn(town: Town) -> None:
    """Two machines of one name would push each other out; the message says how to replace one."""
    with pytest.raises(KeysError, match="keys revoke"):
        town.authority.issue_drone("drone-1", NOW, 30)


def test_an_authority_is_not_overwritten(town: Town) -> None:
    """A second `init` would lock out every aircraft."""
    with pytest.raises(KeysError, match="holds an authority already"):
        Authority.create(town.folder, ["127.0.0.1"], NOW, 30)


def test_secrets_are_readable_by_their_owner_alone(town: Town) -> None:
    """Every key file has mode 600 and lies in a folder of mode 700."""
    secrets = list(town.folder.rglob("*.key"))
    assert len(secrets) > 8
    for path in secrets:
        assert path.stat().st_mode & 0o777 == 0o600, path
        assert path.parent.stat().st_mode & 0o777 == 0o700, path


def test_a_command_to_a_drone_that_never_was_here_says_so(town: Town) -> None:
    """Nobody keeps it, so nobody is told that it waits."""
    key = read_signing_key(town.folder / "desk" / "command.key", "key")
    order = Order("drone-9", Verb.PING, valid_s=600).command(UtcNs(time.time_ns()))
    with pytest.raises(BrokerError, match="has never been at this broker"):
        send_order(town.config("desk"), order, key, WAIT_S)
