"""Tables of `patrol.toml` about what leaves the aircraft, and what is kept for it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from edge.config_table import Positive, Table


class MqttConfig(Table):
    """Where the uplink and the desk connect."""

    host: str = "127.0.0.1"
    port: int = Field(8883, ge=1, le=65535)
    tls: bool = True
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = Field(None, description="one line; mode 600")
    keepalive_s: int = Field(30, ge=5, le=600, description="seconds between pings")
    session_expiry_s: int = Field(7 * 86400, ge=86400)
    resend_after_s: Positive = Field(5.0, description="no ack of the desk: first resend")
    resend_max_s: Positive = 120.0
    in_flight: int = Field(50, ge=1, le=1000)
    desk_client_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="name of the desk's session at the broker, one for each desk; none: made once "
        "and kept in its database",
    )

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> MqttConfig:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


class SigningConfig(Table):
    """Whether the drone signs what it sends."""

    key_file: Path | None = Field(
        None, description="sign.key of `skywhistle keys`, mode 600; none: nothing is signed"
    )


class DeskConfig(Table):
    """What only the desk reads."""

    ack_key_file: Path | None = Field(
        None, description="ack.key of `skywhistle keys`, mode 600: acks are signed; none: not"
    )
    drone_keys: Path | None = Field(
        None, description="folder with <drone>.pub: from such a drone only what it signed is taken"
    )


class CommandsConfig(Table):
    """Whose commands are obeyed."""

    keys: tuple[Path, ...] = Field(
        (), description="public keys, PEM; none: no command is obeyed. `skywhistle keys` makes them"
    )


class AcksConfig(Table):
    """Whose acks are believed."""

    keys: tuple[Path, ...] = Field(
        (),
        description="public keys, PEM, ack.pub of `skywhistle keys`; none: anybody's at the broker",
    )


class MailboxConfig(Table):
    """The file between flight and uplink."""

    path: Path = Path("var/mailbox.db")
    max_mb: Positive = 64.0
    disk_mb: Positive = Field(
        320.0, description="of the disk for this file and the pictures together: they make way"
    )
    validity_s: Positive = Field(7 * 86400.0, description="after which a message is worthless")


class EvidenceConfig(Table):
    """Pictures of findings."""

    enabled: bool = True
    folder: Path = Path("var/evidence")
    max_kb: float = Field(10.0, gt=0.5, le=10.0)
    max_mb: Positive = 256.0


class PrivacyConfig(Table):
    """What of bystanders may be kept."""

    max_detail_cm: Positive | None = Field(
        10.0,
        description="outside the finding pictures are kept no finer than this on the ground, "
        "centimetres a pixel; a licence plate needs about 2",
    )
    originals_key: Path | None = Field(
        None, description="originals.pub of `skywhistle keys`: whole frames are held, sealed to it"
    )
    keep_originals_days: Positive = 30.0
    originals_max_mb: Positive = Field(
        512.0, description="at most, within mailbox.disk_mb: they make way before pictures do"
    )


class StatusConfig(Table):
    """What the drone says of itself."""

    interval_s: Positive = 10.0
