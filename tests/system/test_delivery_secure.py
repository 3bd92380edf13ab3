"""Delivery over mosquitto with TLS, certificates as names, and an ACL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config_delivery import MqttConfig
from edge.desk.probe import probe_broker
from edge.errors import ConfigError
from edge.protocol.credentials import read_password
from edge.protocol.mqtt import MqttSession
from edge.report.status import UplinkHealth, uplink_health_from
from tests.brokers import Authority, Mosquitto
from tests.system.delivery import Place, expected, numbered, running, wait_empty, wait_until

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", authority) as running_broker:
        yield running_broker


def test_alerts_arrive_over_tls_by_certificate(tmp_path: Path, broker: Mosquitto) -> None:
    """The drone's id is its certificate's name; the broker dies once on the way."""
    place = Place(tmp_path, broker.config("drone-1"), broker.config("desk"))
    with place.mailbox() as mailbox, running(place.desk, place.uplink):
        mailbox.put_all([numbered(n) for n in range(20)])
        wait_until(lambda: bool(place.committed), "the first is committed")
        broker.kill()
        mailbox.put_all([numbered(n) for n in range(20, 40)])
        broker.start()
        wait_empty(mailbox)
    assert place.alert_revisions() == expected(40)


def test_a_probe_says_what_the_broker_grants(broker: Mosquitto) -> None:
    """With its own certificate a drone may publish and subscribe."""
    probe = probe_broker(broker.config("drone-1"), "drone-1")
    assert (probe.connected, probe.tls, probe.may_publish, probe.may_subscribe) == (True,) * 4
    assert probe.error == ""


def test_a_drone_may_not_speak_for_another(tmp_path: Path, broker: Mosquitto) -> None:
    """The refusal shows in the PUBACK; the row stays, and the uplink says why."""
    probe = probe_broker(broker.config("drone-2"), "drone-1")
    assert (probe.connected, probe.may_publish) == (True, False)
    assert "Not authorized" in probe.error
    place = Place(tmp_path, broker.config("drone-2"), broker.config("desk"))

    def refused(health: UplinkHealth | None) -> bool:
        return health is not None and health.puback_refused > 0

    with place.mailbox() as mailbox, running(place.desk, place.uplink):
        mailbox.put(numbered(0))
        wait_until(lambda: refused(uplink_health_from(mailbox, 5)), "the refusal is noticed")
        health = uplink_health_from(mailbox, 5)
        assert health is not None
        assert "Not authorized" in health.reason
        assert mailbox.queue_state().queued == 1
    assert place.committed == []


def test_a_stranger_is_kept_out(
    broker: Mosquitto, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No certificate, one of another authority, or no TLS: none connects, each is told why."""
    foreign = Authority.create(tmp_path_factory.mktemp("foreign"))
    certificate, key = foreign.issue("drone-1")
    for changes in (
        {},
        {"cert_file": certificate, "key_file": key},
        {"tls": False, "ca_file": None},
    ):
        probe = probe_broker(broker.config(**changes), "drone-1", wait_s=5.0)
        assert not probe.connected, changes
        assert probe.error.startswith(f"127.0.0.1:{broker.port}: "), changes
        assert "mqtt." in probe.error, changes  # the key to look at


def test_a_broker_of_another_authority_is_not_trusted(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The drone does not talk to a broker whose certificate it cannot verify."""
    foreign = Authority.create(tmp_path_factory.mktemp("foreign"))
    config = broker.config("drone-1", ca_file=foreign.folder / "ca.pem")
    probe = probe_broker(config, "drone-1")
    assert not probe.connected
    assert "certificate verify failed" in probe.error


def test_a_broker_that_is_not_there_is_named(broker: Mosquitto) -> None:
    """Refused connections are told with host and port."""
    broker.stop()
    probe = probe_broker(broker.config("drone-1"), "drone-1")
    assert not probe.connected
    assert "refused" in probe.error


def test_a_password_is_checked_by_the_broker(tmp_path: Path) -> None:
    """The right one connects, the wrong one is told so; it never stands in the message."""
    passwords = tmp_path / "passwords"
    # mosquitto takes plain lines and hashes them with `mosquitto_passwd -U`.
    import shutil
    import subprocess

    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    passwords.write_text("drone-1:right-secret\n")
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
    secret = tmp_path / "secret"
    options = f"password_file {passwords}\n"
    broker = Mosquitto(tmp_path / "broker", options=options)
    conf = tmp_path / "broker" / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    config = broker.config(username="drone-1", password_file=secret)
    with broker:
        secret.write_text("right-secret\n")
        secret.chmod(0o600)
        assert probe_broker(config, "drone-1").may_publish
        secret.write_text("wrong-secret\n")
        probe = probe_broker(config, "drone-1", wait_s=5.0)
    assert not probe.connected
    assert "Not authorized" in probe.error
    assert "wrong-secret" not in probe.error


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, authority: Authority) -> None:
    """Before anything is opened, with the command that mends it."""
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o644)
    config = MqttConfig(tls=False, username="drone-1", password_file=secret)
    with pytest.raises(ConfigError, match="chmod 600"):
        MqttSession(config, "drone-1", ())
    certificate, key = authority.issue("careless")
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        MqttSession(MqttConfig(cert_file=certificate, key_file=key), "drone-1", ())
    missing = MqttConfig(tls=False, username="d", password_file=tmp_path / "none")
    with pytest.raises(ConfigError, match=r"mqtt\.password_file"):
        MqttSession(missing, "drone-1", ())
    with pytest.raises(ConfigError, match=r"mqtt\.ca_file .*none\.pem: is no file"):
        MqttSession(MqttConfig(ca_file=tmp_path / "none.pem"), "drone-1", ())
    with pytest.raises(ConfigError, match="cannot be used"):
        MqttSession(MqttConfig(ca_file=secret), "drone-1", ())


def test_a_credential_of_systemd_is_taken_as_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group's bits of such a file are an access list's; elsewhere they are the group's."""
    credential, elsewhere = tmp_path / "credentials" / "password", tmp_path / "password"
    credential.parent.mkdir()
    for path in (credential, elsewhere):
        path.write_text("secret\n")
        path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))
    assert read_password(MqttConfig(tls=False, username="d", password_file=credential)) == "secret"
    with pytest.raises(ConfigError, match="chmod 600"):
        read_password(MqttConfig(tls=False, username="d", password_file=elsewhere))
    credential.chmod(0o444)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_password(MqttConfig(tls=False, username="d", password_file=credential))
