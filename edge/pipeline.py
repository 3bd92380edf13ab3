"""THE loop: frame → detections → sightings → incidents → alerts.

Read after `records.py`.  Each verb below is one step of the house; `stages.py` sets them up.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge.records import Frame, MonoNs, NoPose, Tick
from edge.stages import Stages


def fly(events: Iterable[Frame | Tick], stages: Stages) -> None:
    """Turn frames into stored messages until the events end; a tick keeps time when none comes."""
    now = MonoNs(0)
    for event in events:
        with stages.guard(event):
            if isinstance(event, Frame):
                now = event.captured_mono_ns
                look(event, stages)
            else:
                now = event.mono_ns
                stages.housekeep(now)
            report(now, stages)
            stages.watch_delay(event)  # when all that the desk waits for is done
    with stages.guard(None):
        stages.finish(now)


def look(frame: Frame, stages: Stages) -> None:
    """Take one frame all the way to the incidents that it adds to."""
    frame = stages.timed(frame)
    detections = stages.detect(frame)
    pose = stages.poses.at(frame.captured_mono_ns)
    if isinstance(pose, NoPose):
        stages.health.no_pose[pose.value] += 1
        stages.note(frame, detections, pose)
        return
    district = stages.district(pose)
    located = district.locate(detections, frame, pose)
    district.incidents.add(stages.admit(located, district), frame.captured_mono_ns)
    stages.keep_pictures(frame, pose, district)
    stages.note(frame, detections, pose, located)


def report(now: MonoNs, stages: Stages) -> None:
    """Store the alerts that are due; what the mailbox refuses is due again later."""
    verdicts = stages.due(now)  # mostly none
    for verdict in verdicts:
        with stages.guard(verdict):  # one that is refused holds up no other
            stages.store(verdict, now)
    if verdicts:
        stages.save(now)  # a restart in the air must know what was told
