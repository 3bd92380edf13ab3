"""What depends on the local plane, and so on the first fix: places, zones, rules, incidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge.config import CameraConfig, PatrolConfig
from edge.geo.camera import flown_intrinsics
from edge.geo.delay_watch import DelayWatch, WatchedCamera
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import read_mount
from edge.geo.place import places_of_labels
from edge.geo.plane import LocalPlane, keep_origin, known_origin, load_or_create_origin
from edge.geo.terrain import tile_of
from edge.labels import refuse_unknown_labels
from edge.patrol import snapshot
from edge.patrol.codes import read_event_codes
from edge.patrol.grid import Grid
from edge.patrol.incidents import Incidents
from edge.patrol.register import Register
from edge.patrol.rules import RuleBook, Rules
from edge.patrol.snapshot import NotRestored, Restored
from edge.patrol.zones import Zones
from edge.records import (
    Detection,
    Frame,
    Incident,
    MonoNs,
    NoGeotag,
    NoPose,
    Pose,
    Sighting,
    UtcTime,
    Xyxy,
)
from edge.settings import Settings
from edge.vision.manifest import ModelManifest, read_manifest

INCIDENTS_FILE = "incidents.json"


@dataclass(frozen=True, slots=True)
class District:
    """The patrolled place: its plane, what locates in it, what counts in it, what is known."""

    plane: LocalPlane
    locators: Mapping[str, Locator]
    rules: Rules
    incidents: Incidents
    restored: Restored | NotRestored

    def locate(
        self, detections: Sequence[Detection], frame: Frame, pose: Pose
    ) -> list[Sighting | Unlocated]:
        """Give each detection its place, or the reason why it has none."""
        return self.locators[frame.camera_id].locate(detections, frame, pose)

    def finest_gsd(self, part: Xyxy, frame: Frame, pose: Pose) -> float | None:
        """Return how fine a part of a frame shows the ground, m per px; None: not known."""
        finest = self.locators[frame.camera_id].finest_gsd(
            part, (frame.width_px, frame.height_px), pose
        )
        return None if isinstance(finest, NoGeotag) else finest

    def settle_times(self, utc: Callable[[MonoNs], UtcTime]) -> None:
        """Learn, as soon as UTC is known, how long ago the earlier flight was."""
        if isinstance(self.restored, Restored):
            self.restored.settle(self.incidents, utc(MonoNs(self.restored.mono_ns)))

    def knows_time_of(self, incident: Incident) -> bool:
        """Say whether the instant of the best look is one in this flight's time."""
        return not isinstance(self.restored, Restored) or self.restored.knows_time_of(incident)

    def reload(self, patrol: PatrolConfig, book: RuleBook) -> None:
        """Fly on with other rules, and with what they say about where a label stands."""
        self.rules.reload(book)
        for locator in self.locators.values():
            locator.places = places_of_labels(patrol.rule)


def open_district(
    settings: Settings, pose: Pose, utc: UtcTime, new_id: Callable[[], bytes]
) -> District:
    """Open the district where the first pose is, with the incidents of earlier flights."""
    patrol = settings.patrol
    plane = load_or_create_origin(patrol.state_dir, patrol.district, (pose.lat_deg, pose.lon_deg))
    incidents = Incidents(patrol.association, new_id, patrol.accuracy)
    restored = snapshot.load(
        patrol.state_dir / INCIDENTS_FILE,
        incidents,
        pose.mono_ns,
        utc=utc,
        plane=_name_of(plane),
    )
    return District(
        plane=plane,
        locators={camera.id: _locator(camera, patrol, plane) for camera in patrol.camera},
        rules=Rules(rule_book(patrol, plane, utc.utc_ns)),
        incidents=incidents,
        restored=restored,
    )


def save_incidents(
    settings: Settings, district: District, mono_ns: MonoNs, utc_ns: int | None
) -> None:
    """Write the incidents to the state folder, and the origin that they are relative to.

    Raises:
        SkywhistleError: The disk refuses.
    """
    keep_origin(settings.patrol.state_dir, settings.patrol.district, district.plane)
    snapshot.save(
        settings.patrol.state_dir / INCIDENTS_FILE,
        district.incidents,
        mono_ns,
        utc_ns=utc_ns,
        plane=_name_of(district.plane),
    )


def _name_of(plane: LocalPlane) -> str:
    """Name a plane by its origin: incidents kept in another plane are of no use in this one."""
    return f"{plane.origin_lat_deg:.9f},{plane.origin_lon_deg:.9f}"


def read_inputs(patrol: PatrolConfig) -> dict[str, ModelManifest]:
    """Read every file that the config names, models' weights aside, and return the manifests.

    What could only fail at the first pose, or after a model has loaded, is refused here.

    Returns:
        The manifest of each camera's model, by camera id.

    Raises:
        ConfigError: A calibration, mount, zone, grid or code file, or the kept origin, is not
            usable.
        TerrainError: The terrain tile is not.
        LabelError: A rule is on a label that no camera's model has.
        ModelManifestError: A model's folder has no manifest, or it says what cannot be.
    """
    for camera in patrol.camera:
        flown_intrinsics(camera)
        read_mount(camera.mount)
    rule_book(patrol, None)  # reads zones, grid and codes
    known_origin(patrol.state_dir, patrol.district)
    tile_of(patrol.ground.terrain)
    manifests = {camera.id: read_manifest(camera.model) for camera in patrol.camera}
    refuse_unknown_labels(patrol, (one.labels for one in manifests.values()))
    return manifests


def rule_book(
    patrol: PatrolConfig, plane: LocalPlane | None, utc_ns: int | None = None
) -> RuleBook:
    """Read the rules with all that they refer to.

    Args:
        patrol: Rules, zones, and the district's files.
        plane: The district's; None before the first fix: the book is good for checking only.
        utc_ns: Now, so that permits which have run out permit nothing.

    Raises:
        ConfigError: A zone, grid or code file is not usable.
    """
    district = patrol.district
    flat = _degrees if plane is None else plane.enu_from_geodetic
    return RuleBook(
        rules=patrol.rule,
        zones=Zones.read(patrol.zone, flat),
        grid=Grid.read(district.grid, district.grid_id_property, flat),
        codes=read_event_codes(district.event_codes),
        register=Register.read(
            district.permitted, flat, 0.0 if plane is None else district.permitted_margin_m, utc_ns
        ),
    )


def _degrees(lat_deg: float, lon_deg: float) -> tuple[float, float]:
    """Stand in for a plane that is not known yet: any one would fold what is far from it."""
    return (lon_deg, lat_deg)


def delay_watches(
    patrol: PatrolConfig, poses_at: Callable[[MonoNs], Pose | NoPose]
) -> dict[str, DelayWatch]:
    """Make the watch over each camera's delay, by camera id."""
    return {
        camera.id: DelayWatch(
            WatchedCamera(
                camera.id,
                flown_intrinsics(camera),
                read_mount(camera.mount),
                camera.latency_s,
                camera.latency_sigma_s,
            ),
            poses_at,
        )
        for camera in patrol.camera
    }


def _locator(camera: CameraConfig, patrol: PatrolConfig, plane: LocalPlane) -> Locator:
    return Locator(
        flown_intrinsics(camera),
        read_mount(camera.mount),
        plane,
        accuracy=patrol.accuracy,
        ground=patrol.ground,
        terrain=tile_of(patrol.ground.terrain),
        places=places_of_labels(patrol.rule),
    )
