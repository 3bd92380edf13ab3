"""Laws of the simulator's projection, held against the renderer and against the lens itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import CalibrationError
from sim.camera import CameraModel, camera_pose, project
from sim.render.renderer import Look, Renderer, add_noise
from sim.truth import frame_boxes
from sim.world.district import District
from sim.world.finds import Find, solid_points
from sim.world.mesh import Footprint, MeshBuilder, Skin, box
from sim.world.textures import Layer

WHITE = Skin(Layer.PLAIN, (1.0, 1.0, 1.0), 50.0)
CENTRE_OF_VIEW = (639.5, 359.5)


def _bright(image: np.ndarray) -> np.ndarray:
    """Return the pixels, shape (N, 2), x y, that are far brighter than the plain."""
    rows, cols = np.nonzero(image.mean(axis=2) > 130)
    return np.column_stack([cols, rows])


def _with_box(plain: District, foot: Footprint, high_m: float) -> District:
    mesh = MeshBuilder()
    box(mesh, foot, (0.0, high_m), WHITE, WHITE)
    return replace(plain, triangles=np.concatenate([plain.triangles, mesh.rows()]))


@pytest.mark.parametrize(
    ("angles_deg", "spot_m"),
    [
        ((-90, 0), (0, 0)),
        ((-65, 30), (40, 24)),
        ((-65, 200), (-21, -20)),
        ((-75, 310), (-20, 30)),
        ((-60, 90), (70, -30)),
    ],
)
def test_what_is_drawn_appears_where_it_is_projected(
    needs_egl: None,
    plain: District,
    camera: CameraModel,
    angles_deg: tuple[int, int],
    spot_m: tuple[int, int],
) -> None:
    """A marker on the ground lies within one pixel of its projection, lens and all."""
    east_m, north_m = spot_m
    marked = _with_box(plain, Footprint(east_m, north_m, 1.0, 1.0), 0.01)
    pitch_rad, yaw_rad = np.deg2rad(angles_deg)
    pose = camera_pose(np.array([2.0, -3.0, 60.0]), (0.0, float(pitch_rad), float(yaw_rad)))
    renderer = Renderer(marked, camera)
    spots = _bright(renderer.picture(pose, 0.0))
    renderer.close()
    uv, _ = project(camera, pose, np.array([[east_m, north_m, 0.01]]))
    assert np.linalg.norm(spots.mean(axis=0) - uv[0]) < 1.0


def test_the_principal_point_looks_along_the_gimbal(camera: CameraModel) -> None:
    """The ground point that the gimbal's axis meets projects to the principal point."""
    pose = camera_pose(np.array([0.0, 0.0, 60.0]), (0.0, np.deg2rad(-60.0), np.deg2rad(90.0)))
    ahead = 60.0 / np.tan(np.deg2rad(60.0))
    uv, depth = project(camera, pose, np.array([[ahead, 0.0, 0.0]]))
    assert uv[0] == pytest.approx(CENTRE_OF_VIEW, abs=1e-6)
    assert depth[0] == pytest.approx(60.0 / np.sin(np.deg2rad(60.0)))


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.66, 0.66), st.floats(-0.37, 0.37))
def test_the_lens_comes_off_as_it_went_on(x: float, y: float) -> None:
    """Bending and unbending return the point, anywhere in the picture."""
    lens = CameraModel(
        "t", 1280, 720, 960.0, 960.0, 639.5, 359.5, (-0.105, 0.028, 4e-4, -3e-4, 0.0)
    )
    assert lens.unbend(lens.bend(np.array([[x, y]])))[0] == pytest.approx((x, y), abs=1e-8)


def test_what_lies_behind_the_camera_has_no_pixel(camera: CameraModel) -> None:
    """Points behind are NaN, never a mirrored pixel."""
    pose = camera_pose(np.array([0.0, 0.0, 60.0]), (0.0, np.deg2rad(-60.0), 0.0))
    uv, depth = project(camera, pose, np.array([[0.0, 0.0, 130.0]]))
    assert np.isnan(uv).all()
    assert depth[0] < 0


@pytest.mark.parametrize("turn_rad", [0.0, 0.7])
def test_a_true_box_holds_the_pixels_of_its_object(
    needs_egl: None, plain: District, camera: CameraModel, turn_rad: float
) -> None:
    """The box from the world's geometry holds all pixels of the object and little else."""
    foot = Footprint(5.0, 30.0, 9.0, 5.0, turn_rad)
    find = Find("structure-01", "violation", "structure", foot.corners(),
                solid_points(foot, (0.0, 3.0)), 3.0, (5.0, 30.0))  # fmt: skip
    world = replace(_with_box(plain, foot, 3.0), finds=(find,))
    pose = camera_pose(np.array([0.0, 0.0, 60.0]), (0.0, np.deg2rad(-65.0), 0.1))
    renderer = Renderer(world, camera)
    spots = _bright(renderer.picture(pose, 0.0))
    (found,) = frame_boxes(renderer, pose)
    renderer.close()
    left, top, right, bottom = found.box_xyxy
    assert found.visible > 0.9
    assert found.is_seen
    assert (spots.min(axis=0) > (left - 1.5, top - 1.5)).all()
    assert (spots.max(axis=0) < (right + 1.5, bottom + 1.5)).all()
    assert spots.min(axis=0) == pytest.approx((left, top), abs=3.0)
    assert spots.max(axis=0) == pytest.approx((right, bottom), abs=3.0)


def test_what_a_wall_hides_is_not_seen(
    needs_egl: None, plain: District, camera: CameraModel
) -> None:
    """A find behind a tower counts as hidden, though it lies in the frame."""
    foot = Footprint(0.0, 62.0, 4.0, 4.0)
    find = Find("waste_pile-01", "violation", "waste_pile", foot.corners(),
                solid_points(foot, (0.0, 0.5)), 0.5, (0.0, 62.0))  # fmt: skip
    tower = replace(_with_box(plain, Footprint(0.0, 45.0, 14.0, 6.0), 22.0), finds=(find,))
    pose = camera_pose(np.array([0.0, 0.0, 50.0]), (0.0, np.deg2rad(-45.0), 0.0))
    renderer = Renderer(tower, camera)
    (found,) = frame_boxes(renderer, pose)
    renderer.close()
    assert found.in_frame == 1.0
    assert found.visible < 0.2
    assert not found.is_seen


def test_motion_blur_and_noise_leave_the_mean_alone(
    needs_egl: None, plain: District, camera: CameraModel
) -> None:
    """Blur and noise spread light, they do not make it."""
    pose = camera_pose(np.array([0.0, 0.0, 60.0]), (0.0, np.deg2rad(-80.0), 0.0))
    renderer = Renderer(_with_box(plain, Footprint(0, 10, 6, 6), 2.0), camera.scaled(0.5))
    sharp = renderer.picture(pose, 0.0)
    blurred = renderer.picture(pose, 0.0, Look(blur_px=(6.0, 3.0)))
    renderer.close()
    noisy = add_noise(sharp, 4.0, np.random.default_rng(0))
    assert blurred.mean() == pytest.approx(sharp.mean(), abs=0.5)
    assert noisy.mean() == pytest.approx(sharp.mean(), abs=0.8)
    assert blurred.max() <= sharp.max()


def test_a_camera_file_that_lacks_a_key_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "bad.toml"
    path.write_text('id = "x"\n', encoding="utf-8")
    with pytest.raises(CalibrationError, match=r"bad\.toml:1: width_px: is missing"):
        CameraModel.load(path)
