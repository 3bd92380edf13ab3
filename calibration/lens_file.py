"""Writes `calibration/cameras/<id>.toml`, with how it was measured."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from calibration.lens import LensSolution
from calibration.lens_fit import N_PINHOLE
from edge.errors import CalibrationError, OutputError
from edge.geo.camera_file import CameraFile, MeasuredTable
from edge.geo.lenses import coefficient_names


def camera_toml(solution: LensSolution, camera_id: str, source: str, board: str) -> str:
    """Write a solution as a camera's calibration file.

    Args:
        solution: What was solved.
        camera_id: The camera's name, that of the file.
        source: Where the pictures are from, in words.
        board: The board, in words.

    Raises:
        CalibrationError: The file would be refused where it is read.
    """
    fit = solution.fit
    fx, fy, cx, cy = (_number(value) for value in fit.values[:N_PINHOLE])
    names = coefficient_names(fit.model)
    s_fx, s_fy, s_cx, s_cy = (f"{sigma:.3g}" for sigma in fit.sigmas[:N_PINHOLE])
    text = f"""\
# Written by `skywhistle calibrate lens`; what is under [measured] is for people to read.
{_tried(solution)}
id = {_text(camera_id)}
width_px = {fit.size_px[0]}  # the size at calibration; frames of the same aspect are scaled
height_px = {fit.size_px[1]}
fx_px = {fx}  # ± {s_fx} (one sigma)
fy_px = {fy}  # ± {s_fy}
cx_px = {cx}  # ± {s_cx}; (0, 0) is the centre of the top-left pixel
cy_px = {cy}  # ± {s_cy}
model = {_text(fit.model)}
distortion = [{", ".join(_number(value) for value in fit.values[N_PINHOLE:])}]  # {" ".join(names)}
rms_px = {fit.rms_px:.4f}  # root of the mean squared distance, corners seen to corners projected
source = {_text(source)}

# If the aircraft flies a part of this picture only, say which (or in [[camera]] of the config):
# [flown]
# crop_px = [0, 0, {fit.size_px[0]}, {fit.size_px[1]}]  # left, top, width, height
# zoom = 1.0  # digital, about the middle of that part

[measured]
board = {_text(board)}
sigma_fx_px = {fit.sigmas[0]:.4g}
sigma_fy_px = {fit.sigmas[1]:.4g}
sigma_cx_px = {fit.sigmas[2]:.4g}
sigma_cy_px = {fit.sigmas[3]:.4g}
sigma_distortion = [{", ".join(f"{sigma:.3g}" for sigma in fit.sigmas[N_PINHOLE:])}]
views_used = {_list(view.name for view in fit.seen.views)}
views_rejected = {_list(f"{name}: {px:.2f} px" for name, px in solution.rejected.items())}
warnings = {_list(solution.warnings)}
"""
    _check(solution, camera_id, board)
    return text


def write_camera(path: Path, text: str, *, overwrite: bool) -> None:
    """Write the file, all of it or none.

    Raises:
        CalibrationError: There is one already.
        OutputError: The disk refuses.
    """
    if path.exists() and not overwrite:
        raise CalibrationError(
            f"{path}: is there already; give another --id or --out, or --overwrite to replace it"
        )
    half = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); give another --out"
        ) from error


def _check(solution: LensSolution, camera_id: str, board: str) -> None:
    """Let the law of calibration files judge the answer before it is written."""
    fit = solution.fit
    fx, fy, cx, cy, *distortion = (float(value) for value in fit.values)
    sigmas = [float(sigma) for sigma in fit.sigmas]
    try:
        measured = MeasuredTable(
            board=board,
            views_used=(),
            sigma_fx_px=sigmas[0],
            sigma_fy_px=sigmas[1],
            sigma_cx_px=sigmas[2],
            sigma_cy_px=sigmas[3],
            sigma_distortion=tuple(sigmas[N_PINHOLE:]),
        )
        size = {"width_px": fit.size_px[0], "height_px": fit.size_px[1]}
        pinhole = {"fx_px": fx, "fy_px": fy, "cx_px": cx, "cy_px": cy}
        lens = {"model": fit.model, "distortion": tuple(distortion)}
        CameraFile.model_validate(
            {"id": camera_id, "measured": measured, **size, **pinhole, **lens}
        )
    except ValueError as error:
        raise CalibrationError(
            f"the views give a camera that cannot be ({error}); check that they are whole pictures "
            "of one camera, uncropped, and photograph the board in all parts of the picture"
        ) from error


def _tried(solution: LensSolution) -> str:
    if not solution.tried_px:
        return "# No other lens model was compared with this one."
    tried = ", ".join(f"{name} {px:.3f}" for name, px in solution.tried_px.items())
    return f"# Error on views that a lens was not fitted to, by model, px: {tried}."


def _number(value: float) -> str:
    return f"{float(value):.9g}" if not float(value).is_integer() else f"{float(value):.1f}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # the same in TOML


def _list(values: Iterable[str]) -> str:
    texts = [_text(value) for value in values]
    if sum(map(len, texts)) < 60:
        return f"[{', '.join(texts)}]"
    return "[\n" + "".join(f"  {text},\n" for text in texts) + "]"
