"""What the simulator's tests share: a bare plain to put things on, and one real district."""

from __future__ import annotations

from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from sim.camera import CameraModel
from sim.world.district import District
from sim.world.families import FAMILIES
from sim.world.layout import Layout, plan
from sim.world.light import Daylight
from sim.world.mesh import Footprint, MeshBuilder, Skin, box
from sim.world.textures import Layer, paint_atlas

CAMERA = Path(__file__).resolve().parents[3] / "calibration/cameras/sim-720p.toml"


@pytest.fixture(scope="session")
def camera() -> CameraModel:
    """The simulator's camera."""
    return CameraModel.load(CAMERA)


@pytest.fixture(scope="session")
def needs_egl() -> None:
    """Skip where OpenGL over EGL is missing."""
    if find_library("EGL") is None:
        pytest.skip("needs EGL: apt install libegl1 libgl1-mesa-dri")


@pytest.fixture(scope="session")
def layout() -> Layout:
    """The plan of some town."""
    return plan(np.random.default_rng(3), FAMILIES["dense_town"])


@pytest.fixture(scope="session")
def plain(layout: Layout) -> District:
    """A dark plain without sun, so that nothing casts a shadow."""
    mesh = MeshBuilder()
    ground = Skin(Layer.PLAIN, (0.1, 0.1, 0.1), 8.0)
    box(mesh, Footprint(0, 0, 380, 380), (-0.5, 0.0), ground, ground)
    light = Daylight(0.4, 0.9, (0.0, 0.0, 0.0), (0.9, 0.9, 0.9), 0.0)
    grey = np.full((64, 64, 4), 255, np.uint8)
    atlas = paint_atlas(np.random.default_rng(0))
    return District(0, "dense_town", layout, light, mesh.rows(), grey, atlas, (), ())


@pytest.fixture(scope="session")
def district() -> District:
    """One whole district."""
    return District.from_seed(11, "suburb")
