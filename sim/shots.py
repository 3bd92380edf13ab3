"""The frames of a simulated flight, one after the other: drawn, exposed, and spoiled by faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.camera import CameraPose
from sim.camera_shutter import Exposure
from sim.faults.timeline import FaultKind, Timeline
from sim.render.renderer import Look, Renderer, add_noise
from sim.scenario import Scenario
from sim.vehicle.vehicle import Vehicle

ImageArray = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One frame of a simulated camera.

    Attributes:
        time_s: Mid-exposure, since the start of the flight.
        logged_us: What the recorder says it was, UTC in microseconds.
    """

    index: int
    time_s: float
    logged_us: int
    pose: CameraPose
    image_bgr: ImageArray


def shoot(scenario: Scenario, seed: int, vehicle: Vehicle, renderer: Renderer) -> Iterator[Shot]:
    """Take the pictures of a flight, one after the other, faults left out.

    A picture is exposed in a thread while the next one is drawn.
    """
    rng = np.random.default_rng([seed, 99])
    rate, table = scenario.camera.rate_hz, scenario.camera
    exposure = exposure_of(scenario, vehicle, renderer)

    def exposed(shot: Shot) -> Shot:
        image = exposure.expose(shot.image_bgr, shot.time_s)
        grain = np.random.default_rng([seed, 98, shot.index])
        return replace(shot, image_bgr=add_noise(image, table.noise, grain))

    with ThreadPoolExecutor(1) as thread:
        ahead: Future[Shot] | None = None
        for index in range(int(vehicle.duration_s * rate)):
            time_s = (index + 0.5) / rate
            pose = vehicle.camera_pose(time_s, table.lever_arm_m)
            # An automatic exposure hunts a little.
            gain = table.exposure * (1 + table.exposure_hunt * float(np.sin(time_s / 9.0)))
            drawn = renderer.picture(pose, time_s, Look(exposure=gain, noise=table.noise))
            late_s = (
                table.latency_s + float(rng.standard_normal()) * scenario.knobs().clock_jitter_s
            )
            logged_us = vehicle.utc_us(time_s) + round(late_s * 1e6)
            done, ahead = ahead, thread.submit(exposed, Shot(index, time_s, logged_us, pose, drawn))
            if done is not None:
                yield done.result()
        if ahead is not None:
            yield ahead.result()


def exposure_of(scenario: Scenario, vehicle: Vehicle, renderer: Renderer) -> Exposure:
    """Return the shutter of a scenario's camera over the vehicle's true motion."""
    arm = scenario.camera.lever_arm_m
    return Exposure(
        renderer.camera,
        scenario.shutter(),
        lambda time_s: vehicle.camera_pose(time_s, arm),
        vehicle.plan.home_up_m,
    )


def spoiled(shots: Iterable[Shot], faults: Timeline) -> Iterator[tuple[Shot, bool]]:
    """Let a camera's faults act on its pictures.

    Yields:
        Each shot that there still is, and whether its picture shows its own instant.
    """
    last: ImageArray | None = None
    for shot in shots:
        if faults.active(FaultKind.VIDEO_LOSS, shot.time_s):
            continue
        late_us = round(faults.by_s(FaultKind.VIDEO_LATENCY, shot.time_s) * 1e6)
        image, is_true = shot.image_bgr, True
        if faults.active(FaultKind.VIDEO_BLACK, shot.time_s):
            image, is_true = np.zeros_like(image), False
        elif last is not None and faults.active(FaultKind.VIDEO_FREEZE, shot.time_s):
            image, is_true = last, False
        last = image
        yield replace(shot, image_bgr=image, logged_us=shot.logged_us + late_us), is_true
