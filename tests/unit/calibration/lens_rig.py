"""Cameras whose lens is known, and boards before them: projected by OpenCV, not by the tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import BoardView, GrayImage
from edge.records import FloatArray

SQUARE_M = 0.03
SQUARE_TEXTURE_PX = 40  # of a board's drawing
# OpenCV turns rays that look sideways or back to the front, where a ghost of the board would be.
WIDEST = 1.45  # of a fisheye's plane, about 85 degrees
FINER = 2  # times as many pixels as the camera's are rendered along each side
UNDISTORTED = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 200, 1e-12)


@dataclass(frozen=True)
class KnownCamera:
    """A camera as OpenCV describes one."""

    model: str
    width_px: int
    height_px: int
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: tuple[float, ...]
    board_share: float = 0.5  # of the picture's width, that a board fills
    reach_deg: tuple[float, float] = (18.0, 13.0)  # how far aside and up boards stand

    @property
    def values(self) -> FloatArray:
        """Return fx, fy, cx, cy, coefficients."""
        return np.array([*self.focal_px, *self.centre_px, *self.distortion])

    @property
    def matrix(self) -> FloatArray:
        """Return OpenCV's camera matrix."""
        (fx, fy), (cx, cy) = self.focal_px, self.centre_px
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    def project(self, points_m: FloatArray, pose: Pose) -> FloatArray:
        """Project points of a board, shape (N, 3), to pixels."""
        turn = cv2.Rodrigues(pose.camera_from_board)[0]
        coefficients = np.array(self.distortion)
        if self.model == "fisheye":
            of_camera = (points_m @ pose.camera_from_board.T + pose.board_in_camera_m)[:, None]
            zero = np.zeros((3, 1))
            pixels, _ = cv2.fisheye.projectPoints(of_camera, zero, zero, self.matrix, coefficients)
        else:
            pixels, _ = cv2.projectPoints(
                points_m, turn, pose.board_in_camera_m, self.matrix, coefficients
            )
        return np.asarray(pixels, np.float64).reshape(-1, 2)

    @cached_property
    def _plane_xy(self) -> FloatArray:
        """Where each rendered pixel looks, at unit depth, shape (H, W, 2)."""
        size = (self.height_px * FINER, self.width_px * FINER)
        v, u = (np.mgrid[0 : size[0], 0 : size[1]] + 0.5) / FINER - 0.5
        pixels = np.stack((u, v), axis=-1).reshape(-1, 1, 2)
        coefficients = np.array(self.distortion)
        if self.model == "fisheye":
            flat = cv2.fisheye.undistortPoints(
                pixels, self.matrix, coefficients, criteria=UNDISTORTED
            )
            bent = (pixels[:, 0] - self.centre_px) / self.focal_px
            flat[np.hypot(bent[:, 0], bent[:, 1]) > WIDEST] = np.nan
        else:
            empty = np.empty(0)
            # OpenCV 5 merged the two; the one of OpenCV 4 that takes no criteria stops too early.
            until_settled = getattr(cv2, "undistortPointsIter", None)
            if until_settled is not None:
                flat = until_settled(pixels, self.matrix, coefficients, empty, empty, UNDISTORTED)
            else:
                flat = cv2.undistortPoints(
                    pixels, self.matrix, coefficients, None, empty, empty, UNDISTORTED
                )
        return np.asarray(flat, np.float64).reshape(*size, 2)

    def photograph(
        self, drawing: GrayImage, board_wh_m: tuple[float, float], pose: Pose
    ) -> GrayImage:
        """Render a board whose drawing spans (0, 0) to `board_wh_m`."""
        xy = self._plane_xy
        rays = np.concatenate((xy, np.ones((*xy.shape[:2], 1))), axis=2)
        board_from_camera = pose.camera_from_board.T
        origin = -board_from_camera @ pose.board_in_camera_m
        directions = rays @ board_from_camera.T
        depth = -origin[2] / directions[..., 2]
        on_board = origin[:2] + depth[..., None] * directions[..., :2]
        texture_uv = on_board / board_wh_m * drawing.shape[::-1] - 0.5
        texture_uv = np.where((depth > 0.0)[..., None], texture_uv, -1e6).astype(np.float32)
        fine = cv2.remap(
            drawing, texture_uv[..., 0], texture_uv[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=150,
        )  # fmt: skip
        size = (self.width_px, self.height_px)
        return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class Pose:
    """Where a board is, seen from the camera."""

    camera_from_board: NDArray[np.float64]
    board_in_camera_m: NDArray[np.float64]


CAMERAS = {
    "brown": KnownCamera(
        "brown", 640, 480, (520.0, 523.0), (331.0, 228.0), (-0.28, 0.09, 0.001, -0.0008, -0.01)
    ),
    "rational": KnownCamera(
        "rational", 640, 480, (400.0, 402.0), (325.0, 233.0),
        (0.9, -0.1, 0.0008, -0.0011, 0.02, 1.2, 0.1, 0.01), reach_deg=(25.0, 18.0),
    ),
    "fisheye": KnownCamera(
        "fisheye", 640, 480, (230.0, 231.0), (322.0, 243.0), (-0.02, 0.01, -0.006, 0.001),
        board_share=0.4, reach_deg=(44.0, 30.0),
    ),
}  # fmt: skip


def poses(
    camera: KnownCamera, board_wh_m: tuple[float, float], tilt_deg: float = 30.0
) -> list[Pose]:
    """Fourteen poses: all over the picture, tilted each way."""
    wide_deg, high_deg = camera.reach_deg
    distance_m = board_wh_m[0] * camera.focal_px[0] / (camera.board_share * camera.width_px)
    middle = np.array([*board_wh_m, 0.0]) / 2.0
    made = []
    for i, (x, y, near) in enumerate(_PLACES):
        across, up = np.radians(x * wide_deg), np.radians(y * high_deg)
        facing = _turn(0.0, across) @ _turn(-up, 0.0)  # the board looks at the camera
        lean = np.radians(tilt_deg) * np.array(_TILTS[i % len(_TILTS)])
        roll = _spin(np.radians(17.0 * (i % 5) - 34.0))
        turn = facing @ _turn(lean[1], lean[0]) @ roll
        place = facing @ np.array([0.0, 0.0, distance_m * near])
        made.append(Pose(turn, place - turn @ middle))
    return made


_PLACES = (
    (0, 0, 1.0), (-1, -1, 1.0), (1, -1, 1.0), (-1, 1, 1.0), (1, 1, 1.0), (0, -1, 1.0), (0, 1, 1.0),
    (-1, 0, 0.9), (1, 0, 0.9), (0, 0, 0.6), (0.5, 0.5, 0.75), (-0.5, 0.5, 0.75),
    (0.5, -0.5, 0.75), (-0.5, -0.5, 0.75),
)  # fmt: skip
_TILTS = ((1, 0), (0, 1), (-1, 0), (0, -1), (0.8, 0.8))


def _turn(about_x: float, about_y: float) -> NDArray[np.float64]:
    turn = cv2.Rodrigues(np.array([0.0, about_y, 0.0]))[0]
    return np.asarray(turn @ cv2.Rodrigues(np.array([about_x, 0.0, 0.0]))[0], np.float64)


def _spin(angle: float) -> NDArray[np.float64]:
    return np.asarray(cv2.Rodrigues(np.array([0.0, 0.0, angle]))[0], np.float64)


def chessboard_drawing(columns: int, rows: int) -> GrayImage:
    """Draw a chessboard by its inner corners, with a white rim of one square."""
    squares = np.indices((rows + 3, columns + 3)).sum(axis=0) % 2
    squares[[0, -1], :] = squares[:, [0, -1]] = 1
    tile = np.ones((SQUARE_TEXTURE_PX, SQUARE_TEXTURE_PX))
    return (np.kron(squares, tile) * 220 + 20).astype(np.uint8)


def chessboard_wh_m(columns: int, rows: int) -> tuple[float, float]:
    """Return the size of that drawing."""
    return ((columns + 3) * SQUARE_M, (rows + 3) * SQUARE_M)


def seen_views(
    camera: KnownCamera, noise_px: float, seed: int = 1, tilt_deg: float = 30.0
) -> list[BoardView]:
    """Views of a 9 × 6 chessboard, corners known but for noise, those in the picture only."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[0:9, 0:6].T.reshape(-1, 2) * SQUARE_M
    corners_m = np.column_stack((grid, np.zeros(len(grid))))
    size = (camera.width_px, camera.height_px)
    views = []
    for i, pose in enumerate(poses(camera, (8 * SQUARE_M, 5 * SQUARE_M), tilt_deg)):
        uv = camera.project(corners_m, pose) + rng.normal(0.0, noise_px, (len(corners_m), 2))
        depth_m = (corners_m @ pose.camera_from_board.T + pose.board_in_camera_m)[:, 2]
        is_in = (depth_m > 0.0) & ((uv > 0.0) & (uv < np.array(size) - 1.0)).all(axis=1)
        views.append(BoardView(f"view-{i:02}", size, corners_m[is_in], uv[is_in], 1.0))
    return views


def photographs(
    camera: KnownCamera, drawing: GrayImage, board_wh_m: tuple[float, float], noise: float = 2.0
) -> Iterator[GrayImage]:
    """Pictures of a board in all poses, with a little noise."""
    rng = np.random.default_rng(3)
    for pose in poses(camera, board_wh_m):
        sharp = camera.photograph(drawing, board_wh_m, pose).astype(np.float64)
        yield np.clip(sharp + rng.normal(0.0, noise, sharp.shape), 0, 255).astype(np.uint8)
