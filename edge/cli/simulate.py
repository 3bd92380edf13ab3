"""`skywhistle sim`: the simulator, on the wire or into a flight folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.status import Status

from edge.cli.addresses import address
from edge.cli.signals import stop_on_signals
from edge.cli.sim_camera import camera
from edge.errors import ScenarioError
from edge.extras import needs_extra

if TYPE_CHECKING:
    from sim.scenario import Scenario
    from sim.serve import ServeStatus

sim = typer.Typer(no_args_is_help=True, help="The simulator: serve a flight, record a flight.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(sim, name="sim")


sim.command()(camera)


@sim.command()
def serve(
    scenario: str = typer.Argument(
        ...,
        help="A flight folder, a shipped flight (demo), or a scenario; it is recorded first.",
    ),
    mavlink: list[str] = typer.Option(["udpout:127.0.0.1:14550"], help="Where telemetry goes."),
    rtp: str = typer.Option("127.0.0.1:5600", help="host:port that gets RTP; empty: none."),
    rtsp: str = typer.Option("127.0.0.1:8554", help="host:port of the RTSP server; empty: none."),
    announce: str = typer.Option("rtp", help="Which stream the camera announces: rtp, rtsp, none."),
    latency_s: float | None = typer.Option(
        None, min=0.0, max=10.0, help="Of the video; else as the flight states, or 0.12."
    ),
    wait: bool = typer.Option(True, help="Begin when a ground link asks for data."),
    delay_s: float = typer.Option(0.0, min=0.0, help="Stand still this long before the flight."),
    loop: bool = typer.Option(False, help="Fly again and again."),
    seed: int | None = typer.Option(None, help="Of a scenario; else its own."),
    faults: Path | None = typer.Option(
        None, help="A scenario file whose faults act, in place of the flown one's."
    ),
    broker: str = typer.Option("", help="host:port of the broker that link faults cut off."),
    broker_listen: str = typer.Option("127.0.0.1:1884", help="Where the uplink finds it then."),
) -> None:
    """Put a simulated vehicle and its camera on the wire, in real time.

    Telemetry is MAVLink over UDP as an ArduPilot sends it; video is RTP/H.264 and RTSP.
    """
    from sim.serve import ServeOptions
    from sim.serve import serve as fly
    from sim.serve_source import faults_of
    from sim.wire.camera import Announce

    _check_announce(announce)
    rtp_host, rtp_port = address(rtp, 5600)
    rtsp_host, rtsp_port = address(rtsp, 8554)
    broker_host, broker_port = address(broker, 1883)
    listen_host, listen_port = address(broker_listen, 1884)
    console = Console(stderr=True, highlight=False)
    with Status("starting", console=console) as line:
        options = ServeOptions(
            mavlink=tuple(mavlink),
            rtp_host=rtp_host,
            rtp_port=rtp_port,
            rtsp_host=rtsp_host,
            rtsp_port=rtsp_port,
            announce=Announce(announce),
            video_latency_s=latency_s,
            wait_for_ground=wait,
            start_delay_s=delay_s,
            loop=loop,
            seed=seed,
            progress=console.print,
            status=lambda status: _show(line, status),
            faults=None if faults is None else faults_of(faults),
            broker=None if broker_host is None else (broker_host, broker_port),
            broker_listen=(listen_host or "127.0.0.1", listen_port),
        )
        final = fly(scenario, options, stop_on_signals())
    console.print(f"served {final.messages_sent} messages and {final.frames_sent} frames")


def _check_announce(announce: str) -> None:
    from sim.wire.camera import Announce

    if announce not in {kind.value for kind in Announce}:
        raise ScenarioError(f"--announce {announce}: is none of rtp, rtsp, none")


def _show(line: Status, status: ServeStatus) -> None:
    state = f"{status.t_s:5.1f} of {status.flight_s:.0f} s"
    line.update(
        f"{state if status.has_begun else 'waiting for a ground link'}   "
        f"{status.messages_sent} messages, {status.frames_sent} frames sent"
    )


@sim.command()
def resend(
    log: Path = typer.Argument(..., help="A .tlog."),
    mavlink: str = typer.Option("udpout:127.0.0.1:14550", help="Where it goes."),
    speed: float = typer.Option(1.0, min=0.1, max=100.0, help="Times real time."),
) -> None:
    """Send a recorded telemetry log again, every sender as it was, in real time."""
    from sim.serve import resend_log

    sent = resend_log(log, mavlink, speed, stop_on_signals())
    typer.echo(f"sent {sent} messages")


@sim.command()
def record(
    scenario: str = typer.Argument(..., help="A scenario's name (demo) or TOML file."),
    seed: int = typer.Option(..., help="Of the district and of all that goes wrong on the way."),
    out: Path = typer.Option(..., help="The flight folder to write."),
) -> None:
    """Fly a scenario, draw what its camera sees, and write a flight folder with its truth."""
    from edge.cli.progress import progress_bar

    with needs_extra("sim", "drawing a district"):
        from sim.record import record as fly
        from sim.scenario import load_scenario

    console = Console(stderr=True, highlight=False)
    loaded = load_scenario(scenario)
    _refuse_used_folder(out)
    with progress_bar(console) as progress:
        task = progress.add_task(f"{loaded.name} {seed}", total=None)
        counts = fly(
            loaded, seed, out, lambda done, of: progress.update(task, completed=done, total=of)
        )
    told = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())
    console.print(f"{out}: {told}")


def _refuse_used_folder(out: Path) -> None:
    """Overwrite nobody's files, and say so before the district is drawn."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ScenarioError(f"{out}: is in use; give a new folder, or empty it first")


@sim.command()
def exam(
    out: Path = typer.Option(..., help="Where the flights' folders go; those there are kept."),
    only: str = typer.Option("*", help="A pattern of names, e.g. 'exam-quiet-*'."),
) -> None:
    """Record the flights that the shipped detector is examined on, one after the other."""
    from edge.cli.progress import progress_bar

    with needs_extra("sim", "drawing a district"):
        from sim.record import record as fly
        from sim.scenario_exam import record_exam

    console = Console(stderr=True, highlight=False)
    with progress_bar(console) as progress:

        def record_one(scenario: Scenario, seed: int, folder: Path) -> None:
            task = progress.add_task(f"{scenario.name} {seed}", total=None)
            fly(scenario, seed, folder, lambda n, of: progress.update(task, completed=n, total=of))

        for flight, is_there in record_exam(out, only, record_one):
            if is_there:
                console.print(f"{out / flight.name}: is there")
