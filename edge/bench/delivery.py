"""From the row in the outbox to the desk's commit, over a real broker on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from edge.bench.figures import DeliveryFigures, percentile
from edge.bench.rig import Rig, in_folder
from edge.bench.sizes import fresh_alert
from edge.errors import BenchError
from edge.loopback import Ledger, ground_station, wait_for_delivery
from edge.records import UtcNs
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.outgoing import outgoing_alert

ALERTS_PER_S = 10.0
_LINK_GRACE_S = 20.0  # until broker, uplink and desk have found one another
_DELIVERY_GRACE_S = 20.0
_LOOK_S = 0.05


def measure_delivery(rig: Rig, seconds: float, utc_ns: Callable[[], UtcNs]) -> DeliveryFigures:
    """Put an alert ten times a second, of the largest size, and time each to the desk's commit.

    Raises:
        BenchError: The first alert, or one of them all, did not arrive.
        MissingExtraError, BrokerError: There is no broker.
    """
    settings = in_folder(rig.settings, rig.folder / "delivery")
    ledger = Ledger()
    ground = ground_station(settings, rig.folder / "delivery", ledger.commit, utc_ns)
    with ground, Mailbox(settings.patrol.mailbox, Clocks()) as mailbox:
        _await_link(mailbox, ledger)
        n_alerts, start_s = max(1, round(seconds * ALERTS_PER_S)), time.monotonic()
        for number in range(n_alerts):
            time.sleep(max(0.0, start_s + number / ALERTS_PER_S - time.monotonic()))
            ledger.store(mailbox.put(outgoing_alert(fresh_alert())))
        wait_for_delivery(mailbox, _DELIVERY_GRACE_S)
    took_s = list(ledger.latencies_s().values())
    if len(took_s) < n_alerts:
        raise BenchError(f"only {len(took_s)} of {n_alerts} alerts reached the desk")
    return DeliveryFigures(
        outbox_to_desk_p99_s=percentile(took_s, 99),
        outbox_to_desk_median_s=median(took_s),
        outbox_to_desk_alerts=len(took_s),
    )


def _await_link(mailbox: Mailbox, ledger: Ledger) -> None:
    """Send one alert that does not count: the first waits until everybody is connected."""
    seq = mailbox.put(outgoing_alert(fresh_alert()))
    deadline_s = time.monotonic() + _LINK_GRACE_S
    while seq not in ledger.committed_ns:
        if time.monotonic() > deadline_s:
            raise BenchError(f"no alert reached the desk within {_LINK_GRACE_S:.0f} s")
        time.sleep(_LOOK_S)
