"""THE loop: frame → detections → sightings → incidents → alerts.

Read after `records.py`.  Each verb below is one step of the house; `stages.py` sets them up.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge.records import Frame, MonoNs, NoPose, Tick
from edge.stages import Stages


def fly(events: Iterable[Frame | Tick], stages: Stages) -> None:
    """Turn frames into stored messages until the events end; a tick keeps time when none comes."""
    for event in events:
        with stages.guard(event):
            if isinstance(event, Frame):
                look(event, stages)
                report(event.captured_mono_ns, stages)
            else:
                report(event.mono_ns, stages)
                stages.housekeep(event.mono_ns)
    with stages.guard(None):
        stages.finish()


def look(frame: Frame, stages: Stages) -> None:
    """Take one frame all the way to the incidents it adds to."""
    detections = stages.detect(frame)
    pose = stages.poses.at(frame.captured_mono_ns)
    if isinstance(pose, NoPose):
        stages.health.no_pose[pose.value] += 1
        return
    district = stages.district(pose)
    located = district.locate(detections, frame, pose)
    sightings = district.admit(located)
    joined = district.incidents.add(sightings, frame.captured_mono_ns)
    stages.keep_pictures(frame, joined)


def report(now_mono_ns: MonoNs, stages: Stages) -> None:
    """Store what is due; a message leaves the list only when the mailbox has it."""
    for verdict in stages.due(now_mono_ns):  # mostly none
        stages.outgoing.append(stages.compose(verdict))
    while stages.outgoing:
        stages.store(stages.outgoing[0])
        stages.outgoing.popleft()
