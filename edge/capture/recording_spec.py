"""`flight.toml` as types: what a recorded flight consists of, and how its frames get their times.

The format carries a version; what is added to it is optional, so that old folders stay readable.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT = 1
# Logs that a link's recorder wrote hold several senders; any other is of one vehicle.
LINK_SUFFIXES = frozenset({".tlog", ".mavlink"})
SUBTITLE_SUFFIX = ".srt"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FlightCamera(_Table):
    """A camera of a recorded flight: pictures, their times, and how it looked at the world."""

    id: str
    video: Path | None = None
    stills: str | None = Field(None, description="glob, e.g. *.jpg")
    frames: Path | None = Field(None, description="CSV: frame,utc_us in the log's record time")
    calibration: Path
    mount: Path
    latency_s: float = 0.0
    latency_sigma_s: float = Field(0.02, ge=0.0)

    @model_validator(mode="after")
    def _one_kind_of_picture(self) -> FlightCamera:
        if (self.video is None) == (self.stills is None):
            raise ValueError("a camera has either `video` or `stills`")
        parts = Path("*" if self.stills is None else self.stills).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in str(self.stills):
            raise ValueError("`stills` is a pattern of files in the flight's own folder: *.jpg")
        if any("**" in part and part != "**" for part in parts):
            raise ValueError("`**` in `stills` stands for folders, alone between slashes")
        return self


class FlightTelemetry(_Table):
    """The log and whose messages in it count; or the stills, where each tells its own pose."""

    log: Path | None = Field(None, description=".tlog, .BIN, .log, .ulg or .SRT")
    stills: bool = Field(False, description="poses are in the stills' EXIF and XMP")
    home_amsl_m: float | None = Field(
        None, description="take-off place in the absolute heights of an .SRT or of stills"
    )
    system_id: int = Field(1, ge=1, le=255)
    component_id: int = Field(1, ge=1, le=255)
    gimbal_component_id: int = Field(1, ge=1, le=255)

    @model_validator(mode="after")
    def _one_kind_of_telemetry(self) -> FlightTelemetry:
        if (self.log is None) == (not self.stills):
            raise ValueError("telemetry is either `log` or `stills = true`")
        ids = (self.system_id, self.component_id, self.gimbal_component_id)
        if self.suffix not in LINK_SUFFIXES and ids != (1, 1, 1):
            raise ValueError(
                "system_id and component ids belong to a .tlog: others have one sender"
            )
        return self

    @property
    def suffix(self) -> str:
        """The log's kind, in small letters; "" where the stills tell."""
        return self.log.suffix.lower() if self.log is not None else ""


class FlightTime(_Table):
    """How a frame gets its time on the log's record clock."""

    rule: Literal["frame_times", "filename", "start_utc", "srt", "exif"] = "frame_times"
    pattern: str | None = Field(None, description="strptime of a still's file name; UTC")
    start_utc: datetime | None = Field(None, description="of the video's first frame")
    offset_s: float = Field(0.0, description="added to every frame's time")
    utc_offset_h: float = Field(
        0.0, ge=-14.0, le=14.0,
        description="what a camera's clock that names no zone is ahead of UTC",
    )  # fmt: skip

    @model_validator(mode="after")
    def _rule_has_its_key(self) -> FlightTime:
        needed = {"filename": "pattern", "start_utc": "start_utc"}.get(self.rule)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"time rule {self.rule!r} needs `{needed}`")
        return self


class FlightGround(_Table):
    """The ground that was flown over, as far as the recording knows it."""

    home_offset_m: float = Field(0.0, description="ground above home, where home is not on it")
    terrain: Path | None = Field(
        None, description="terrain tile, NAME.npz; used as the config says"
    )


class _FileRef(_Table):
    file: Path


class _ConfigRef(_Table):
    config: Path


class FlightDistrict(_Table):
    """What is known of the place that was flown over."""

    permitted: Path | None = Field(None, description="register of what stands with leave")


class FlightSpec(_Table):
    """`flight.toml` as types."""

    format: Literal[1]
    name: str
    camera: tuple[FlightCamera, ...] = Field(min_length=1)
    telemetry: FlightTelemetry
    time: FlightTime = FlightTime()
    ground: FlightGround = FlightGround()
    district: FlightDistrict = FlightDistrict()
    truth: _FileRef | None = None
    patrol: _ConfigRef | None = None
    sim: dict[str, Any] = Field(default_factory=dict, description="where it came from")

    @model_validator(mode="after")
    def _times_fit_the_telemetry(self) -> FlightSpec:
        if self.time.rule == "srt" and self.telemetry.suffix != SUBTITLE_SUFFIX:
            raise ValueError("time rule 'srt' needs telemetry.log to be the video's .SRT")
        if not self.telemetry.stills:
            return self
        if len(self.camera) != 1 or self.camera[0].stills is None or self.time.rule != "exif":
            raise ValueError(
                "telemetry.stills is of one camera with `stills`, and of time rule 'exif'"
            )
        if self.camera[0].latency_s != 0.0 or self.time.offset_s != 0.0:
            raise ValueError(
                "a still that tells its own pose tells it of its own instant: leave out "
                "latency_s and time.offset_s"
            )
        return self
