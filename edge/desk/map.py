"""The picture of a flight: what the camera saw, where it flew, what was reported and where.

Everything is in metres east and north of one origin; the caller projects.  `matplotlib` is
imported on use: the aircraft does not carry it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge.extras import needs_extra
from edge.records import Ellipse, FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Sequence[tuple[float, float]]

COLOURS = {
    "structure": "#2b6cff",
    "discharge": "#b5532a",
    "floating_waste": "#00a3a3",
    "smoke": "#7a7a7a",
    "waste_pile": "#8a3ffc",
    "bare_soil": "#d29922",
    "open_pit": "#d6249f",
}
OTHER_COLOUR = "#d62728"
FOUND, MISSED, DISTRACTOR = "#1a9850", "#e31a1c", "#555555"


_M_PER_PX = 0.25  # of a mosaic; a wide flight's is coarser, for its memory
_MOSAIC_SIDE_PX = 2000.0


@dataclass(frozen=True, slots=True)
class MapAlert:
    """An incident as the map shows it."""

    label: str
    east_m: float
    north_m: float
    ellipse: Ellipse
    text: str = ""
    is_false: bool = False  # nothing of its class is there, where that is known


@dataclass(frozen=True, slots=True)
class MapOutline:
    """Something that is known to be there."""

    points: Points
    colour: str


@dataclass(frozen=True, slots=True)
class MapContents:
    """All that is drawn."""

    title: str
    subtitle: str
    track: Points
    footprints: Sequence[Points]
    alerts: Sequence[MapAlert]
    truth: Sequence[MapOutline] = ()
    distractors: Sequence[MapOutline] = ()
    mosaic: Mosaic | None = None


@dataclass(slots=True)
class Mosaic:
    """The frames of a flight laid on the ground, newest on top; a backdrop, not a survey."""

    west_m: float
    south_m: float
    east_m: float
    north_m: float
    m_per_px: float = _M_PER_PX
    _image: ImageArray = field(init=False)
    _weight: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        height = max(1, round((self.north_m - self.south_m) / self.m_per_px))
        width = max(1, round((self.east_m - self.west_m) / self.m_per_px))
        self._image = np.zeros((height, width, 3), np.uint8)
        self._weight = np.zeros((height, width))

    def lay(self, image_bgr: ImageArray, footprint: Points) -> None:
        """Lay a frame by its four corners on the ground: top left, top right, bottom right, left.

        Each place keeps the frame that saw it nearest to its middle, where the lens is best.
        """
        if len(footprint) != 4:
            return
        height, width = image_bgr.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        ground = np.array([self._pixel(point) for point in footprint], np.float32)
        mosaic_from_image = cv2.getPerspectiveTransform(corners, ground)
        size = (self._image.shape[1], self._image.shape[0])
        warped = cv2.warpPerspective(image_bgr, mosaic_from_image, size, flags=cv2.INTER_AREA)
        weight = cv2.warpPerspective(_nearness(width, height), mosaic_from_image, size)
        better = weight > self._weight
        self._image[better] = warped[better]
        self._weight[better] = weight[better]

    def rgba(self) -> ImageArray:
        """Return the mosaic, transparent where nothing was seen."""
        rgb = cv2.cvtColor(self._image, cv2.COLOR_BGR2RGB)
        alpha = np.where(self._weight > 0, 255, 0).astype(np.uint8)
        return np.dstack([rgb, alpha])

    def _pixel(self, point: tuple[float, float]) -> tuple[float, float]:
        return (
            (point[0] - self.west_m) / self.m_per_px,
            (self.north_m - point[1]) / self.m_per_px,
        )


def mosaic_of(
    frames: Sequence[tuple[ImageArray, Points]], footprints: Sequence[Points]
) -> Mosaic | None:
    """Lay frames on the ground that a flight saw; a wide flight is drawn coarser.

    Args:
        frames: Pictures with their four corners on the ground.
        footprints: Every frame's corners: what the mosaic spans.

    Returns:
        None where there is nothing to lay.
    """
    points = [point for footprint in footprints for point in footprint]
    if not points or not frames:
        return None
    east, north = zip(*points, strict=True)
    side_m = max(max(east) - min(east), max(north) - min(north))
    m_per_px = max(_M_PER_PX, side_m / _MOSAIC_SIDE_PX)
    mosaic = Mosaic(min(east), min(north), max(east), max(north), m_per_px)
    for image, footprint in frames:
        mosaic.lay(image, footprint)
    return mosaic


def _nearness(width: int, height: int) -> FloatArray:
    """Return 1 in the middle of a frame, falling to 0 at its edge; shape (height, width)."""
    u = 1.0 - np.abs(np.linspace(-1.0, 1.0, width))
    v = 1.0 - np.abs(np.linspace(-1.0, 1.0, height))
    return np.minimum.outer(v, u)


def draw_map(contents: MapContents, path: Path) -> None:
    """Draw the map into a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with needs_extra("demo", "map.png"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(13, 10), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.06, 0.06, 0.70, 0.84))
    _draw_ground(axes, contents)
    _draw_alerts(axes, contents.alerts)
    _draw_frame_of_reference(axes, contents)
    figure.text(0.06, 0.955, contents.title, fontsize=17, fontweight="bold")
    figure.text(0.06, 0.923, contents.subtitle, fontsize=10.5, color="#444444")
    if contents.mosaic is not None and contents.truth:
        told = "Outlines lie on the ground;\nroofs lean away from the camera."
        figure.text(0.785, 0.07, told, fontsize=9, color="#444444")
    axes.legend(
        handles=_legend(contents), loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_ground(axes: Axes, contents: MapContents) -> None:
    from matplotlib.patches import Polygon

    if (mosaic := contents.mosaic) is not None:
        extent = (mosaic.west_m, mosaic.east_m, mosaic.south_m, mosaic.north_m)
        axes.imshow(mosaic.rgba(), extent=extent, zorder=0, alpha=0.92, interpolation="bilinear")
    for footprint in contents.footprints:
        axes.add_patch(
            Polygon(list(footprint), closed=True, fill=False, ec="white", lw=0.5, alpha=0.45)
        )
    for outline in contents.distractors:
        axes.add_patch(
            Polygon(
                list(outline.points), closed=True, fill=False, ec=outline.colour, lw=1.0, ls=":"
            )
        )
    for outline in contents.truth:
        for colour, width in (("white", 4.0), (outline.colour, 2.0)):  # seen on green and blue, too
            axes.add_patch(
                Polygon(list(outline.points), closed=True, fill=False, ec=colour, lw=width)
            )
    if contents.track:
        east, north = zip(*contents.track, strict=True)
        axes.plot(east, north, color="#ffcc00", lw=1.6, zorder=4)
        axes.plot(east[0], north[0], "o", color="#ffcc00", ms=7, mec="black", zorder=5)


def _draw_alerts(axes: Axes, alerts: Sequence[MapAlert]) -> None:
    from matplotlib.patches import Ellipse as EllipsePatch

    for alert in alerts:
        colour = COLOURS.get(alert.label, OTHER_COLOUR)
        axes.add_patch(
            EllipsePatch(
                (alert.east_m, alert.north_m),
                width=2 * alert.ellipse.b_m,
                height=2 * alert.ellipse.a_m,
                angle=-alert.ellipse.azimuth_deg,  # drawn along north, then turned clockwise
                fc=colour,
                ec="white",
                alpha=0.45,
                lw=1.2,
                zorder=6,
            )
        )
        axes.plot(alert.east_m, alert.north_m, "o", ms=5.5, mfc=colour, mec="white", zorder=7)
        if alert.is_false:
            axes.plot(alert.east_m, alert.north_m, "x", ms=15, mew=2.6, color=MISSED, zorder=8)
        if alert.text:
            axes.annotate(
                alert.text,
                (alert.east_m, alert.north_m),
                xytext=(7, 6),
                textcoords="offset points",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.18", "fc": "white", "ec": colour, "alpha": 0.85},
                zorder=8,
            )


def _draw_frame_of_reference(axes: Axes, contents: MapContents) -> None:
    west, east, south, north = _bounds(contents)
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_aspect("equal")
    axes.set_facecolor("#eef0f2")
    axes.set_xlabel("east, m")
    axes.set_ylabel("north, m")
    axes.annotate(
        "N",
        xy=(0.965, 0.975),
        xytext=(0.965, 0.90),
        xycoords="axes fraction",
        ha="center",
        fontsize=13,
        fontweight="bold",
        arrowprops={"arrowstyle": "->", "lw": 2},
        bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.8},
    )


def _bounds(contents: MapContents) -> tuple[float, float, float, float]:
    margin_m = 8.0
    points = [*contents.track, *(p for footprint in contents.footprints for p in footprint)]
    points += [(alert.east_m, alert.north_m) for alert in contents.alerts]
    if not points:
        points = [(-50.0, -50.0), (50.0, 50.0)]
    east, north = zip(*points, strict=True)
    return min(east) - margin_m, max(east) + margin_m, min(north) - margin_m, max(north) + margin_m


def _legend(contents: MapContents) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    counts: dict[str, int] = {}
    for alert in contents.alerts:
        counts[alert.label] = counts.get(alert.label, 0) + 1
    entries: list[Any] = [Line2D([], [], color="#ffcc00", lw=2, label="ground track")]
    if contents.footprints:
        entries.append(Line2D([], [], color="#b8b8b8", lw=1, label="camera footprints"))
    if contents.truth:
        entries.append(Patch(fill=False, ec=FOUND, lw=2, label="truth, found"))
        entries.append(Patch(fill=False, ec=MISSED, lw=2, label="truth, missed"))
    if contents.distractors:
        entries.append(Patch(fill=False, ec=DISTRACTOR, ls=":", label="harmless look-alikes"))
    entries += [
        Line2D([], [], marker="o", ls="", ms=9, mec="white", label=f"{label} ({count})",
               mfc=COLOURS.get(label, OTHER_COLOUR), alpha=0.8)
        for label, count in sorted(counts.items())
    ]  # fmt: skip
    if any(alert.is_false for alert in contents.alerts):
        entries.append(
            Line2D([], [], marker="x", ls="", ms=11, mew=2.6, color=MISSED,
                   label="reported, nothing there")
        )  # fmt: skip
    if contents.alerts:
        entries.append(Patch(fc="#bbbbbb", ec="white", label="ellipse: 90 % of the error"))
    return entries
