"""Footage of other makers' aircraft through the commands, as a district that owns it would."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import pymap3d
import pytest

from tests.aircraft import command
from tests.painted import HEIGHT_M, HOME_AMSL_M, HOME_LON_DEG, N_FRAMES, SIDE_PX, lat_after, paint
from tests.unit.capture.log_writers import dji_xmp, exif, still

pytestmark = pytest.mark.system


class Footage:
    """The painted flight as a DJI aircraft leaves it: pictures, and nothing of ours."""

    def __init__(self, folder: Path) -> None:
        self.painted = paint(folder / "painted")
        self.folder = folder / "footage"
        self.folder.mkdir()
        self.camera = self.painted.folder / "camera.toml"
        self.images = [
            cv2.imread(str(path)) for path in sorted((self.painted.folder / "main").glob("*.png"))
        ]

    def write_stills(self, *, has_attitude: bool = True) -> None:
        turned = {"GimbalYawDegree": "+0.00", "GimbalPitchDegree": "-90.00"}
        more = turned | {"GimbalRollDegree": "+0.00"} if has_attitude else {}
        for n, image in enumerate(self.images):
            xmp = dji_xmp(
                RelativeAltitude=f"+{HEIGHT_M:.2f}",
                AbsoluteAltitude=f"+{HOME_AMSL_M + HEIGHT_M:.2f}", **more,
            )  # fmt: skip
            taken = exif(
                taken=f"2023:11:14 22:13:{20 + n:02d}", lat_lon_deg=(lat_after(n), HOME_LON_DEG)
            )
            still(self.folder / f"DJI_{n:04d}.JPG", exif=taken, xmp=xmp, image=image)

    def write_video(self, *, has_attitude: bool = True) -> Path:
        path = self.folder / "DJI_0001.MP4"
        writer = cv2.VideoWriter(
            str(path), cv2.VideoWriter.fourcc(*"mp4v"), 1.0, (SIDE_PX, SIDE_PX)
        )
        for image in self.images:
            writer.write(image)
        writer.release()
        turned = " [gb_yaw: 0.0 gb_pitch: -90.0 gb_roll: 0.0]" if has_attitude else ""
        blocks = [
            f"{n + 1}\n00:00:{n:02d},000 --> 00:00:{n + 1:02d},000\nFrameCnt: {n + 1} "
            f"2023-11-14 22:13:{20 + n:02d}.000\n[latitude: {lat_after(n):.7f}] "
            f"[longitude: {HOME_LON_DEG:.7f}] [rel_alt: {HEIGHT_M:.3f} abs_alt: 61.000]{turned}"
            for n in range(N_FRAMES + 2)
        ]
        path.with_suffix(".SRT").write_text("\n\n".join(blocks), "utf-8")
        return path

    def replay(self, source: Path, out: Path, *more: str) -> list[dict[str, Any]]:
        """Replay with the painted flight's model and rules; return what became of each frame."""
        config = ("--config", str(self.painted.folder / "patrol.toml"))
        done = command("replay", str(source), *config, "--out", str(out), *more)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]

    def assert_one_alert_in_its_place(self, out: Path) -> None:
        features = json.loads((out / "alerts.geojson").read_text())["features"]
        points = [one for one in features if one["properties"].get("label") == "structure"]
        assert len(points) == 1
        lon_deg, lat_deg = points[0]["geometry"]["coordinates"][:2]
        painted = self.painted
        east, north, _ = pymap3d.geodetic2enu(
            lat_deg, lon_deg, 0.0, painted.target_lat_deg, painted.target_lon_deg, 0.0
        )
        assert abs(east) < 0.5
        assert abs(north) < 0.5


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage(tmp_path)


@pytest.mark.parametrize("kind", ["stills", "video"])
def test_adopted_footage_puts_the_thing_in_its_place(
    footage: Footage, tmp_path: Path, kind: str
) -> None:
    """`adopt`, then `replay`: the square is one alert, within half a metre, and files travel."""
    if kind == "stills":
        footage.write_stills()
    else:
        footage.write_video()
    done = command("adopt", str(footage.folder), "--camera", str(footage.camera))
    assert done.returncode == 0, done.stderr
    assert "attitude is told" in done.stdout
    assert "unknown datum" in done.stdout
    moved = shutil.move(footage.folder, tmp_path / "elsewhere")
    lines = footage.replay(Path(moved), tmp_path / "out")
    assert len(lines) == N_FRAMES
    footage.assert_one_alert_in_its_place(tmp_path / "out")


@pytest.mark.parametrize("kind", ["stills", "video"])
def test_footage_is_replayed_as_it_is(footage: Footage, tmp_path: Path, kind: str) -> None:
    """Stills, or a video with its subtitles, need a lens and no flight.toml, and get none."""
    source = footage.folder
    if kind == "stills":
        footage.write_stills()
    else:
        source = footage.write_video()
    footage.replay(source, tmp_path / "out", "--camera", str(footage.camera))
    footage.assert_one_alert_in_its_place(tmp_path / "out")
    assert not (footage.folder / "flight.toml").exists()


@pytest.mark.parametrize("kind", ["stills", "video"])
def test_footage_without_the_cameras_attitude_has_no_place(
    footage: Footage, tmp_path: Path, kind: str
) -> None:
    """Every detection says no_attitude, nothing is alerted, and the person is told beforehand."""
    if kind == "stills":
        footage.write_stills(has_attitude=False)
    else:
        footage.write_video(has_attitude=False)
    done = command("adopt", str(footage.folder), "--camera", str(footage.camera))
    assert done.returncode == 0, done.stderr
    assert "no_attitude" in done.stdout
    lines = footage.replay(footage.folder, tmp_path / "out")
    reasons = Counter(one.get("no_geotag") for line in lines for one in line["detections"])
    assert set(reasons) == {"no_attitude"}
    assert sum(reasons.values()) >= N_FRAMES
    assert json.loads((tmp_path / "out" / "alerts.geojson").read_text())["features"] == []


def test_what_cannot_be_seen_is_asked_for(footage: Footage, tmp_path: Path) -> None:
    """Lens, mount and the start of a video are never guessed: the message names the option."""
    video = footage.write_video()
    no_lens = command("adopt", str(footage.folder))
    assert (no_lens.returncode, "--camera" in no_lens.stderr) == (2, True)
    video.with_suffix(".SRT").unlink()
    camera = ("--camera", str(footage.camera))
    no_log = command("adopt", str(footage.folder), *camera)
    assert (no_log.returncode, "--log" in no_log.stderr) == (2, True)
    shutil.copy(footage.painted.folder / "flight.tlog", footage.folder)
    no_start = command("adopt", str(footage.folder), *camera)
    assert (no_start.returncode, "--start-utc" in no_start.stderr) == (2, True)
    start = ("--start-utc", "2023-11-14T22:13:20Z")
    no_mount = command("adopt", str(footage.folder), *camera, *start)
    assert (no_mount.returncode, "--mount" in no_mount.stderr) == (2, True)
    mount = ("--mount", str(footage.painted.folder / "mount.toml"))
    done = command("adopt", str(footage.folder), *camera, *start, *mount)
    assert done.returncode == 0, done.stderr
    again = command("adopt", str(footage.folder), *camera, *start, *mount)
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    footage.replay(footage.folder, tmp_path / "out")
    footage.assert_one_alert_in_its_place(tmp_path / "out")


def test_stills_beside_a_log_take_their_times_from_their_names(
    footage: Footage, tmp_path: Path
) -> None:
    """Stills without EXIF and a link's log: the name's pattern is asked for, and then it flies."""
    for path in (footage.painted.folder / "main").glob("*.png"):
        shutil.copy(path, footage.folder)
    shutil.copy(footage.painted.folder / "flight.tlog", footage.folder)
    told = ["--camera", str(footage.camera), "--mount", str(footage.painted.folder / "mount.toml")]
    unsaid = command("adopt", str(footage.folder), *told)
    assert (unsaid.returncode, "--time-pattern" in unsaid.stderr) == (2, True)
    wrong = command("adopt", str(footage.folder), *told, "--time-pattern", "%Y%m%d.png")
    assert (wrong.returncode, "does not fit --time-pattern" in wrong.stderr) == (2, True)
    assert not (footage.folder / "flight.toml").exists()
    done = command("adopt", str(footage.folder), *told, "--time-pattern", "%Y%m%d%H%M%S%f.png")
    assert done.returncode == 0, done.stderr
    footage.replay(footage.folder, tmp_path / "out")
    footage.assert_one_alert_in_its_place(tmp_path / "out")


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    """No pictures, no such folder, no video: each is one sentence."""
    (tmp_path / "notes.txt").write_text("hello")
    for source, says in (
        (tmp_path, "neither a video nor stills"),
        (tmp_path / "none", "no such folder"),
        (tmp_path / "notes.txt", "is no video"),
    ):
        done = command("adopt", str(source))
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
