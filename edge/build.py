"""Setting up the steps of a flight from its config: what could only fail in the air fails here."""

from __future__ import annotations

from collections.abc import Callable

from edge.district import delay_watches, read_inputs
from edge.flightlog import FlightLog
from edge.geo.height_watch import HeightWatch
from edge.geo.terrain import tile_of
from edge.records import MonoNs, TimeQuality, UtcNs, UtcTime
from edge.report.evidence import EvidenceKeeper
from edge.report.mailbox import Mailbox
from edge.settings import Settings
from edge.stages import PoseSource, Stages, Stored, lower_to_rules
from edge.vision.detector import OnnxDetector


def trusted_utc_ns(utc: UtcTime) -> UtcNs | None:
    """Return a UTC by which a message may grow old; None where only this computer vouches for it.

    Its clock may have stood still while the power was off: a message stamped with the time of
    last week would expire at the next start, when the right time is known.
    """
    return utc.utc_ns if utc.quality >= TimeQuality.GNSS else None


def build_stages(
    settings: Settings,
    poses: PoseSource,
    mailbox: Mailbox,
    *,
    now: Callable[[], MonoNs],
    flight_log: FlightLog | None = None,
    on_stored: Callable[[Stored], None] = lambda _stored: None,
) -> Stages:
    """Load models and calibrations, and refuse at once what could only fail in the air.

    Raises:
        ConfigError: A calibration, mount, zone, grid or code file is not usable.
        LabelError: A rule is on a label that no camera's model has.
        ModelError: A model does not load or is not what its manifest says.
    """
    patrol = settings.patrol
    manifests = read_inputs(patrol)
    detectors = {
        camera_id: OnnxDetector(manifest, patrol.inference)
        for camera_id, manifest in manifests.items()
    }
    lower_to_rules(detectors.values(), patrol)
    for detector in detectors.values():
        detector.warm_up()
    return Stages(
        settings=settings,
        detectors=detectors,
        poses=poses,
        mailbox=mailbox,
        evidence=EvidenceKeeper(
            patrol.evidence,
            mailbox.picture_room_bytes,
            patrol.privacy,
            lambda: trusted_utc_ns(poses.utc(now())),
        ),
        now=now,
        on_stored=on_stored,
        log=flight_log,
        heights=HeightWatch(tile_of(patrol.ground.terrain), patrol.ground),
        delays=delay_watches(patrol, poses.at),
    )
