"""The operator's one file, `patrol.toml`, as types.  `settings.py` reads the file.

Relative paths are relative to the config file; `read_patrol` makes them absolute.
"""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge.toml_file import law_broken

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,32}$"


def _in_words(name: Any) -> Any:
    """Refuse what is no name before the library does, which would show the pattern."""
    if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) is None:
        raise ValueError("a name has letters, digits, _ and - only, 1 to 32 of them")
    return name


Name = Annotated[str, Field(pattern=NAME_PATTERN), BeforeValidator(_in_words)]


def _plain_type(annotation: Any) -> Any:
    """Return the type beside None of an optional field's annotation; any other as it is."""
    inner = [one for one in typing.get_args(annotation) if one is not type(None)]
    if type(None) not in typing.get_args(annotation) or len(inner) != 1:
        return annotation
    return typing.get_args(inner[0])[0] if typing.get_origin(inner[0]) is Annotated else inner[0]


class Table(BaseModel):
    """A TOML table: unknown keys refused, values fixed once read, text no number and no switch."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_of_its_own_kind(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would convert: `tls = "no"` is a mistake that would fly.

        Not its strict mode: that refuses a TOML list for a tuple and text for a path, too.
        """
        plain = _plain_type(cls.model_fields[str(info.field_name)].annotation)
        if plain is bool and not isinstance(value, bool):
            raise ValueError("write true or false, without quotes")
        if plain in {int, float} and isinstance(value, (str, bool)):
            raise ValueError("write a number, without quotes")
        return value


class DistrictConfig(Table):
    """The place that is patrolled."""

    origin_lat_deg: float | None = Field(
        None, ge=-90, le=90, description="origin of the local plane; else the first fix ever"
    )
    origin_lon_deg: float | None = Field(None, ge=-180, le=180)
    grid: Path | None = Field(None, description="GeoJSON polygons with the cell ids")
    grid_id_property: str = Field("id", description="property of a grid polygon that is its id")
    event_codes: Path | None = Field(None, description="TOML: label = event code of this city")
    permitted: Path | None = Field(
        None, description="GeoJSON polygons of what stands with leave: id, label, valid_until"
    )
    permitted_margin_m: NotNegative = Field(
        2.5, description="that a permit reaches beyond them, beside one sigma of the place"
    )

    @model_validator(mode="after")
    def _origin_is_whole(self) -> DistrictConfig:
        if (self.origin_lat_deg is None) != (self.origin_lon_deg is None):
            raise ValueError("origin_lat_deg and origin_lon_deg go together")
        return self


class TilesConfig(Table):
    """Looking at a frame in overlapping tiles: small things from high up, at that many times the
    inferences.
    """

    columns: int = Field(2, ge=1, le=8)
    rows: int = Field(2, ge=1, le=8)
    overlap: float = Field(
        0.2, ge=0.0, le=0.5, description="of neighbours, share of a side; not less than a thing"
    )
    and_whole: bool = Field(True, description="the whole frame too, for what is larger than a tile")
    from_agl_m: NotNegative = Field(
        0.0,
        description="flown lower, the whole frame alone; home's ground where no terrain is told",
    )


class CameraConfig(Table):
    """One camera: its source, model, calibration and mount."""

    id: Name
    source: str = Field(
        description="mavlink, rtsp://…, udp://:5600, v4l2:///dev/video0, csi://0, gst:…, "
        "a video file or a folder of stills"
    )
    model: Path = Field(description="folder with model.toml")
    calibration: Path
    mount: Path
    latency_s: float = Field(0.0, ge=-5.0, le=10.0, description="glass to buffer timestamp")
    latency_sigma_s: NotNegative = 0.02
    max_rate_hz: Positive = Field(30.0, description="frames a second at most that are looked at")
    tiles: TilesConfig | None = Field(None, description="none: the whole frame at once")
    encoding: Literal["auto", "h264", "h265"] = Field("auto", description="of bare RTP")
    jitter_s: float = Field(
        0.1, ge=0.0, le=5.0, description="how long RTP packets may wait to be put in order"
    )
    stale_after_s: Positive = Field(3.0, description="no new picture this long: reconnect")
    frozen_after_s: Positive = Field(5.0, description="the same picture this long: reconnect")
    mavlink_stream: int = Field(0, ge=0, le=255, description="which announced stream; 0: first")


class AutopilotConfig(Table):
    """The MAVLink link."""

    url: str = Field("udpin:0.0.0.0:14550", description="a pymavlink string, or serial device")
    baud: int = Field(921600, ge=1200)
    system_id: int = Field(1, ge=1, le=255, description="the vehicle whose state is taken")
    component_id: int = Field(1, ge=1, le=255, description="the autopilot")
    own_component_id: int = Field(191, ge=1, le=255)
    gimbal_component_id: int = Field(
        1, ge=1, le=255, description="whose gimbal attitude is used: the relay (1) or gimbal (154)"
    )
    rates_hz: dict[str, Positive] = Field(
        default_factory=lambda: {
            "ATTITUDE": 30.0,
            "GLOBAL_POSITION_INT": 10.0,
            "GPS_RAW_INT": 5.0,
            "SYSTEM_TIME": 1.0,
            "EKF_STATUS_REPORT": 2.0,
            "GIMBAL_DEVICE_ATTITUDE_STATUS": 10.0,
            "RANGEFINDER": 5.0,
            "TERRAIN_REPORT": 1.0,
        },
        description="messages asked for, and how often",
    )
    statustext: bool = Field(False, description="one STATUSTEXT for each new alert")
    statustext_min_interval_s: Positive = 5.0
    silent_after_s: Positive = Field(3.0, description="no heartbeat this long: link lost")


class InferenceConfig(Table):
    """ONNX Runtime."""

    providers: tuple[Literal["tensorrt", "cuda", "cpu"], ...] = Field(
        ("cpu",), description="best first", json_schema_extra={"minItems": 1}
    )
    threads: int = Field(2, ge=1, le=64)
    spinning: bool = Field(False, description="threads that spin burn a third more CPU")

    @field_validator("providers")
    @classmethod
    def _names_a_provider(cls, providers: tuple[str, ...]) -> tuple[str, ...]:
        if not providers:
            raise ValueError(
                'name at least one, best first; "cpu" is on every computer: ["cpu"], or leave '
                "the line out"
            )
        return providers


class AccuracyConfig(Table):
    """One-sigma error budget where the telemetry gives none (FIELD-NOTES section 2)."""

    gnss_h_m: Positive = 1.5
    height_m: Positive = 3.0
    tilt_deg: Positive = Field(0.7, description="shared by the looks of one pass")
    tilt_look_deg: Positive = Field(0.3, description="differs from look to look")
    heading_deg: Positive = 2.0
    heading_look_deg: Positive = 0.3
    box_px: Positive = Field(3.0, description="where in the picture the thing stands")
    min_depression_deg: Positive = Field(15.0, le=90, description="below: low grazing")
    max_slant_m: Positive = 800.0


class GroundConfig(Table):
    """Which surface pixels are projected to."""

    source: Literal["auto", "home", "rangefinder", "terrain_report"] = "auto"
    home_offset_m: float = Field(0.0, description="ground above home, where it is known")


class ZoneConfig(Table):
    """A named set of polygons."""

    name: Name
    file: Path = Field(description="GeoJSON; every polygon in it belongs to the zone")


class RuleConfig(Table):
    """What counts as a violation, and whose it is."""

    name: Name
    labels: tuple[str, ...] = Field(min_length=1)
    min_score: Fraction = Field(0.3, description="a detection below is not looked at")
    threshold: Fraction = Field(0.5, description="the median of the looks must reach it")
    min_looks: int = Field(4, ge=1)
    min_size_m: NotNegative = 0.0
    max_size_m: Positive | None = None
    inside: tuple[str, ...] = Field((), description="zones; in any of them")
    outside: tuple[str, ...] = Field((), description="zones; in none of them")
    near: str | None = Field(None, description="zone")
    near_m: Positive = Field(10.0, description="how near")
    cooldown_s: NotNegative = Field(30.0, description="between two updates of one incident")
    end_after_s: Positive | None = Field(
        None, description="seen no more for this long: `end`; none: only at the flight's end"
    )
    severity: int = Field(3, ge=1, le=4)
    department: str = Field("", max_length=16)
    event_code: str = Field("", max_length=8, description="else from district.event_codes")
    place: Literal["auto", "base", "centre"] = "auto"


class AssociationConfig(Table):
    """When two sightings are one thing."""

    gate_sigma: Positive = Field(3.0, description="of the error that differs between looks")
    min_gate_m: Positive = Field(2.0, description="never gate tighter than this")
    new_pass_after_s: Positive = Field(20.0, description="unseen this long: another pass")
    bias_floor_m: NotNegative = Field(0.3, description="no fused ellipse is smaller")
    forget_tentative_s: Positive = 60.0
    max_incidents: int = Field(2000, ge=10)


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


class StatusConfig(Table):
    """What the drone says of itself."""

    interval_s: Positive = 10.0


class PatrolConfig(Table):
    """The whole of `patrol.toml`."""

    drone_id: Name
    state_dir: Path = Path("var")
    camera: tuple[CameraConfig, ...] = Field(min_length=1)
    rule: tuple[RuleConfig, ...] = Field(min_length=1)
    zone: tuple[ZoneConfig, ...] = ()
    district: DistrictConfig = DistrictConfig()
    autopilot: AutopilotConfig = AutopilotConfig()
    inference: InferenceConfig = InferenceConfig()
    accuracy: AccuracyConfig = AccuracyConfig()
    ground: GroundConfig = GroundConfig()
    association: AssociationConfig = AssociationConfig()
    mqtt: MqttConfig = MqttConfig()
    mailbox: MailboxConfig = MailboxConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    status: StatusConfig = StatusConfig()

    @model_validator(mode="after")
    def _names_are_known_and_unique(self) -> PatrolConfig:
        if self.drone_id == "desk":
            raise ValueError("drone_id 'desk' is the command centre's own name; choose another")
        zones = {zone.name for zone in self.zone}
        for number, rule in enumerate(self.rule):
            _refuse_unknown_zones(rule, number, zones)
        for kind, names in (
            ("camera", [camera.id for camera in self.camera]),
            ("rule", [rule.name for rule in self.rule]),
            ("zone", [zone.name for zone in self.zone]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"two of [[{kind}]] have the same name: {sorted(names)}")
        return self


def _refuse_unknown_zones(rule: RuleConfig, number: int, zones: set[str]) -> None:
    near = () if rule.near is None else (rule.near,)
    for key, names in (("inside", rule.inside), ("outside", rule.outside), ("near", near)):
        if unknown := set(names) - zones:
            there = ", ".join(sorted(zones)) or "none"
            raise law_broken(
                ("rule", number, key),
                f"rule {rule.name!r} names zone {min(unknown)!r}, which no [[zone]] has "
                f"(there are: {there}); add that zone or correct the name",
            )
