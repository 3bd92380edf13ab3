"""Whether a mount is of the kind that its config says, by how its gimbal reports while tilting.

A servo mount that is read as a gimbal, or the other way round, puts places tens of metres off,
and nothing in a single message tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge.capture.gimbal import GimbalKind
from edge.geo.mount import MountKind, read_mount

_GIMBAL_OF_MOUNT = {
    MountKind.STABILISED_GIMBAL: GimbalKind.STABILISED,
    MountKind.SERVO_GIMBAL: GimbalKind.SERVO,
}
_MOVES_LIKE = {
    GimbalKind.STABILISED: "a stabilised one: its angles hold still while the vehicle tilts",
    GimbalKind.SERVO: "a servo one: its angles follow the vehicle's tilt",
}


class Agreement(Enum):
    """What the telemetry says to the config."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNTOLD = "untold"  # the vehicle did not tilt enough
    SILENT = "silent"  # a gimbal by the config, and none reports
    EXTRA = "extra"  # fixed by the config, and a gimbal reports


@dataclass(frozen=True, slots=True)
class MountWord:
    """One camera's mount: what the config says, what the data shows, and a sentence on it."""

    configured: MountKind
    shown: GimbalKind
    agreement: Agreement
    text: str


def mount_word(path: Path, shown: GimbalKind) -> MountWord:
    """Compare a mount's file with what the gimbal's reports look like.

    Raises:
        CalibrationError: The file is not usable.
    """
    configured = read_mount(path).kind
    agreement = _agreement(configured, shown)
    return MountWord(configured, shown, agreement, _text(configured, shown, agreement, path))


def _agreement(configured: MountKind, shown: GimbalKind) -> Agreement:
    wanted = _GIMBAL_OF_MOUNT.get(configured)
    if wanted is None:
        return Agreement.AGREES if shown is GimbalKind.NONE else Agreement.EXTRA
    if shown is GimbalKind.NONE:
        return Agreement.SILENT
    if shown is GimbalKind.UNKNOWN:
        return Agreement.UNTOLD
    return Agreement.AGREES if shown is wanted else Agreement.DISAGREES


def _text(configured: MountKind, shown: GimbalKind, agreement: Agreement, path: Path) -> str:
    kind = configured.value
    if agreement is Agreement.DISAGREES:
        return (
            f"the config says {kind}, but it moves like {_MOVES_LIKE[shown]}; correct `kind` in "
            f"{path}"
        )
    return {
        Agreement.AGREES: "fixed: turns with the vehicle"
        if configured is MountKind.FIXED
        else f"{kind}: reports, and moves like one",
        Agreement.UNTOLD: f"{kind}: reports, but the vehicle did not tilt enough to tell whether "
        "it is one; tilt it by hand by ten degrees and more",
        Agreement.SILENT: "the mount is a gimbal, but no gimbal reports its angles",
        Agreement.EXTRA: "fixed by the config, but a gimbal reports its angles; if this camera "
        f"hangs on it, correct `kind` in {path}",
    }[agreement]
