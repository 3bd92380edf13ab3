"""`skywhistle`: the command line.  Exit codes: 0 done, 1 it failed, 2 the input is not usable."""

from __future__ import annotations

import errno
import logging
import os
import sys

# OpenCV and FFmpeg write to stderr on every damaged packet; what matters is counted in health.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "8")
os.environ.setdefault("MAVLINK20", "1")

import typer

from edge import __version__
from edge.cli import (
    adopt,
    bench,
    calibrate,
    chaos,
    check,
    decode,
    demo,
    desk,
    fly,
    geotag,
    keys,
    model,
    originals,
    outage,
    replay,
    schema,
    score,
    simulate,
    soak,
    tell,
    terrain,
    verify,
)
from edge.errors import SkywhistleError

app = typer.Typer(
    name="skywhistle",
    help="A patrol drone's eyes: finds violations, says where they are, and tells the desk.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_FLYING = (demo, fly, desk, tell, originals, verify, check, replay, decode)
_SETTING_UP = (keys, calibrate, adopt, geotag, terrain, model, schema)
_PROVING = (bench, score, simulate, chaos, soak, outage)
for module in (*_FLYING, *_SETTING_UP, *_PROVING):
    module.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"skywhistle {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log debug events too."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print it and stop."
    ),
) -> None:
    """Set up logging for every command."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )


def main() -> None:
    """Run a command; a known error, or a file refused, is one message, no traceback."""
    try:
        app()
    except SkywhistleError as error:
        typer.secho(f"skywhistle: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # the system's refusal of a file that no step translates
        where = f"{error.filename}: " if error.filename else ""
        typer.secho(
            f"skywhistle: {where}{error.strerror or error}; {_mend(error)}", fg="red", err=True
        )
        sys.exit(1)


def _mend(error: OSError) -> str:
    """Say what a person can do about it."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "free disk space and try again"
    return "check the path, its owner, mode and disk"


if __name__ == "__main__":
    main()
