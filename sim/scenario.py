"""A scenario: which district, which flight over it, which camera, how wrong the instruments are."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from edge.errors import ScenarioError
from edge.toml_file import law_broken, read_toml
from sim.camera import CameraModel
from sim.camera_shutter import Shutter
from sim.faults.timeline import Fault, FaultKind, Timeline
from sim.vehicle.mount import MountKind
from sim.vehicle.noise import NoiseKnobs, knobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin
from sim.world.distractors import DISTRACTORS
from sim.world.district import DEFAULT_COUNTS
from sim.world.families import FAMILIES
from sim.world.layout import HALF_M
from sim.world.terrain import MOST_RELIEF_M
from sim.world.violations import VIOLATIONS

SHIPPED = Path(__file__).resolve().parent / "scenarios"
CALIBRATION = Path(__file__).resolve().parents[1] / "calibration"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorldTable(_Table):
    """Which district is drawn."""

    family: str
    counts: dict[str, int] = Field(default_factory=lambda: dict(DEFAULT_COUNTS))
    violations: bool = Field(True, description="false: nothing that asks for an alert")

    relief_m: float = Field(
        0.0, ge=0, le=MOST_RELIEF_M, description="from the lowest to the highest ground"
    )

    @field_validator("family")
    @classmethod
    def _known_family(cls, family: str) -> str:
        if family not in FAMILIES:
            raise ValueError(f"there is no family {family!r}; there are {', '.join(FAMILIES)}")
        return family

    @field_validator("counts")
    @classmethod
    def _known_counts(cls, counts: dict[str, int]) -> dict[str, int]:
        for name, count in counts.items():
            known = [*VIOLATIONS, *DISTRACTORS]
            if name not in known:
                raise ValueError(f"nothing is called {name!r}; there are {', '.join(known)}")
            if not 0 <= count <= 200:
                raise ValueError(f"{name} must be in [0, 200], got {count}")
        return counts

    def placed(self) -> dict[str, int]:
        """Return how many of each find to try to place."""
        keep = self.counts.items()
        return {name: n for name, n in keep if self.violations or name not in VIOLATIONS}


class OriginTable(_Table):
    """Where on Earth the district lies, and its streets' height."""

    lat_deg: float = Field(31.4912, ge=-80, le=80)
    lon_deg: float = Field(120.3119, ge=-180, le=180)
    amsl_m: float = Field(4.2, ge=-400, le=5000)
    geoid_m: float = Field(10.6, ge=-110, le=90)


class CameraTable(_Table):
    """What looks down, and how its video is made."""

    calibration: str = "sim-720p"
    rate_hz: float = Field(5.0, gt=0, le=60)
    exposure: float = Field(1.15, gt=0.1, le=4)
    exposure_s: float = Field(0.004, ge=0, le=0.1)
    exposure_hunt: float = Field(
        0.02, ge=0, le=0.5, description="how far automatic exposure swings, share of the gain"
    )
    rolling_shutter_s: float = Field(
        0.0, ge=0, le=0.1, description="from the first row read to the last; 0 is a global shutter"
    )
    noise: float = Field(1.5, ge=0, le=40, description="grey levels, one sigma")
    quality_crf: int = Field(
        28, ge=10, le=45, description="of the H.264 encoder; higher is smaller"
    )
    bit_rate_mbps: float | None = Field(
        None, ge=0.5, le=20, description="H.264 at this mean rate instead of a constant quality"
    )
    stream_hz: float = Field(
        25.0, ge=1, le=120, description="frames a second that bit_rate_mbps is shared by"
    )
    latency_s: float = Field(
        0.0, ge=0, le=5, description="of the video: what the frame list's times are late by"
    )
    mount: MountKind = MountKind.STABILISED_GIMBAL
    lever_arm_m: tuple[float, float, float] = (0.08, 0.0, 0.12)
    askew_deg: tuple[float, float, float] = Field(
        (0.0, 0.0, 0.0),
        description="how it truly sits on its mount: roll, pitch, yaw; mount.toml does not tell",
    )


class FlightTable(_Table):
    """The lawn-mower pattern."""

    start_east_m: float = Field(ge=-HALF_M, le=HALF_M)
    start_north_m: float = Field(ge=-HALF_M, le=HALF_M)
    heading_deg: float = 0.0
    lanes: int = Field(4, ge=1, le=40)
    lane_m: float = Field(140.0, gt=20, le=2 * HALF_M)
    gap_m: float = Field(45.0, ge=-200, le=200)
    height_m: float = Field(60.0, ge=30, le=150)
    speed_mps: float = Field(8.0, gt=0.5, le=20)
    gimbal_pitch_deg: float = Field(-65.0, ge=-90, le=-30)
    crossed: bool = Field(False, description="the pattern again, across the first lanes")
    again_pitch_deg: float | None = Field(
        None, ge=-90, le=-30, description="all of it a second time, with this gimbal_pitch_deg"
    )


class FaultTable(_Table):
    """One thing that goes wrong under way."""

    kind: FaultKind
    at_s: float = Field(ge=0, le=36_000)
    for_s: float = Field(gt=0, le=36_000)
    by_s: float = Field(0.0, ge=-1e10, le=1e10)

    @model_validator(mode="after")
    def _can_be(self) -> FaultTable:
        self.fault()
        return self

    def fault(self) -> Fault:
        """Return it as the simulator takes it.  Raises ValueError."""
        return Fault(self.kind, self.at_s, self.for_s, self.by_s)


class NoiseTable(BaseModel):
    """A preset, and the knobs that are turned from it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    preset: str = "typical"


class Scenario(_Table):
    """One scenario; any seed may be flown in it."""

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    start_utc: datetime = datetime(2026, 5, 12, 2, 0, tzinfo=timezone.utc)
    world: WorldTable
    origin: OriginTable = OriginTable()
    camera: CameraTable = CameraTable()
    flight: FlightTable
    noise: NoiseTable = NoiseTable()
    fault: tuple[FaultTable, ...] = ()
    seeds: tuple[int, ...] = Field((), description="those that an exam flies")

    @field_validator("seeds")
    @classmethod
    def _seeds_are_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if any(seed < 0 for seed in seeds) or len(set(seeds)) != len(seeds):
            raise ValueError("seeds must be different whole numbers from 0 up")
        return seeds

    @model_validator(mode="after")
    def _stays_over_the_district(self) -> Scenario:
        corners = self.plan().waypoints()
        beyond = float(abs(corners).max())
        if beyond > HALF_M:
            raise ValueError(
                f"the pattern's corners reach {beyond:.0f} m from the district's centre, which "
                f"ends at {HALF_M:.0f} m; shorten lane_m, gap_m or lanes, or move start"
            )
        return self

    @model_validator(mode="after")
    def _faults_fit_together(self) -> Scenario:
        self.faults()
        return self

    @model_validator(mode="after")
    def _noise_is_known(self) -> Scenario:
        try:
            self.knobs()
        except ValueError as error:
            raise law_broken(("noise",), str(error)) from error
        return self

    def faults(self) -> Timeline:
        """Return what goes wrong, and when."""
        return Timeline(tuple(table.fault() for table in self.fault))

    def shutter(self) -> Shutter:
        """Return when the rows of a picture see the light."""
        return Shutter(self.camera.exposure_s, self.camera.rolling_shutter_s)

    def knobs(self) -> NoiseKnobs:
        """Return the noise knobs.  Raises ValueError for an unknown preset or knob."""
        return knobs(self.noise.preset, dict(self.noise.model_extra or {}))

    def plan(self, home_up_m: float = 0.0) -> FlightPlan:
        """Return the pattern as the vehicle flies it from a home of some height."""
        flight = self.flight
        return FlightPlan(
            (flight.start_east_m, flight.start_north_m),
            flight.heading_deg,
            flight.lanes,
            flight.lane_m,
            flight.gap_m,
            flight.height_m,
            flight.speed_mps,
            flight.gimbal_pitch_deg,
            self.camera.mount,
            home_up_m,
            is_crossed=flight.crossed,
            again_pitch_deg=flight.again_pitch_deg,
            askew_deg=self.camera.askew_deg,
        )

    def place(self) -> Origin:
        """Return where on Earth it is."""
        return Origin(
            self.origin.lat_deg, self.origin.lon_deg, self.origin.amsl_m, self.origin.geoid_m
        )

    def camera_file(self) -> Path:
        """Return the calibration file of the camera."""
        return CALIBRATION / "cameras" / f"{self.camera.calibration}.toml"

    def camera_model(self) -> CameraModel:
        """Load the camera.  Raises CalibrationError."""
        return CameraModel.load(self.camera_file())


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read a scenario, by the name of a shipped one or by its path.

    Raises:
        ScenarioError: It is missing, is no TOML, or says what cannot be; the message names line and
            key.
    """
    path = Path(name_or_path)
    if not path.suffix:
        path = SHIPPED / f"{name_or_path}.toml"
    known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
    return read_toml(path, ScenarioError, f"shipped are: {known}").into(Scenario)
