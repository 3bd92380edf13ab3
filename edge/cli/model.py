"""`skywhistle model`: bring a detector of your own."""

from __future__ import annotations

from pathlib import Path

import typer

models = typer.Typer(no_args_is_help=True, help="Detectors: adopt one, look at one.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(models, name="model")


@models.command()
def add(
    onnx: Path = typer.Argument(..., help="The detector, an ONNX file."),
    into: Path = typer.Option(Path("models"), help="The model's folder is made in here."),
    name: str | None = typer.Option(None, help="Folder and model name; else the file's."),
    licence: str = typer.Option("unknown", help="SPDX name of the model's licence."),
) -> None:
    """Look at an ONNX detector, write its model.toml, and try it once."""
    from edge.config import InferenceConfig
    from edge.vision.adopt import adopt_model
    from edge.vision.detector import probe_model

    folder = into / (name or onnx.stem)
    manifest = adopt_model(onnx, folder, name=name, licence=licence)
    probe = probe_model(folder, InferenceConfig())
    typer.echo(
        f"{folder}: layout {manifest.head.layout}, {manifest.input.width_px}×"
        f"{manifest.input.height_px} {manifest.input.colour}, {len(manifest.labels)} labels, "
        f"{probe.inference_ms:.0f} ms an inference"
    )
    typer.echo(f'Use it: model = "{folder}" under [[camera]] in patrol.toml')
