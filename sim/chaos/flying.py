"""The simulated flight that chaos breaks into: on the wire, again and again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.settings import Settings, read_settings
from edge.toml_text import patrol_as_toml
from sim.chaos.place import DRONE_ID, Place
from sim.serve import ServedFlight, ServeOptions
from sim.wire.flight import read_wire_flight

_SIM: Final = Path(__file__).resolve().parents[1]
_FLIGHT: Final = _SIM / "flights" / "demo"
# Twice a second is enough to find things, and leaves a small machine to the faults.
_RATE_HZ: Final = 2.0


@contextmanager
def flown(place: Place) -> Iterator[None]:
    """Serve the shipped flight for as long as the block lasts, its config in `patrol.toml`.

    Raises:
        MissingExtraError: GStreamer is not installed.
        ScenarioError: The flight cannot be served.
    """
    mavlink_port, rtp_port = _free_udp_port(), _free_udp_port()
    write_config(place, mavlink_port, rtp_port)
    options = ServeOptions(
        mavlink=(f"udpout:127.0.0.1:{mavlink_port}",), rtp_port=rtp_port, rtsp_host=None, loop=True
    )
    with ServedFlight(read_wire_flight(_FLIGHT), options):
        yield


def write_config(place: Place, mavlink_port: int, rtp_port: int) -> None:
    """Write the simulator's own config with the run's places."""
    settings: Settings = read_settings(_SIM / "patrol.toml")
    patrol = settings.patrol
    folder = Path(place.folder)
    camera = patrol.camera[0].model_copy(
        update={
            "source": f"udp://:{rtp_port}",
            "encoding": "h264",
            "max_rate_hz": _RATE_HZ,
            "latency_s": 0.12,
        }
    )
    update = {
        "drone_id": DRONE_ID,
        "state_dir": folder / "state",
        "camera": (camera,),
        "autopilot": patrol.autopilot.model_copy(update={"url": f"udpin:127.0.0.1:{mavlink_port}"}),
        "inference": patrol.inference.model_copy(update={"threads": 1}),
        "mqtt": place.uplink_mqtt,
        "mailbox": place.mailbox,
        "evidence": patrol.evidence.model_copy(update={"folder": place.pictures, "max_mb": 4.0}),
    }
    text = patrol_as_toml(patrol.model_copy(update=update))
    (folder / "patrol.toml").write_text(text, encoding="utf-8")


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
