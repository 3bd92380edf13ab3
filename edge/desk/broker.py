"""An MQTT 5 broker that pip installs, as a child process: for the demo and for quick tests.

It keeps everything in memory and knows neither TLS users nor ACLs: a real desk has mosquitto.
"""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from edge.config_delivery import MqttConfig
from edge.errors import BrokerError
from edge.extras import needs_extra

_HOST: Final = "127.0.0.1"
# rumqttd's own format.  Only a [v5] listener, only on loopback: by default it would be a 3.1.1
# listener on all addresses.
_TOML: Final = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
[v5.loopback]
name = "loopback"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.loopback.connections]
connection_timeout_ms = 60000
max_payload_size = 20480
max_inflight_count = 200
"""


class EmbeddedBroker:
    """A broker on loopback for as long as the `with` block lasts.

    Args:
        port: 0 lets it choose a free one.

    Raises:
        MissingExtraError: iotcore is not installed.
        BrokerError: It does not start.
    """

    def __init__(self, port: int = 0) -> None:
        self.host = _HOST
        self.port = port or free_port()
        self._child: Any = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        with needs_extra("demo", "the embedded broker"):
            from iotcore import Broker
        self._folder = tempfile.TemporaryDirectory(prefix="skywhistle-broker-")
        toml = Path(self._folder.name) / "broker.toml"
        toml.write_text(_TOML.format(host=self.host, port=self.port))
        try:
            self._child = Broker(config_path=str(toml))
            self._child.start()
        except (OSError, RuntimeError, ValueError) as error:
            self.stop()
            raise BrokerError(
                f"the embedded broker does not start on {self.host}:{self.port}: {error}"
            ) from error

    def stop(self) -> None:
        """Stop and free the port; harmless twice."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def config(self) -> MqttConfig:
        """Say how to reach it."""
        return MqttConfig(host=self.host, port=self.port, tls=False)

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def free_port() -> int:
    """Find a TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
