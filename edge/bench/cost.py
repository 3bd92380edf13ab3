"""What an alert costs: how long its put takes, and what is written to the disk until its ack."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from edge.bench.figures import CostFigures, percentile
from edge.bench.rig import Rig, in_folder
from edge.bench.sizes import fresh_alert
from edge.protocol.ack import Ack
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.outgoing import outgoing_alert

_PUTS: Final = 2000  # twenty are beyond the 99th percentile
_ONE_BY_ONE: Final = 500
_DRAINED_BY: Final = 50  # as many as the uplink takes at a time
_LATER_NS: Final = 3_600_000_000_000
_KIBIBYTE: Final = 1024.0
_WRITTEN: Final = re.compile(r"^write_bytes: (\d+)$", re.MULTILINE)


def measure_cost(rig: Rig, puts: int = _PUTS) -> CostFigures:
    """Put alerts, one transaction each; send and forget them one by one, then many at a time.

    Raises:
        MailboxError: The disk refuses.
    """
    settings = in_folder(rig.settings, rig.folder / "cost")
    with Mailbox(settings.patrol.mailbox, Clocks()) as mailbox:
        n, before = min(puts, _ONE_BY_ONE), _written_bytes()
        for _ in range(n):  # on a new file, so that it grows under them
            _put(mailbox, 1)
            _drain(mailbox)
        one_by_one, before = _since(before, n), _written_bytes()
        took_s = _put(mailbox, puts)
        _drain(mailbox)
        together = _since(before, puts)
    return CostFigures(
        mailbox_put_p99_ms=1e3 * percentile(took_s, 99),
        mailbox_put_median_ms=1e3 * median(took_s),
        mailbox_put_max_ms=1e3 * max(took_s),
        mailbox_puts=puts,
        written_kib_per_alert=one_by_one,
        written_kib_per_alert_drained=together,
    )


def _put(mailbox: Mailbox, n: int) -> Sequence[float]:
    took_s = []
    for _ in range(n):
        message = outgoing_alert(fresh_alert())
        start_s = time.perf_counter()
        mailbox.put(message)
        took_s.append(time.perf_counter() - start_s)
    return took_s


def _drain(mailbox: Mailbox) -> None:
    """Take and forget what is queued, as the uplink does."""
    while rows := mailbox.take_due(_DRAINED_BY, lambda _tries: _LATER_NS):
        mailbox.acked(Ack(mailbox.epoch, 0, tuple(row.seq for row in rows)))


def _written_bytes() -> int | None:
    """Read what this process has handed to disks; None where the system does not tell."""
    try:
        found = _WRITTEN.search(Path("/proc/self/io").read_text())
    except OSError:
        return None
    return None if found is None else int(found.group(1))


def _since(before: int | None, n: int) -> float | None:
    """Return KiB for each of n; None on a memory disk, which nothing is written to."""
    after = _written_bytes()
    if before is None or after is None or after == before:
        return None
    return (after - before) / n / _KIBIBYTE
