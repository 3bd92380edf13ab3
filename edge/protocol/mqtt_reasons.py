"""Why there is no connection to the broker, and what a person can do about it."""

from __future__ import annotations

import socket
import ssl

from edge.config_delivery import MqttConfig

CONNECTION_LOST = "connection lost"


def why_not_reached(error: Exception, config: MqttConfig) -> str:
    """Name what went wrong while connecting, and where to look."""
    if isinstance(error, ssl.SSLCertVerificationError):
        mend = "check mqtt.ca_file, mqtt.host and this computer's clock"
    elif isinstance(error, socket.gaierror):
        mend = "check mqtt.host and the network"
    elif isinstance(error, ConnectionRefusedError):
        mend = "is a broker running there? check mqtt.host and mqtt.port"
    elif config.tls and isinstance(error, (ssl.SSLError, ConnectionResetError)):
        mend = "does mqtt.port speak TLS?"
    else:
        mend = "check the network, mqtt.host and mqtt.port"
    return f"{type(error).__name__}: {error}; {mend}"


def why_not_answered(config: MqttConfig) -> str:
    """Say what a broker that hangs up before its first word may have disliked.

    TLS 1.3 tells a client that its certificate is missing or not trusted only after the handshake,
    by hanging up.
    """
    told = "the broker hangs up before it answers"
    if not config.tls:
        return f"{told}; does mqtt.port want TLS? then set mqtt.tls = true"
    if config.cert_file is None:
        return f"{told}; does it want a client certificate? then set mqtt.cert_file and key_file"
    return f"{told}; does it trust the authority that signed mqtt.cert_file?"
