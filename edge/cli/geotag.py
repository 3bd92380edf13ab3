"""`skywhistle geotag`: pixels of posed pictures to places on the ground."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edge.cli.progress import quiet
from edge.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from edge.geo.survey import PlacedPixel, PosedPicture
    from edge.geo.terrain import TerrainTile

HEADER = ("image", "u_px", "v_px", "lat_deg", "lon_deg", "ground_m", "ce90_m", "reason")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(geotag)


def geotag(
    camera: Path = typer.Option(..., help="Calibration, as in calibration/cameras."),
    poses: Path = typer.Option(
        ...,
        help="CSV: image, lat_deg, lon_deg, height_m, yaw_deg, pitch_deg, roll_deg of the camera; "
        "if known, lat_sigma_m, lon_sigma_m, height_sigma_m, yaw_sigma_deg, pitch_sigma_deg, "
        "roll_sigma_deg.",
    ),
    pixels: Path = typer.Option(..., help="CSV: image, u_px, v_px; (0, 0) is a pixel's middle."),
    out: Path = typer.Option(..., help=f"CSV: {', '.join(HEADER)}."),
    terrain: Path | None = typer.Option(
        None, help="Tile or elevation model, heights in the datum of the poses'."
    ),
    ground_height: float | None = typer.Option(
        None, help="Or: level ground at this height, m, in the datum of the poses'."
    ),
) -> None:
    """Say where on the ground pixels of pictures lie, and how well that is known.

    The camera's own attitude counts: yaw from true north, pitch -90 straight down, roll about the
    optical axis. Sigmas that a table does not give are a patrol's defaults.
    """
    quiet()
    from edge.geo.camera import read_intrinsics
    from edge.geo.survey import place_pixels, read_pixels, read_poses

    _want_one(terrain, ground_height)
    intrinsics = read_intrinsics(camera)
    posed, wanted = read_poses(poses), read_pixels(pixels)
    ground = _ground(terrain, ground_height, posed)
    placed = list(place_pixels(wanted, posed, intrinsics, ground))
    _write(out, placed)
    lost = Counter(one.reason.value for one in placed if one.reason is not None)
    typer.echo(f"{out}: {len(placed) - lost.total()} of {len(placed)} pixels placed")
    for reason, count in lost.most_common():
        typer.echo(f"  {reason}: {count}")


def _want_one(terrain: Path | None, height_m: float | None) -> None:
    """Refuse before anything is read."""
    if (terrain is None) == (height_m is None):
        raise ConfigError("give either --terrain or --ground-height, to cut the rays with")
    if height_m is not None and not math.isfinite(height_m):
        raise ConfigError(f"--ground-height {height_m}: write metres, e.g. 12.5")


def _ground(
    terrain: Path | None, height_m: float | None, posed: Mapping[str, PosedPicture]
) -> TerrainTile | float:
    """Return the ground that was asked for; of a model only what lies around the pictures."""
    from edge.geo.survey import around_of
    from edge.geo.terrain import SUFFIX, read_tile

    if terrain is None:
        return float(height_m or 0.0)
    if terrain.suffix == SUFFIX:
        return read_tile(terrain)
    from edge.geo.terrain_import import Around, import_tile

    around = around_of(posed.values())
    # The poses' heights are in the model's datum by definition: its name does not matter.
    return import_tile(terrain, "the poses' datum", None if around is None else Around(*around))


def _write(out: Path, placed: Iterable[PlacedPixel]) -> None:
    import csv

    half = out.with_name(out.name + ".part")
    try:
        with half.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(HEADER)
            table.writerows(_row(one) for one in placed)
        half.replace(out)
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror}); give another --out"
        ) from error


def _row(one: PlacedPixel) -> tuple[str, ...]:
    pixel = (one.pixel.image, f"{one.pixel.u_px:.10g}", f"{one.pixel.v_px:.10g}")
    if one.reason is not None:
        return (*pixel, "", "", "", "", one.reason.value)
    place = f"{one.lat_deg:.9f}", f"{one.lon_deg:.9f}", f"{one.ground_m:.3f}", f"{one.ce90_m:.2f}"
    return (*pixel, *place, "")
