"""`skywhistle terrain`: elevation models as the aircraft reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edge.cli.progress import quiet
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.geo.terrain import TerrainTile
    from edge.geo.terrain_import import Around

terrain = typer.Typer(no_args_is_help=True, help="Elevation models as the aircraft reads them.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(terrain, name="terrain")


@terrain.command("import")
def import_(
    model: Path = typer.Argument(..., help="An elevation model, e.g. a GeoTIFF."),
    out: Path = typer.Option(..., help="The tile to write, NAME.npz."),
    datum: str | None = typer.Option(
        None, help="What its heights are above: egm96, egm2008, ellipsoid, ...; else the file's."
    ),
    around: str | None = typer.Option(None, help="Of this place only: LAT,LON in degrees."),
    within_km: float = typer.Option(5.0, min=0.1, max=200.0, help="How far from there."),
) -> None:
    """Turn an elevation model into a tile that flies (extra `terrain`)."""
    from edge.geo.terrain import write_tile
    from edge.geo.terrain_import import import_tile

    quiet()
    tile = import_tile(model, datum, around_from_text(around, within_km))
    write_tile(tile, out)
    typer.echo(f"{out}: {describe(tile)}")


@terrain.command()
def show(tile: Path = typer.Argument(..., help="A tile that `terrain import` wrote.")) -> None:
    """Say what a tile covers."""
    from edge.geo.terrain import read_tile

    typer.echo(describe(read_tile(tile)))


def around_from_text(text: str | None, within_km: float) -> Around | None:
    """Read LAT,LON.

    Raises:
        ConfigError: It is no place.
    """
    from edge.geo.terrain_import import Around

    if text is None:
        return None
    try:
        lat_deg, lon_deg = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--around {text!r}: write LAT,LON, e.g. 31.49,120.31") from error
    if not (abs(lat_deg) < 89.9 and abs(lon_deg) <= 180.0):
        raise ConfigError(f"--around {text!r}: no place; latitude comes first, e.g. 31.49,120.31")
    return Around(lat_deg, lon_deg, within_km)


def describe(tile: TerrainTile) -> str:
    """Say in words what a tile holds."""
    import numpy as np

    rows, cols = tile.heights_m.shape
    south = tile.first_lat_deg - tile.step_lat_deg * (rows - 1)
    east = tile.first_lon_deg + tile.step_lon_deg * (cols - 1)
    low, high = float(np.nanmin(tile.heights_m)), float(np.nanmax(tile.heights_m))
    voids = float(np.isnan(tile.heights_m).mean())
    return (
        f"{rows} × {cols} heights, {tile.cell_m:.1f} m apart; "
        f"{south:.5f} to {tile.first_lat_deg:.5f} N, {tile.first_lon_deg:.5f} to {east:.5f} E; "
        f"{low:.1f} to {high:.1f} m above {tile.datum}; {voids:.1%} void; from {tile.source}"
    )
