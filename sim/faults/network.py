"""The link between an uplink and its broker, failing as a flight's timeline says."""

from __future__ import annotations

from collections.abc import Callable

from sim.faults.link import Address, LinkMode, LinkRelay
from sim.faults.timeline import NETWORK_KINDS, FaultKind, Timeline

__all__ = ["Address", "BrokerRelay"]


class BrokerRelay(LinkRelay):
    """Passes TCP between an uplink and a broker, except while a fault of the timeline acts.

    `link_down`: connections stay and nothing passes, new ones get no answer: as a radio out of
    range.  `broker_kill`: connections are reset and new ones refused: what an uplink sees of a
    killed broker; the broker itself lives, and keeps its sessions.
    """

    def __init__(
        self, listen: Address, broker: Address, faults: Timeline, elapsed_s: Callable[[], float]
    ) -> None:
        """Listen; port 0 takes a free one.

        Args:
            listen: What the uplink is told is the broker.
            broker: The real one.
            faults: Those of other places are left alone.
            elapsed_s: Seconds since the flight's start; 0 or less before it.

        Raises:
            ScenarioError: The address to listen on is taken or is not ours.
        """
        network = faults.only(NETWORK_KINDS)

        def mode() -> LinkMode:
            now_s = elapsed_s()
            if network.active(FaultKind.BROKER_KILL, now_s) is not None:
                return LinkMode.REFUSED
            is_down = network.active(FaultKind.LINK_DOWN, now_s) is not None
            return LinkMode.STALLED if is_down else LinkMode.PASS

        super().__init__(listen, broker, mode)
