"""`skywhistle keys`: certificates for broker, desk and drones, and a broker that asks for them."""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

import typer

from edge.cli.signals import os_utc_ns

keys = typer.Typer(
    no_args_is_help=True,
    help="Certificates for broker, desk and drones, and a broker that asks for them.",
)
_FOLDER = typer.Argument(..., help="Where the authority lies. Keep it off the aircraft.")
_AT = "/etc/skywhistle/keys"  # where a folder lies on its machine
_DRONE_TABLES = f"""
[signing]
key_file = "{_AT}/sign.key"

[commands]
keys = ["{_AT}/command.pub"]

[acks]
keys = ["{_AT}/ack.pub"]

[privacy]
originals_key = "{_AT}/originals.pub"
"""
_DESK_TABLE = f'\n[desk]\ndrone_keys = "{_AT}/drones"\nack_key_file = "{_AT}/ack.key"\n'
_DAYS = typer.Option(730, min=1, max=3650, help="How long certificates hold.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(keys, name="keys")


@keys.command()
def init(
    folder: Path = _FOLDER,
    broker: list[str] = typer.Option(
        ..., help="Name or address of the broker, as drones reach it; may be given twice."
    ),
    days: int = _DAYS,
    installed_at: Path | None = typer.Option(
        None, help="Where the broker's folder will lie; else where it is made."
    ),
    state: Path | None = typer.Option(None, help="Where mosquitto keeps its sessions."),
    port: int = typer.Option(8883, min=1, max=65535, help="That the broker listens on."),
) -> None:
    """Make an authority, and all that broker and desk need."""
    from edge.desk.authority import Authority
    from edge.desk.broker_files import write_broker_files

    Authority.create(folder, broker, _now(), days)
    made = folder / "broker"
    sessions = state or made.resolve() / "state"
    if state is None:
        sessions.mkdir(mode=0o700, exist_ok=True)
    write_broker_files(made, installed_at or made.resolve(), sessions, port=port)
    typer.echo(f"{folder / 'authority'}: the authority; whoever has ca.key can speak for anyone")
    typer.echo(
        f"{made}: for the broker's machine; there, as root: chown -R mosquitto: {made} && "
        f"mosquitto -c {made}/mosquitto.conf"
    )
    typer.echo(f"{folder / 'desk'}: for the command centre's machine")
    typer.echo(_mqtt_table(broker[0], port, "desk") + _DESK_TABLE)
    typer.echo(f"next: skywhistle keys drone {folder} patrol-01")


@keys.command()
def drone(
    folder: Path = _FOLDER,
    drone_id: str = typer.Argument(..., help="As `drone_id` in its patrol.toml."),
    days: int = _DAYS,
) -> None:
    """Make a drone's certificate and keys: a folder to copy onto the aircraft."""
    from edge.desk.authority import Authority
    from edge.desk.broker_files import listener_port

    authority = Authority(folder)
    made = authority.issue_drone(drone_id, _now(), days)
    typer.echo(f"{made}: for the aircraft; copy it as {_AT}, mode 700; its patrol.toml:")
    port = listener_port(folder / "broker")
    typer.echo(_mqtt_table(authority.broker_hosts()[0], port, drone_id) + _DRONE_TABLES)
    desk = folder / "desk" / "drones" / f"{drone_id}.pub"
    typer.echo(f"{desk}: for the desk's `drone_keys`, which it reads when it starts")


class Role(str, Enum):
    """Who has a certificate and is no drone."""

    BROKER = "broker"
    DESK = "desk"
    DASHBOARD = "dashboard"


@keys.command()
def issue(
    folder: Path = _FOLDER,
    role: Role = typer.Argument(..., help="Whose."),
    days: int = _DAYS,
    new_keys: bool = typer.Option(
        False,
        help="Of the desk: those of commands, acks and originals, too, since they were stolen.",
    ),
) -> None:
    """Make a new certificate for broker or desk, or one for a dashboard, which only reads.

    The former one holds until it ends; withdraw it first (`keys revoke`) if its key was lost.
    """
    from edge.desk.authority import Authority
    from edge.desk.broker_files import listener_port

    if new_keys and role is not Role.DESK:
        raise typer.BadParameter(f"{role.value} has none", param_hint="--new-keys")
    authority, now = Authority(folder), _now()
    if role is Role.BROKER:
        made = authority.issue_broker(now, days)
        typer.echo(f"{made}: for the broker's machine; restart mosquitto there")
        return
    issue_one = authority.issue_desk if role is Role.DESK else authority.issue_dashboard
    made, port = issue_one(now, days), listener_port(folder / "broker")
    typer.echo(f"{made}: for its machine")
    typer.echo(_mqtt_table(authority.broker_hosts()[0], port, role.value))
    if role is Role.DASHBOARD:
        typer.echo("it may subscribe to sw/v1/desk/alert and sw/v1/desk/state, and nothing else")
    if new_keys:
        authority.make_desk_keys(now)
        typer.echo(
            f"{made}/command.pub, ack.pub, originals.pub: copy them onto every aircraft "
            "and restart it; until then it believes the former keys, and seals originals to them. "
            f"{made}/originals.until-….key opens what was sealed before: keep it"
        )


@keys.command()
def revoke(
    folder: Path = _FOLDER,
    name: str = typer.Argument(..., help="A drone, `desk`, `dashboard` or `broker`."),
) -> None:
    """Withdraw all certificates of a name so far: its key was lost, or its drone."""
    from edge.desk.authority import Authority

    count = Authority(folder).revoke(name, _now())
    listed = folder / "broker" / "crl.pem"
    typer.echo(
        f"{count} withdrawn; copy {listed} to the broker and restart it: until then they work"
    )


@keys.command()
def sign(
    config: Path = typer.Argument(..., help="A patrol.toml."),
    key: Path = typer.Option(..., help="authority/config.key, or another Ed25519 key."),
) -> None:
    """Vouch for a config and all that it names: models, calibrations, zones, registers."""
    from edge.protocol.signing import read_signing_key
    from edge.settings import read_settings
    from edge.signed import sign_files

    settings = read_settings(config)
    listed = sign_files(settings, read_signing_key(key, "--key"))
    typer.echo(f"{listed}: written; it holds until any of the files in it changes")
    typer.echo(f"on the aircraft: skywhistle run --signed-by .../config.pub {config}")


@keys.command()
def show(folder: Path = _FOLDER) -> None:
    """List what the authority has made, and until when it holds."""
    from edge.desk.authority import Authority

    authority, now = Authority(folder), _now()
    typer.echo(f"authority until {authority.certificate.not_valid_after_utc:%Y-%m-%d}")
    for one in authority.issued():
        state = "withdrawn" if one.is_revoked else "expired" if one.not_after < now else "valid"
        typer.echo(f"{one.name:<32} {state:<9} until {one.not_after:%Y-%m-%d}")


def _mqtt_table(host: str, port: int, name: str) -> str:
    """Return what its patrol.toml says of the broker."""
    return (
        f'\n[mqtt]\nhost = "{host}"\nport = {port}\nca_file = "{_AT}/ca.crt"\n'
        f'cert_file = "{_AT}/{name}.crt"\nkey_file = "{_AT}/{name}.key"\n'
    )


def _now() -> datetime:
    return datetime.fromtimestamp((os_utc_ns() or 0) / 1e9, timezone.utc)
