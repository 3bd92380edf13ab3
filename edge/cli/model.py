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
    labels: str | None = typer.Option(None, help="Class names in order, with commas between."),
    layout: str | None = typer.Option(
        None, help="yolov5, yolov8, end2end, yolox, gfl or nanodet; else what the file looks like."
    ),
    strides: str | None = typer.Option(None, help="Of the head, e.g. 8,16,32."),
    width: int | None = typer.Option(None, help="Input width, px, where the file leaves it open."),
    height: int | None = typer.Option(None, help="Input height, px, likewise."),
    colour: str | None = typer.Option(None, help="rgb or bgr."),
    resize: str | None = typer.Option(
        None, help="letterbox_centre, letterbox_top_left or stretch."
    ),
    min_score: float | None = typer.Option(None, min=0.0, max=1.0, help="Default threshold."),
) -> None:
    """Look at an ONNX detector, write its model.toml, and try it once."""
    from edge.config import InferenceConfig
    from edge.vision.adopt import adopt_model, overrides_from_text
    from edge.vision.probe import probe_model

    folder = into / (name or onnx.stem)
    overrides = overrides_from_text(
        labels=labels,
        layout=layout,
        strides=strides,
        width_px=width,
        height_px=height,
        colour=colour,
        resize=resize,
        min_score=min_score,
    )
    manifest = adopt_model(onnx, folder, name=name, licence=licence, overrides=overrides)
    _show(folder, probe_model(folder, InferenceConfig()).inference_ms)
    if manifest.licence == "unknown":
        typer.echo("Its licence is unknown: say it with --licence before it flies for others.")
    typer.echo(f'Use it: model = "{folder}" under [[camera]] in patrol.toml')


@models.command()
def show(folder: Path = typer.Argument(..., help="A folder with model.toml.")) -> None:
    """Load a model as a flight would, run it, and say what it is."""
    from edge.config import InferenceConfig
    from edge.vision.probe import probe_model

    _show(folder, probe_model(folder, InferenceConfig()).inference_ms)


def _show(folder: Path, inference_ms: float) -> None:
    from edge.vision.manifest import read_manifest

    manifest = read_manifest(folder)
    shape = manifest.input
    typer.echo(
        f"{folder}: {manifest.name}, layout {manifest.head.layout}, "
        f"{shape.width_px}×{shape.height_px} {shape.colour} {shape.resize}, "
        f"{inference_ms:.0f} ms an inference on this machine, licence {manifest.licence}"
    )
    typer.echo(f"labels: {', '.join(manifest.labels)}")
