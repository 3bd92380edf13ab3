"""A real telemetry log sent again over a link, every packet as it was recorded."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from edge.errors import ScenarioError
from sim.wire.link import GroundLink
from sim.wire.log import read_packets


def resend_log(
    log_path: Path, url: str, speed: float = 1.0, stop: threading.Event | None = None
) -> int:
    """Send a log's packets, of all senders, at their recorded pace times `speed`.

    What comes back on the link is read and thrown away: a recording cannot answer.

    Returns:
        How many packets were sent.

    Raises:
        ScenarioError: The log or the link's address is not usable.
    """
    if not speed > 0.0:
        raise ScenarioError(f"speed must be positive, got {speed}")
    stop = stop or threading.Event()
    link = GroundLink(url)
    begin_s, first_us = time.monotonic(), None
    try:
        for packet in read_packets(log_path):
            first_us = packet.record_us if first_us is None else first_us
            due_s = begin_s + (packet.record_us - first_us) / 1e6 / speed
            if (ahead_s := due_s - time.monotonic()) > 0:
                link.receive()
                stop.wait(ahead_s)
            if stop.is_set():
                break
            link.send_raw(packet.raw)
    finally:
        link.close()
    return link.sent
