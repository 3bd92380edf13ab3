"""The operator's one file, `patrol.toml`, as types.  `settings.py` reads the file.

Relative paths are relative to the config file; `read_patrol` makes them absolute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edge.config_delivery import (
    AcksConfig,
    CommandsConfig,
    DeskConfig,
    EvidenceConfig,
    MailboxConfig,
    MqttConfig,
    PrivacyConfig,
    SigningConfig,
    StatusConfig,
)
from edge.config_table import Fraction, Name, NotNegative, Positive, Table
from edge.toml_file import law_broken


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
    crop_px: tuple[int, int, int, int] | None = Field(
        None, description="part of the calibrated picture that is flown: left, top, width, height"
    )
    zoom: float = Field(1.0, ge=1.0, description="digital, about the middle of that part")
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
    signing_key_file: Path | None = Field(
        None,
        description="MAVLink 2 signing: 64 hex digits, mode 600; nothing else is believed then",
    )
    signing_link_id: int = Field(1, ge=0, le=255, description="of this link, in its signatures")


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
    """One-sigma error budget where the telemetry gives none, and how long each error lasts."""

    gnss_h_m: Positive = 1.5
    height_m: Positive = 3.0
    tilt_deg: Positive = Field(
        0.7, description="the autopilot's roll and pitch; a stabilised gimbal does not feel them"
    )
    tilt_look_deg: Positive = Field(0.3, description="differs from look to look")
    heading_deg: Positive = 2.0
    heading_look_deg: Positive = 0.3
    gimbal_deg: NotNegative = Field(0.5, description="what a gimbal reports of its roll and pitch")
    gimbal_yaw_deg: NotNegative = Field(0.5, description="and of its yaw, beside the heading")
    box_px: Positive = Field(3.0, description="where in the picture the thing stands")
    gnss_lasts_s: Positive = Field(
        120.0, description="time in which an error becomes another (correlation time)"
    )
    height_lasts_s: Positive = Field(200.0, description="barometer and GNSS height")
    heading_lasts_s: Positive = Field(
        400.0, description="compass: most of its error stays through a flight"
    )
    tilt_lasts_s: Positive = Field(15.0, description="the autopilot's roll and pitch")
    gimbal_lasts_s: Positive = 60.0
    min_depression_deg: Positive = Field(15.0, le=90, description="below: low grazing")
    max_slant_m: Positive = 800.0


class GroundConfig(Table):
    """Which surface pixels are projected to."""

    source: Literal["auto", "terrain_tile", "terrain_report", "rangefinder", "home"] = Field(
        "auto",
        description="auto: at each instant the first that is there, in this order: the tile "
        "`terrain`, where one is named, home is known and both lie on it; TERRAIN_REPORT; the "
        "rangefinder; level ground at home's height",
    )
    terrain: Path | None = Field(
        None, description="tile that `skywhistle terrain import` wrote, NAME.npz"
    )
    home_offset_m: float = Field(0.0, description="ground above home, where it is known")
    terrain_sigma_m: NotNegative = Field(1.0, description="one sigma of the tile's heights")
    above_home_sigma_m: NotNegative = Field(
        2.0, description="one sigma of the height above home, with a tile: the barometer's drift"
    )

    @model_validator(mode="after")
    def _tile_is_named(self) -> GroundConfig:
        if self.source == "terrain_tile" and self.terrain is None:
            raise ValueError(
                'source "terrain_tile" needs `terrain`, a tile that `skywhistle terrain import` '
                "wrote"
            )
        return self


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
    max_ce90_m: Positive | None = Field(
        None, description="a place whose 90 % circle is wider is vague; none: no place is"
    )
    if_vague: Literal["send", "coarse", "hold"] = Field(
        "coarse",
        description="a vague place is sent as it is; sent and flagged coarse; or held until other "
        "looks make it better, and at the flight's end sent and flagged coarse",
    )


class AssociationConfig(Table):
    """When two sightings are one thing."""

    gate_sigma: Positive = Field(3.0, description="of the error that differs between looks")
    min_gate_m: Positive = Field(2.0, description="never gate tighter than this")
    new_pass_after_s: Positive = Field(20.0, description="unseen this long: another pass")
    bias_floor_m: NotNegative = Field(
        0.3, description="one sigma; no fused ellipse is narrower, whatever the budget says"
    )
    forget_tentative_s: Positive = 60.0
    max_incidents: int = Field(2000, ge=10)


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
    commands: CommandsConfig = CommandsConfig()
    acks: AcksConfig = AcksConfig()
    signing: SigningConfig = SigningConfig()
    desk: DeskConfig = DeskConfig()
    mailbox: MailboxConfig = MailboxConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    privacy: PrivacyConfig = PrivacyConfig()
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
