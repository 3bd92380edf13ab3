"""Real pictures to ties: features of drawn ground, surveyed points from a table."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.ground_ties import problem_of
from edge.capture.recording import open_flight
from edge.cli.main import app
from edge.config import AccuracyConfig, GroundConfig
from edge.errors import FlightError, TableError
from edge.geo.mount import read_mount
from edge.records import FloatArray, ImageArray
from sim.camera import CameraModel, CameraPose
from sim.faults.timeline import Timeline
from sim.record import write_log
from sim.vehicle.noise import NoiseKnobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle

ASKEW_DEG = (1.5, -2.0, 1.0)
TOLD = (AccuracyConfig(), GroundConfig(source="home"))
SIZE = (640, 360)
START_US = 1_778_551_200_000_000
M_PER_PX, REACH_M = 0.1, 110.0


def painted_ground() -> ImageArray:
    """Blotches of every size, as fields and roofs have them; north is up."""
    rng = np.random.default_rng(8)
    side = round(2 * REACH_M / M_PER_PX)
    ground = np.full((side, side), 110.0)
    for cells, strength in ((20, 25.0), (90, 25.0), (400, 30.0)):
        blotches = rng.standard_normal((cells, cells)).astype(np.float32)
        ground += strength * cv2.resize(blotches, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(ground, 0, 255).astype(np.uint8)


class Painter:
    """Draws what a camera sees of flat painted ground, by the simulator's own lens."""

    def __init__(self, camera: CameraModel) -> None:
        self._ground = painted_ground()
        u, v = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
        bent = np.column_stack([u.ravel() - camera.cx_px, v.ravel() - camera.cy_px])
        flat = camera.unbend(bent / [camera.fx_px, camera.fy_px])
        self._rays: FloatArray = np.column_stack([flat, np.ones(len(flat))])
        self._shape = (camera.height_px, camera.width_px)

    def picture(self, pose: CameraPose) -> ImageArray:
        rays = self._rays @ pose.enu_from_camera.T
        along = -pose.position_m[2] / rays[:, 2]
        places = pose.position_m[:2] + along[:, None] * rays[:, :2]
        x = ((places[:, 0] + REACH_M) / M_PER_PX).astype(np.float32).reshape(self._shape)
        y = ((REACH_M - places[:, 1]) / M_PER_PX).astype(np.float32).reshape(self._shape)
        grey = cv2.remap(cv2.GaussianBlur(self._ground, (0, 0), 0.8), x, y, cv2.INTER_LINEAR)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """A flight folder of stills over crossing lines, its camera askew."""
    folder = tmp_path_factory.mktemp("stills")
    text = (repo / "calibration" / "cameras" / "sim-720p.toml").read_text()
    for was, now in (
        ("width_px = 1280", "width_px = 640"), ("height_px = 720", "height_px = 360"),
        ("fx_px = 960.0", "fx_px = 480.0"), ("fy_px = 960.0", "fy_px = 480.0"),
        ("cx_px = 639.5", "cx_px = 319.5"), ("cy_px = 359.5", "cy_px = 179.5"),
    ):  # fmt: skip
        text = text.replace(was, now)
    (folder / "camera.toml").write_text(text)
    (folder / "mount.toml").write_text(
        'id = "gimbal"\nkind = "stabilised_gimbal"\nlever_arm_m = [0.08, 0.0, 0.12]\n'
    )
    (folder / "flight.toml").write_text(
        'format = 1\nname = "painted"\n[[camera]]\nid = "main"\nstills = "*.png"\n'
        'calibration = "camera.toml"\nmount = "mount.toml"\n[telemetry]\nlog = "flight.tlog"\n'
        '[time]\nrule = "filename"\npattern = "%Y%m%d%H%M%S%f.png"\n'
    )
    plan = FlightPlan(
        (-35.0, -12.0), 0.0, 2, 70.0, 24.0, 60.0, 8.0, -90.0, is_crossed=True, askew_deg=ASKEW_DEG
    )
    vehicle = Vehicle(plan, NoiseKnobs(), Origin(31.4912, 120.3119, 4.2, 10.6), 1, START_US)
    write_log(folder / "flight.tlog", vehicle, Timeline(), 1)
    painter = Painter(CameraModel.load(folder / "camera.toml"))
    for time_s in np.arange(1.0, vehicle.duration_s - 1.0, 2.2).tolist():
        utc_us = vehicle.utc_us(time_s)
        stamp = np.datetime64(utc_us, "us").item().strftime("%Y%m%d%H%M%S%f")
        picture = painter.picture(vehicle.camera_pose(time_s, (0.08, 0.0, 0.12)))
        cv2.imwrite(str(folder / f"{stamp}.png"), picture)
    return folder


def calibrate(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["calibrate", "boresight", *arguments])
    return done.exit_code, done.output + (repr(done.exception) if done.exception else "")


def test_a_flight_of_stills_is_calibrated(flight: Path, tmp_path: Path) -> None:
    """From pictures and log alone the angles come back; plot and mount are written."""
    plot, into = tmp_path / "plot.png", tmp_path / "mounts"
    code, said = calibrate(str(flight), "--plot", str(plot), "--into", str(into))
    assert code == 0, said
    assert plot.stat().st_size > 20_000
    made = read_mount(into / "gimbal-calibrated.toml")
    believed = read_mount(flight / "mount.toml")
    turned = made.mount_from_camera @ believed.mount_from_camera.T
    roll, pitch, yaw = (math.radians(angle) for angle in ASKEW_DEG)
    assert math.atan2(turned[2, 1], turned[2, 2]) == pytest.approx(roll, abs=math.radians(0.15))
    assert -math.asin(turned[2, 0]) == pytest.approx(pitch, abs=math.radians(0.15))
    assert math.atan2(turned[1, 0], turned[0, 0]) == pytest.approx(yaw, abs=math.radians(0.15))


def test_surveyed_points_name_their_picture(flight: Path, tmp_path: Path) -> None:
    """`gcp.csv` ties points to stills by name; others are not looked at."""
    names = sorted(path.name for path in flight.glob("*.png"))
    rows = [f"{name},{u},{v},31.49,120.31,4.2" for name in names[3:6] for u, v in ((9, 9), (60, 8))]
    path = tmp_path / "gcp.csv"
    path.write_text("\n".join(["image,u_px,v_px,lat_deg,lon_deg,height_m", *rows]))
    made = problem_of(open_flight(flight), None, TOLD, path)
    assert made.n_looks == 3
    assert [len(tie.first_uv) for tie in made.problem.ties] == [2, 2, 2]
    assert made.problem.ties[0].surveyed[0].tolist() == [31.49, 120.31, 4.2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,u_px,v_px,lat_deg,lon_deg\n", "no column height_m"),
        ("image,u_px,v_px,lat_deg,lon_deg,height_m\n", "has no point"),
        ("image,u_px,v_px,lat_deg,lon_deg,height_m\nx.png,1,1,31,120,4\n", "no image 'x.png'"),
        ("image,u_px,v_px,lat_deg,lon_deg,height_m\nx.png,1,one,31,120,4\n", "v_px is 'one'"),
    ],
)
def test_a_survey_that_is_none_is_named(flight: Path, tmp_path: Path, text: str, said: str) -> None:
    """A missing column, no rows, an unknown picture, a word for a number: each by name."""
    path = tmp_path / "gcp.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=said):
        problem_of(open_flight(flight), None, TOLD, path)


def test_a_camera_that_the_flight_lacks_is_named(flight: Path) -> None:
    """The flight's own cameras are listed."""
    with pytest.raises(FlightError, match="no camera 'thermal'; it has main"):
        problem_of(open_flight(flight), "thermal", TOLD)
