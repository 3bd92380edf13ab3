"""`skywhistle calibrate lens` and `board`: a camera's lens from pictures of a board."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge.cli.progress import progress_bar, quiet
from edge.config_table import NAME_PATTERN
from edge.errors import CalibrationError, ConfigError, MissingExtraError, OutputError

if TYPE_CHECKING:
    from calibration.board import Board, BoardView
    from calibration.lens import LensSolution
    from calibration.lens_pictures import Pictures

MODELS = ("auto", "brown", "rational", "fisheye")
CAMERAS = Path("calibration/cameras")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(lens)
    app.command()(board)


def lens(
    source: str = typer.Argument(
        ..., help="Folder of stills, pattern ('stills/left*.jpg'), video file, or a camera's URL."
    ),
    camera_id: str = typer.Option(..., "--id", help="The camera's name: letters, digits, _ and -."),
    board: str = typer.Option("chessboard", help="What it is shown: chessboard or charuco."),
    columns: int = typer.Option(
        9, min=3, help="Chessboard: inner corners along its long side; ChArUco: squares."
    ),
    rows: int = typer.Option(6, min=3, help="The same along the short side."),
    square_mm: float = typer.Option(25.0, min=0.1, help="Side of a square, measured on the print."),
    marker_mm: float = typer.Option(18.0, min=0.1, help="ChArUco: side of a marker."),
    dictionary: str = typer.Option("DICT_5X5_100", help="ChArUco: which markers."),
    model: str = typer.Option("auto", help=f"Lens model: {', '.join(MODELS)}."),
    out: Path | None = typer.Option(None, help=f"File to write; else {CAMERAS}/ID.toml."),
    plot: Path | None = typer.Option(None, help="Residuals as PNG; else out/lens-ID.png."),
    about: str = typer.Option("", help="A note for the file: which camera, which video mode."),
    seconds: float = typer.Option(90.0, min=1.0, help="How long to look at a live camera."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a file that is there."),
) -> None:
    """Solve a camera's lens from pictures of a board; say what to photograph next."""
    from calibration.lens import solve_lens
    from calibration.lens_file import camera_toml, write_camera
    from calibration.lens_pictures import open_pictures
    from calibration.lens_plot import draw_residuals

    if re.fullmatch(NAME_PATTERN, camera_id) is None or model not in MODELS:
        raise ConfigError(
            f"--id {camera_id!r}, --model {model!r}: an id has 1 to 32 letters, digits, _ and -; "
            f"a model is one of {', '.join(MODELS)}"
        )
    quiet()
    console = Console(stderr=True)
    path = out or CAMERAS / f"{camera_id}.toml"
    if path.exists() and not overwrite:  # before the work, not after it
        raise CalibrationError(f"{path}: is there already; --overwrite replaces it")
    shown = _board(board, columns, rows, (square_mm, marker_mm, dictionary))
    views = _look(open_pictures(source, seconds), shown, console)
    with console.status("solving"):
        solution = solve_lens(views, model)
    origin = f"skywhistle calibrate lens {_last(source)}" + f"; {about}" * bool(about)
    write_camera(path, camera_toml(solution, camera_id, origin, shown.words), overwrite=overwrite)
    _tell(solution, console)
    console.print(f"calibration in {path}", soft_wrap=True, markup=False)
    picture = plot or Path("out") / f"lens-{camera_id}.png"
    try:
        draw_residuals(solution, f"{camera_id}: {shown.words}", picture)
        console.print(f"residuals in {picture}: look at them", soft_wrap=True, markup=False)
    except MissingExtraError as error:  # the calibration is whole without it
        console.print(f"no picture: {error}", soft_wrap=True, markup=False)


def board(
    out: Path = typer.Argument(..., help="PNG to write and print at its true size."),
    columns: int = typer.Option(11, min=3, help="Squares along the long side."),
    rows: int = typer.Option(8, min=3, help="Squares along the short side."),
    square_mm: float = typer.Option(24.0, min=1.0, help="Side of a square."),
    marker_mm: float = typer.Option(18.0, min=0.5, help="Side of a marker."),
    dictionary: str = typer.Option("DICT_5X5_100", help="Which markers."),
) -> None:
    """Draw a ChArUco board to print (a small one fits a sheet; mount it on something flat)."""
    import cv2

    from calibration.board import CharucoBoard

    charuco = CharucoBoard(columns, rows, square_mm * 1e-3, marker_mm * 1e-3, dictionary)
    if not cv2.imwrite(str(out), charuco.drawn(round(square_mm * 300 / 25.4))):  # 300 dots an inch
        raise OutputError(f"{out}: cannot be written; name a .png in a folder that is there")
    size = f"{columns * square_mm:g} × {rows * square_mm:g} mm"
    typer.echo(f"{out}: {charuco.words}; print it {size} (300 dpi) and measure a square")


def _board(kind: str, columns: int, rows: int, charuco: tuple[float, float, str]) -> Board:
    from calibration.board import CharucoBoard, Chessboard

    square_mm, marker_mm, dictionary = charuco
    if kind == "chessboard":
        return Chessboard(columns, rows, square_mm * 1e-3)
    if kind == "charuco":
        return CharucoBoard(columns, rows, square_mm * 1e-3, marker_mm * 1e-3, dictionary)
    raise ConfigError(f"--board {kind!r}: it is chessboard or charuco")


def _look(pictures: Pictures, shown: Board, console: Console) -> list[BoardView]:
    """Find the board in picture after picture; say, as they come, what is still missing."""
    from calibration.lens_views import Coverage, Verdict, ViewChoice

    choice, looked, told = ViewChoice(is_picky=pictures.is_video), 0, ""
    with closing(pictures.images), progress_bar(console, "pictures") as progress:
        task = progress.add_task("looking for the board", total=pictures.total)
        try:
            for name, gray in pictures.images:
                looked += 1
                progress.advance(task)
                view = shown.find(gray, name, thorough=not pictures.is_video)
                verdict = None if view is None else choice.offer(view)
                if verdict is None and not pictures.is_video:
                    console.print(f"{escape(name)}: no board found", highlight=False)
                coverage = Coverage.of(choice.views)
                missing = coverage.next_pictures()
                if verdict in {Verdict.KEPT, Verdict.SHARPER} and missing != told:
                    told = missing
                    console.print(_advice(coverage.n_views, missing), highlight=False)
                progress.update(task, description=f"{coverage.n_views} views")
        except KeyboardInterrupt:  # of a live camera: enough
            console.print("stopped; solving with the views so far")
    console.print(f"{looked} pictures, {len(choice.views)} views of the board are used")
    return choice.views


def _advice(n_views: int, missing: str) -> str:
    if not missing:
        return f"{n_views} views; nothing is missing (a live camera: Ctrl-C ends the looking)"
    return f"{n_views} {'view' if n_views == 1 else 'views'}; still missing: {missing}"


def _tell(solution: LensSolution, console: Console) -> None:
    """Print the answer, its sigmas and its weak sides."""
    from edge.geo.lenses import coefficient_names

    fit = solution.fit
    names = ("fx_px", "fy_px", "cx_px", "cy_px", *coefficient_names(fit.model))
    console.print(f"{fit.model} lens, RMS {fit.rms_px:.3f} px, {len(fit.seen.views)} views")
    table = Table()
    for title in ("", "value", "one sigma"):
        table.add_column(title, justify="right" if title else "left")
    for name, value, sigma in zip(names, fit.values, fit.sigmas, strict=True):
        table.add_row(name, f"{value:.6g}", f"{sigma:.2g}")
    console.print(table)
    for name, px in solution.rejected.items():
        console.print(f"rejected {escape(name)}: RMS {px:.2f} px", highlight=False)
    for name, px in solution.tried_px.items():
        console.print(f"{name}: {px:.3f} px on views it was not fitted to", highlight=False)
    for warning in solution.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)


def _last(source: str) -> str:
    """Name a source without the folders it is in, nor a password."""
    return re.sub(r"//[^/@]*@", "//", source) if "://" in source else Path(source).name
