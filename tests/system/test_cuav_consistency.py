"""A real flight agrees with itself: ground matched in two stills is geotagged from both alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.clock import utc_by_record_time
from edge.capture.logs import read_tlog
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.geo.camera import Intrinsics
from edge.geo.lens import BrownLens
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import read_mount
from edge.geo.plane import LocalPlane
from edge.records import Detection, FloatArray, Frame, MonoNs, Pose

FRAME_SHAPE = (616, 820, 3)  # half size matches as well, in a third of the time
WAIT_NS = 1_000_000_000  # poses are asked for when the samples after them have arrived
MIN_MATCHES = 10
MIN_LOCATED = 0.99  # the calibration does not invert in the very corners
# The pictures' names are late against the log: solved on this flight, by the figure tested here.
STAMP_DELAY_S = 0.30


@pytest.fixture(scope="module")
def flight(shared_data: Path) -> Path:
    folder = shared_data / "flights" / "cuav-2018"
    if not folder.is_dir():
        pytest.skip(f"needs the third-party flight {folder}, which is not shipped")
    return folder


@pytest.fixture(scope="module")
def stills(flight: Path) -> list[Path]:
    return sorted(flight.glob("*.jpg"))


@pytest.fixture(scope="module")
def matches(stills: list[Path]) -> list[tuple[FloatArray, FloatArray]]:
    """Pixels of the same ground in each two consecutive stills, half size."""
    return list(_matches(stills))


@pytest.fixture(scope="module")
def locator(flight: Path, repo: Path) -> Locator:
    calibration = json.loads((flight / "camera.json").read_text())
    (fx, _, cx), (_, fy, cy), _ = calibration["K"]
    intrinsics = Intrinsics(
        camera_id="pi-v2",
        width_px=calibration["xresolution"],
        height_px=calibration["yresolution"],
        fx_px=fx,
        fy_px=fy,
        cx_px=cx,
        cy_px=cy,
        lens=BrownLens(*calibration["D"][0]),
    )
    mount = read_mount(repo / "calibration" / "mounts" / "nadir-fixed.toml")
    return Locator(intrinsics, mount, LocalPlane(-35.362, 149.165))


@pytest.mark.system
@pytest.mark.parametrize(("stamp_delay_s", "limit_m"), [(0.0, 3.0), (STAMP_DELAY_S, 1.5)])
def test_the_same_ground_has_the_same_place_from_two_stills(
    stills: list[Path],
    matches: list[tuple[FloatArray, FloatArray]],
    locator: Locator,
    stamp_delay_s: float,
    limit_m: float,
    *,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Matched ground points agree to 3 m in the median, and to half once the clocks agree."""
    instants = [_utc_ns(still) - int(stamp_delay_s * 1e9) for still in stills]
    poses = _poses(stills[0].parent / "flight.tlog", instants)
    gaps = [
        np.linalg.norm(
            _places(locator, pixels[0], poses[i]) - _places(locator, pixels[1], poses[i + 1]),
            axis=1,
        )
        for i, pixels in enumerate(matches)
    ]
    assert min(map(len, gaps)) >= MIN_MATCHES
    assert np.isfinite(np.concatenate(gaps)).mean() >= MIN_LOCATED
    median_m = float(np.nanmedian(np.concatenate(gaps)))
    by_pair = np.array([np.nanmedian(gap) for gap in gaps])
    figures = (
        f"\ncuav-2018 delay={stamp_delay_s:.2f} s points={sum(map(len, gaps))} "
        f"median={median_m:.2f} m, by pair {np.round(by_pair, 2)}"
    )
    with capsys.disabled():
        print(figures)  # noqa: T201
    assert median_m <= limit_m


def _utc_ns(still: Path) -> int:
    """Read YYYYMMDDhhmmss and hundredths from a still's name."""
    digits = still.stem.rstrip("Z")
    second = datetime.strptime(digits[:14], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    return int(second.timestamp()) * 10**9 + int(digits[14:]) * 10**7


def _poses(log: Path, instants_ns: list[int]) -> list[Pose]:
    """Fly the log by its record time, and ask for each pose a moment after its instant."""
    telemetry = Telemetry(AutopilotConfig(), utc_by_record_time)
    poses: list[Pose] = []
    for entry in read_tlog(log):
        if len(poses) == len(instants_ns):
            break
        if entry.record_utc_ns > instants_ns[len(poses)] + WAIT_NS:
            pose = telemetry.at(instants_ns[len(poses)])
            assert isinstance(pose, Pose), f"still {len(poses)}: {pose}"
            poses.append(pose)
        telemetry.feed(entry.message, entry.record_utc_ns)
    assert len(poses) == len(instants_ns)
    return poses


def _places(locator: Locator, pixels_uv: FloatArray, pose: Pose) -> FloatArray:
    """Geotag bare pixels: boxes without size, of a thing without height."""
    image = np.zeros(FRAME_SHAPE, np.uint8)
    frame = Frame(image, MonoNs(pose.mono_ns), "pi-v2", 0)
    points = [Detection("point", 1.0, (u, v, u, v)) for u, v in pixels_uv]
    located = locator.locate(points, frame, pose)
    return np.array(
        [
            (np.nan, np.nan) if isinstance(place, Unlocated) else (place.east_m, place.north_m)
            for place in located
        ]
    )


def _matches(stills: list[Path]) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Match features of consecutive stills; a homography (flat ground) throws out the false."""
    equalise = cv2.createCLAHE(4.0, (8, 8))  # the pictures are dark
    sift = cv2.SIFT_create(2500, contrastThreshold=0.02)
    features = []
    for still in stills:
        grey = cv2.imread(str(still), cv2.IMREAD_REDUCED_GRAYSCALE_2)
        features.append(sift.detectAndCompute(equalise.apply(grey), None))
    matcher = cv2.BFMatcher()
    for (points_a, looks_a), (points_b, looks_b) in pairwise(features):
        pairs = [
            best
            for best, second in matcher.knnMatch(looks_a, looks_b, k=2)
            if best.distance < 0.75 * second.distance
        ]
        a = np.array([points_a[pair.queryIdx].pt for pair in pairs])
        b = np.array([points_b[pair.trainIdx].pt for pair in pairs])
        _, is_true = cv2.findHomography(a, b, cv2.RANSAC, 3.0)
        yield a[is_true.ravel() > 0], b[is_true.ravel() > 0]
