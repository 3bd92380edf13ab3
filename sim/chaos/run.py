"""One run: everything starts, faults strike for so many minutes, all is quiet, the account."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge.errors import ScenarioError
from edge.machine import machine_name
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from sim.chaos.broker import KillableBroker
from sim.chaos.faults import RADIOS, Misfortune, Strike
from sim.chaos.flying import flown
from sim.chaos.judge import Account, account_of
from sim.chaos.place import Place, free_port
from sim.chaos.world import World, mount_small_disk, unmount
from sim.faults.radio import Radio

_TURN_S: Final = 0.02
_SETTLE_S: Final = 3.0  # before the first fault
_DRAIN_MAX_S: Final = 240.0
_DISK_MB: Final = 24
# The outbox of every third seed is so small that an outage of seconds evicts.
_SMALL_MAILBOX_MB: Final = 0.03
_MAILBOX_MB: Final = 8.0
_HOST: Final = "127.0.0.1"
_MOUNT_NEEDED: Final = "needs the right to mount a memory disk (root)"


@dataclass(frozen=True, slots=True)
class ChaosRequest:
    """How long, from which seed, how busy.

    `fly`: serve the shipped simulated flight and let a real `flight` see it, beside the driver.
    `network`: give the uplink a network of its own, whose packets get lost, where one may.
    """

    minutes: float
    seed: int
    alerts_per_s: float = 6.0
    fly: bool = True
    network: bool = True
    folder: Path | None = None  # None: a temporary one, gone afterwards
    progress: Callable[[str, float], None] = lambda _text, _share: None


@dataclass(frozen=True, slots=True)
class ChaosFigures:
    """What came of it."""

    account: Account
    seed: int
    minutes: float
    drain_s: float
    faults: dict[str, int]
    faults_unavailable: dict[str, str]
    transactions_struck: dict[str, int]
    starts: dict[str, int]
    ended_by_itself: dict[str, int]
    acks_repeated: int
    machine: str

    def as_dict(self) -> dict[str, Any]:
        """Lay it out for JSON."""
        fields = asdict(self)
        account = fields.pop("account")
        seed = fields.pop("seed")
        n_faults = sum(self.faults.values())
        return {
            "holds": self.account.holds,
            **account,
            "seeds": [seed],
            "faults_total": n_faults,
            "transactions_struck_total": sum(self.transactions_struck.values()),
            **fields,
        }


def run_chaos(request: ChaosRequest) -> ChaosFigures:
    """Run it.

    Raises:
        BrokerError: mosquitto is missing or does not start.
        ScenarioError, MissingExtraError: The simulated flight cannot be served.
    """
    with ExitStack() as stack:
        folder = request.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="skywhistle-chaos-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        disk = folder / "disk"
        has_disk = mount_small_disk(disk, _DISK_MB)
        stack.callback(unmount, disk)
        is_small = request.seed % 3 == 0
        radio, why_no_radio = _radio(request)
        if radio is not None:
            stack.callback(radio.close)
        place = Place(
            folder=str(folder),
            disk=str(disk),
            broker_port=free_port(),
            link_port=free_port(),
            alerts_per_s=request.alerts_per_s,
            mailbox_mb=_SMALL_MAILBOX_MB if is_small else _MAILBOX_MB,
            link_host=_HOST if radio is None else radio.ground,
        )
        place.write(folder / "place.json")
        if request.fly:
            stack.enter_context(flown(place))
        world = _world(place, request, radio)
        stack.callback(world.close)
        world.open()
        unavailable = {} if has_disk else {Strike.DISK_FULL.value: _MOUNT_NEEDED}
        if not request.fly:
            unavailable[Strike.KILL_FLIGHT.value] = "not asked to fly"
        if radio is None:
            unavailable |= dict.fromkeys((kind.value for kind in RADIOS), why_no_radio)
        return _run(world, request, unavailable)


def _radio(request: ChaosRequest) -> tuple[Radio | None, str]:
    """Make a network of its own for the uplink, or say why there is none."""
    if not request.network:
        return None, "not asked for"
    try:
        return Radio(), ""
    except ScenarioError as error:
        return None, str(error)


def _world(place: Place, request: ChaosRequest, radio: Radio | None) -> World:
    roles = ("desk", "uplink", "driver", *(("flight",) if request.fly else ()))
    folder = Path(place.folder)
    return World(
        place,
        folder / "place.json",
        random.Random(request.seed),
        KillableBroker(folder / "broker", place.broker_port),
        roles,
        radio,
    )


def _run(world: World, request: ChaosRequest, unavailable: dict[str, str]) -> ChaosFigures:
    kinds = tuple(kind for kind in Strike if kind.value not in unavailable)
    start_s = time.monotonic()
    length_s = request.minutes * 60.0
    misfortune = Misfortune(world, random.Random(request.seed + 1), kinds)
    misfortune.next_s = start_s + min(_SETTLE_S, length_s / 4)
    while (elapsed_s := time.monotonic() - start_s) < length_s:
        world.turn()
        misfortune.turn()
        n_faults = sum(misfortune.counts.values())
        request.progress(f"{n_faults} faults", elapsed_s / length_s)
        time.sleep(_TURN_S)
    world.heal()
    starts = {role: player.starts for role, player in world.players.items()}
    ended = {role: player.ended_by_itself for role, player in world.players.items()}
    drain_s = _drain(world, request)
    world.stop("uplink", "desk")
    account = account_of(world.place)
    if request.folder is not None:  # the memory disk goes with the run
        shutil.copytree(world.place.disk, request.folder / "disk-at-the-end", dirs_exist_ok=True)
    return ChaosFigures(
        account=account,
        seed=request.seed,
        minutes=request.minutes,
        drain_s=drain_s,
        faults=dict(sorted(misfortune.counts.items())),
        faults_unavailable=unavailable,
        transactions_struck=dict(sorted(world.transactions_struck.items())),
        starts=starts,
        ended_by_itself=ended,
        acks_repeated=world.acks_repeated,
        machine=machine_name(),
    )


def _drain(world: World, request: ChaosRequest) -> float:
    """Let all be delivered in peace; returns how long it took, or the most it may take."""
    start_s = time.monotonic()
    world.stop("driver", "flight")
    with Mailbox(world.place.mailbox, Clocks()) as mailbox:
        while (waited_s := time.monotonic() - start_s) < _DRAIN_MAX_S:
            world.turn()
            left = mailbox.queue_state().queued
            request.progress(f"{left} left to deliver", 1.0)
            if left == 0:
                break
            time.sleep(10 * _TURN_S)
    return waited_s


def totals(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up the JSON of several runs."""
    names = ("accepted", "committed", "coalesced", "superseded", "loss_recorded", "queued", "lost")
    more = ("invented", "duplicates", "unknown", "unknown_committed", "refused", "losses_told")
    added: dict[str, Any] = {name: sum(run[name] for run in runs) for name in (*names, *more)}
    for name in ("faults", "transactions_struck"):
        kinds = sorted({kind for run in runs for kind in run[name]})
        added[name] = {kind: sum(run[name].get(kind, 0) for run in runs) for kind in kinds}
    return {
        "holds": all(run["holds"] for run in runs),
        **added,
        "faults_total": sum(run["faults_total"] for run in runs),
        "transactions_struck_total": sum(run["transactions_struck_total"] for run in runs),
        "minutes": sum(run["minutes"] for run in runs),
        "seeds": [seed for run in runs for seed in run["seeds"]],
        "machine": runs[0]["machine"] if runs else "",
        "problems": [problem for run in runs for problem in run["problems"]],
    }


def read_runs(paths: list[Path]) -> list[dict[str, Any]]:
    """Read the JSON of earlier runs."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]
