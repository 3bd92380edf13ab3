"""`skywhistle model`: bring a detector of your own."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from edge.records import ImageArray
    from edge.vision.manifest import ModelManifest
    from edge.vision.quantize import Trial

_WORTH_IT = 0.95  # of the float model's time; above, nothing is won

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
        None,
        help="yolov5, yolov8, end2end, yolox, gfl, nanodet, detr_triple, detr_logits or detr_rows; "
        "else what the file looks like.",
    ),
    strides: str | None = typer.Option(None, help="Of the head, e.g. 8,16,32."),
    width: int | None = typer.Option(None, help="Input width, px, where the file leaves it open."),
    height: int | None = typer.Option(None, help="Input height, px, likewise."),
    colour: str | None = typer.Option(None, help="rgb or bgr."),
    resize: str | None = typer.Option(
        None, help="letterbox_centre, letterbox_top_left or stretch."
    ),
    min_score: float | None = typer.Option(None, min=0.0, max=1.0, help="Default threshold."),
    picture: Path | None = typer.Option(
        None, help="To try it on: a still or a flight with things that it knows; else the demo's."
    ),
) -> None:
    """Look at an ONNX detector, write its model.toml, and try it on a picture."""
    from edge.cli.pictures import one_picture
    from edge.cli.shipped import DEMO_FLIGHT
    from edge.config import InferenceConfig
    from edge.vision.adopt import adopt_model, overrides_from_text
    from edge.vision.probe import probe_model

    _check_name(name)
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
    image = one_picture(picture or DEMO_FLIGHT)  # before anything is written
    manifest = adopt_model(onnx, folder, name=name, licence=licence, overrides=overrides)
    _show(folder, probe_model(folder, InferenceConfig()).inference_ms)
    _try(manifest, image, picture or DEMO_FLIGHT)
    if manifest.licence == "unknown":
        typer.echo("Its licence is unknown: say it with --licence before it flies for others.")
    typer.echo(f'Use it: model = "{folder}" under [[camera]] in patrol.toml')


def _check_name(name: str | None) -> None:
    """Refuse a name that is no plain folder's: the model would be written anywhere."""
    from edge.config_table import NAME_PATTERN
    from edge.errors import ConfigError

    if name is not None and re.fullmatch(NAME_PATTERN, name) is None:
        raise ConfigError(
            f"--name {name!r}: a name is 1 to 32 letters, digits, - and _; choose the folder "
            "above it with --into"
        )


@models.command()
def show(folder: Path = typer.Argument(..., help="A folder with model.toml.")) -> None:
    """Load a model as a flight would, run it, and say what it is."""
    from edge.config import InferenceConfig
    from edge.vision.probe import probe_model

    _show(folder, probe_model(folder, InferenceConfig()).inference_ms)


@models.command()
def quantize(
    model: Path = typer.Argument(..., help="A folder with model.toml, the float model."),
    frames: list[Path] = typer.Option(
        ..., help="A flight, a video or a folder of stills to calibrate on; may be given again."
    ),
    out: Path | None = typer.Option(None, help="The new model's folder; else MODEL-int8."),
    pictures: int = typer.Option(96, min=1, max=1000, help="How many to take, spread evenly."),
) -> None:
    """Bring a model to INT8 with pictures of flights, and say what that does to it."""
    from edge.cli.pictures import spread_pictures
    from edge.vision.manifest import read_manifest
    from edge.vision.quantize import GOOD_AGREEMENT, quantize_model

    def tell(trial: Trial) -> None:
        typer.echo(f"  {trial.plan}: {_agreement(trial)}, time × {trial.pace.ratio:.2f}")

    manifest = read_manifest(model)
    into = out or model.with_name(f"{model.name}-int8")
    taken = spread_pictures(frames, pictures)
    typer.echo(f"{model}: calibrating on pictures from {', '.join(map(str, frames))}")
    done = quantize_model(manifest, taken, into, tell)
    best = done.best
    typer.echo(
        f"{into}: {done.n_bytes / 1e6:.2f} MB (was {done.n_bytes_before / 1e6:.2f}), calibrated on "
        f"{done.n_calibration} pictures; {_agreement(best)} on {done.n_check} others"
    )
    typer.echo(
        f"INT8 ÷ FP32 inference time, in turns, median of ten: {best.pace.second_ms:.1f} ms ÷ "
        f"{best.pace.first_ms:.1f} ms = {best.pace.ratio:.2f}"
    )
    if best.share < GOOD_AGREEMENT:
        typer.echo(
            "The boxes differ more than they should: score it on recorded flights before it flies, "
            "or fly the float model."
        )
    if best.pace.ratio > _WORTH_IT:
        typer.echo("It is hardly faster on this processor: here the float model is the better one.")


def _agreement(trial: Trial) -> str:
    said = trial.agreement
    if said.share is None:
        return "no box in any picture, so agreement is not known"
    return f"{said.share:.1%} of {said.n_boxes} boxes (score ≥ {said.at_score:.2f}) agree"


def _try(manifest: ModelManifest, image: ImageArray, source: Path) -> None:
    """Say how sure the reading is, and draw what the model finds."""
    import cv2

    from edge.cli.shipped import DEMO_FLIGHT
    from edge.vision.drawing import draw_detections
    from edge.vision.opinion import judge

    opinion = judge(manifest, image)
    because = "; ".join(opinion.because) or "nothing but the number of its columns fits"
    typer.echo(f"taken for {manifest.head.layout}: {opinion.sureness.value}, because {because}")
    for doubt in opinion.doubts:
        typer.echo(f"  but {doubt}")
    drawing = manifest.folder / "looked.jpg"
    cv2.imwrite(str(drawing), draw_detections(image, opinion.detections))
    found = Counter(one.label for one in opinion.detections)
    listed = ", ".join(f"{count} {label}" for label, count in found.most_common(5)) or "nothing"
    typer.echo(f"in {source}: {listed}; drawn in {drawing}")
    for hint in opinion.hints:
        typer.echo(f"  {hint}")
    if not found and source == DEMO_FLIGHT:
        typer.echo("  try it on a picture with things that it knows: --picture")


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
    if manifest.advisory:
        typer.echo(f"advisory, their alerts are marked: {', '.join(manifest.advisory)}")
