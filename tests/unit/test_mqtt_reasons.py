"""What an operator reads when there is no connection to the broker."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from edge.config_delivery import MqttConfig
from edge.protocol.mqtt_reasons import why_not_answered, why_not_reached

PLAIN, SECURE = MqttConfig(tls=False), MqttConfig(tls=True)
WITH_CERTIFICATE = MqttConfig(cert_file=Path("a.crt"), key_file=Path("a.key"))


@pytest.mark.parametrize(
    ("error", "config", "key"),
    [
        (ConnectionRefusedError(111, "Connection refused"), PLAIN, "mqtt.port"),
        (socket.gaierror(-2, "Name or service not known"), PLAIN, "mqtt.host"),
        (ssl.SSLCertVerificationError("self-signed certificate"), SECURE, "mqtt.ca_file"),
        (ssl.SSLError("wrong version number"), SECURE, "mqtt.port speak TLS"),
        (ConnectionResetError(104, "Connection reset by peer"), SECURE, "mqtt.port speak TLS"),
        (TimeoutError("timed out"), PLAIN, "the network"),
    ],
)
def test_each_failure_keeps_its_words_and_gets_a_key_to_look_at(
    error: Exception, config: MqttConfig, key: str
) -> None:
    """What the system said stands first; what to look at in the config follows."""
    told = why_not_reached(error, config)
    assert str(error) in told
    assert key in told.removeprefix(f"{type(error).__name__}: {error}; ")


def test_a_broker_that_hangs_up_first_is_asked_the_right_question() -> None:
    """Without TLS, with TLS, with a certificate: three different things may be missing."""
    assert "mqtt.tls = true" in why_not_answered(PLAIN)
    assert "set mqtt.cert_file" in why_not_answered(SECURE)
    assert "signed mqtt.cert_file" in why_not_answered(WITH_CERTIFICATE)
