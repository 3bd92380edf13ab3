"""What strikes, how often, and for how long."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sim.chaos.world import World
from sim.faults.link import LinkMode
from sim.faults.radio import RadioFault

_DAY_S: Final = 86_400.0


class Strike(Enum):
    """A kind of fault."""

    KILL_DRIVER = "kill_driver"
    KILL_FLIGHT = "kill_flight"
    KILL_UPLINK = "kill_uplink"
    KILL_DESK = "kill_desk"
    KILL_BROKER = "kill_broker"
    WIPE_BROKER = "wipe_broker"
    LINK_DOWN = "link_down"
    LINK_STALLED = "link_stalled"
    LINK_HALF_OPEN = "link_half_open"
    LINK_SLOW = "link_slow"
    LINK_LOSSY = "link_lossy"
    RADIO_CUT = "radio_cut"  # these four in a network of the uplink's own
    RADIO_LOSSY = "radio_lossy"
    RADIO_SLOW = "radio_slow"
    RADIO_RENUMBERED = "radio_renumbered"
    DISK_FULL = "disk_full"
    CLOCK_STEP = "clock_step"
    POWER_CYCLE = "power_cycle"  # every program aboard is killed; another boot, another clock
    ACKS_REPEATED = "acks_repeated"  # twice, and late


_LINKS: Final = {
    Strike.LINK_DOWN: (LinkMode.REFUSED, 1.0, 8.0),
    Strike.LINK_STALLED: (LinkMode.STALLED, 1.0, 8.0),
    Strike.LINK_HALF_OPEN: (LinkMode.HALF_OPEN, 3.0, 20.0),  # past the uplink's stall watchdog
    Strike.LINK_SLOW: (LinkMode.SLOW, 3.0, 12.0),
    Strike.LINK_LOSSY: (LinkMode.LOSSY, 3.0, 12.0),
}
RADIOS: Final = {
    Strike.RADIO_CUT: (RadioFault.CUT, 1.0, 15.0),
    Strike.RADIO_LOSSY: (RadioFault.LOSSY, 3.0, 15.0),
    Strike.RADIO_SLOW: (RadioFault.SLOW, 3.0, 15.0),
    Strike.RADIO_RENUMBERED: (RadioFault.RENUMBERED, 0.0, 1.0),
}
_WEIGHTS: Final = {
    Strike.KILL_DRIVER: 4,
    Strike.KILL_FLIGHT: 2,
    Strike.KILL_UPLINK: 4,
    Strike.KILL_DESK: 4,
    Strike.KILL_BROKER: 2,
    Strike.WIPE_BROKER: 1,
    Strike.LINK_DOWN: 1,
    Strike.LINK_STALLED: 1,
    Strike.LINK_HALF_OPEN: 1,
    Strike.LINK_SLOW: 1,
    Strike.LINK_LOSSY: 1,
    Strike.RADIO_CUT: 1,
    Strike.RADIO_LOSSY: 1,
    Strike.RADIO_SLOW: 1,
    Strike.RADIO_RENUMBERED: 2,
    Strike.DISK_FULL: 1,
    Strike.CLOCK_STEP: 2,
    Strike.POWER_CYCLE: 1,
    Strike.ACKS_REPEATED: 2,
}
_GAP_S: Final = (0.5, 6.0)


@dataclass(slots=True)
class Misfortune:
    """Draws faults from a seed and lets them act; what lasts is ended when its time is over."""

    world: World
    rng: random.Random
    kinds: tuple[Strike, ...]
    counts: Counter[str] = field(default_factory=Counter)
    next_s: float = 0.0
    _link_until_s: float = 0.0
    _disk_until_s: float | None = None
    _radio_until_s: float | None = None

    def turn(self) -> None:
        """Do what is due."""
        now_s = time.monotonic()
        if self.world.mode is not LinkMode.PASS and now_s >= self._link_until_s:
            self.world.mode = LinkMode.PASS
        if self._radio_until_s is not None and now_s >= self._radio_until_s:
            self._radio_until_s = None
            if self.world.radio is not None:
                self.world.radio.heal()
        if self._disk_until_s is not None and now_s >= self._disk_until_s:
            self._disk_until_s = None
            self.world.free_disk()
        if now_s >= self.next_s:
            self.next_s = now_s + self.rng.uniform(*_GAP_S)
            weights = [_WEIGHTS[kind] for kind in self.kinds]
            (kind,) = self.rng.choices(self.kinds, weights)
            if self._strike(kind, now_s):
                self.counts[kind.value] += 1

    def _strike(self, kind: Strike, now_s: float) -> bool:
        """Let one act; False if it cannot now, because its like still does."""
        if kind in _LINKS:
            return self._break_link(kind, now_s)
        if kind in RADIOS:
            return self._disturb_radio(kind, now_s)
        if kind.value.startswith("kill_") and kind is not Strike.KILL_BROKER:
            return self._kill(kind.value.removeprefix("kill_"))
        acts: dict[Strike, Callable[[], bool]] = {
            Strike.KILL_BROKER: lambda: self._kill_broker(is_wiped=False),
            Strike.WIPE_BROKER: lambda: self._kill_broker(is_wiped=True),
            Strike.DISK_FULL: lambda: self._fill_disk(now_s),
            Strike.CLOCK_STEP: self._step_clock,
            Strike.POWER_CYCLE: self._cut_power,
            Strike.ACKS_REPEATED: self._repeat_acks,
        }
        return acts[kind]()

    def _break_link(self, kind: Strike, now_s: float) -> bool:
        if self.world.mode is not LinkMode.PASS:
            return False
        mode, shortest_s, longest_s = _LINKS[kind]
        self._link_until_s = now_s + self.rng.uniform(shortest_s, longest_s)
        self.world.mode = mode
        return True

    def _disturb_radio(self, kind: Strike, now_s: float) -> bool:
        if self.world.radio is None or self._radio_until_s is not None:
            return False
        fault, shortest_s, longest_s = RADIOS[kind]
        self._radio_until_s = now_s + self.rng.uniform(shortest_s, longest_s)
        self.world.radio.let(fault)
        return True

    def _kill(self, role: str) -> bool:
        player = self.world.players.get(role)
        if player is None or player.process is None:
            return False
        self.world.kill(role, self.rng.uniform(0.0, 3.0))
        return True

    def _kill_broker(self, *, is_wiped: bool) -> bool:
        if not self.world.broker.is_running:
            return False
        self.world.kill_broker(self.rng.uniform(0.0, 4.0), is_wiped=is_wiped)
        return True

    def _fill_disk(self, now_s: float) -> bool:
        if self._disk_until_s is not None:
            return False
        self.world.fill_disk()
        self._disk_until_s = now_s + self.rng.uniform(1.0, 8.0)
        return True

    def _step_clock(self) -> bool:
        """Step UTC by seconds, days or years, forwards or back; or set it right again."""
        size_s = self.rng.choice([0.0, 3.0, 3600.0, 2 * _DAY_S, 400 * _DAY_S])
        self.world.place.clock.step(size_s * self.rng.choice([-1.0, 1.0]))
        return True

    def _cut_power(self) -> bool:
        self.world.place.clock.boot()
        away_s = self.rng.uniform(0.5, 3.0)
        for role in ("driver", "flight", "uplink"):
            if role in self.world.players:
                self.world.kill(role, away_s)
        return True

    def _repeat_acks(self) -> bool:
        self.world.repeat_acks(self.rng.randint(1, 30), 20.0)
        return bool(self.world.acks)
