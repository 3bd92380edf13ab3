"""How long to wait before a message is sent again."""

from __future__ import annotations

import random
from collections.abc import Callable

_NS = 1_000_000_000


def resend_backoff(first_s: float, longest_s: float) -> Callable[[int], int]:
    """Make the wait, in ns, from the number of tries so far: doubling, bounded, ± 20 % jitter.

    Without jitter a fleet that lost its broker at one moment would come back at one moment.
    """

    def wait_ns(tries: int) -> int:
        wait_s = min(longest_s, first_s * 2.0 ** min(tries, 20))
        return int(wait_s * random.uniform(0.8, 1.2) * _NS)

    return wait_ns
