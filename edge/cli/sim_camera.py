"""`skywhistle sim camera`: eyes for somebody else's simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.status import Status

from edge.cli.addresses import address
from edge.cli.signals import stop_on_signals
from edge.extras import needs_extra

if TYPE_CHECKING:
    from sim.wire.follow import FollowStatus


def camera(
    follow: str = typer.Option(..., help="The autopilot's MAVLink link, e.g. udpin:0.0.0.0:14550."),
    scenario: str = typer.Option("demo", help="Whose district, camera and mount; laid round home."),
    seed: int = typer.Option(1, min=0, help="Of the district."),
    rtp: str = typer.Option("127.0.0.1:5600", help="host:port that gets RTP; empty: none."),
    rtsp: str = typer.Option("127.0.0.1:8554", help="host:port of the RTSP server; empty: none."),
    pitch_deg: float = typer.Option(-90.0, help="Of a fixed mount, or of a gimbal that is silent."),
    latency_s: float = typer.Option(0.5, help="Of the video, from a picture's instant."),
    system_id: int | None = typer.Option(None, min=1, max=255, help="Else the first one heard."),
) -> None:
    """Draw and serve what the camera of an external ArduPilot or PX4 simulation would see.

    The pose is the simulation's own truth (SIM_STATE) where it is sent, else the autopilot's
    estimate.  The vehicle's home is the middle of the district.
    """
    with needs_extra("sim", "drawing a district"):
        from sim.scenario import load_scenario
        from sim.wire.follow import FollowOptions
        from sim.wire.follow import follow as run

    loaded = load_scenario(scenario)
    rtp_host, rtp_port = address(rtp, 5600)
    rtsp_host, rtsp_port = address(rtsp, 8554)
    console = Console(stderr=True, highlight=False)
    with Status("drawing the district", console=console) as line:
        options = FollowOptions(
            link=follow,
            rtp=None if rtp_host is None else (rtp_host, rtp_port),
            rtsp=None if rtsp_host is None else (rtsp_host, rtsp_port),
            pitch_deg=pitch_deg,
            latency_s=latency_s,
            system_id=system_id,
            status=lambda status: line.update(_told(status)),
        )
        final = run(loaded, seed, options, stop_on_signals())
    console.print(_told(final))


def _told(status: FollowStatus) -> str:
    source = "SIM_STATE" if status.has_truth else "the autopilot's estimate"
    pose = f"pose from {source}" if status.has_pose else "no pose yet"
    return (
        f"{status.messages_heard} messages heard, {pose}; {status.frames_sent} frames sent, "
        f"{status.frames_late} late"
    )
