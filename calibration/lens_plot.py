"""A picture of what a lens calibration left over: where, how much, in which views."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibration.lens import LensSolution
from calibration.lens_views import EDGE
from edge.errors import OutputError
from edge.extras import needs_extra
from edge.records import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, RED, GREY = "#2f6fb0", "#d9822b", "#c0392b", "#8a8f98"
MAX_BARS = 40


def draw_residuals(solution: LensSolution, title: str, path: Path) -> None:
    """Draw coverage, residual vectors, errors by view and the lens's bending, as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: The disk refuses.
    """
    with needs_extra("demo", "the picture of the residuals"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(12.5, 9.0), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    (coverage, vectors), (views, lens) = figure.subplots(2, 2)
    _coverage(coverage, solution)
    _vectors(vectors, solution)
    _views(views, solution)
    _lens(lens, solution)
    figure.suptitle(title, fontsize=12)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); give another --plot"
        ) from error


def _frame(axes: Axes, solution: LensSolution) -> None:
    width, height = solution.fit.size_px
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=8)


def _coverage(axes: Axes, solution: LensSolution) -> None:
    """Every corner seen, by view; the parts of the picture that count as its edge."""
    _frame(axes, solution)
    width, height = solution.fit.size_px
    for share in (EDGE, 1.0 - EDGE):
        axes.axvline(share * width, color=GREY, lw=0.6, ls=":")
        axes.axhline(share * height, color=GREY, lw=0.6, ls=":")
    for view in solution.all_views:
        is_out = view.name in solution.rejected
        u, v = view.pixels_uv.T
        axes.scatter(u, v, s=5, marker="x" if is_out else "o", color=GREY if is_out else None)
    used, out = len(solution.fit.seen.views), len(solution.rejected)
    axes.set_title(f"Corners of {used} views" + f"; {out} rejected, grey" * bool(out), fontsize=10)


def _vectors(axes: Axes, solution: LensSolution) -> None:
    """Residuals where they are, enlarged; a lens model that does not fit shows as a pattern."""
    _frame(axes, solution)
    fit = solution.fit
    error = np.hypot(*fit.residuals_px.T)
    usual = max(float(np.quantile(error, 0.95)), 1e-9)
    scale = 0.03 * fit.size_px[0] / usual
    arrows = axes.quiver(
        *fit.seen.pixels_uv.T, *(fit.residuals_px.T * scale), error, angles="xy",
        scale_units="xy", scale=1.0, width=0.0016, cmap="viridis", clim=(0.0, usual),
    )  # fmt: skip
    axes.figure.colorbar(arrows, ax=axes, shrink=0.8, label="px")
    axes.set_title(f"Seen less projected, {scale:.0f} times enlarged", fontsize=10)


def _views(axes: Axes, solution: LensSolution) -> None:
    """Error view by view, the worst first."""
    fit = solution.fit
    rows = [
        (view.name, float(px), BLUE)
        for view, px in zip(fit.seen.views, fit.view_rms_px, strict=True)
    ]
    rows += [(name, px, RED) for name, px in solution.rejected.items()]
    rows = sorted(rows, key=lambda row: -row[1])[:MAX_BARS]
    names, errors, colours = zip(*rows, strict=True)
    axes.bar(range(len(rows)), errors, color=colours)
    axes.set_xticks(range(len(rows)), names, rotation=90, fontsize=7)
    axes.axhline(fit.rms_px, color=ORANGE, lw=1.2, label=f"all that are used: {fit.rms_px:.3f} px")
    axes.set_ylabel("RMS, px")
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("Error by view" + (" (red: rejected)" if solution.rejected else ""), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _lens(axes: Axes, solution: LensSolution) -> None:
    """How far the lens moves a ray's pixel, against its angle off the axis; how far views go."""
    fit = solution.fit
    camera = fit.intrinsics("")
    width, height = fit.size_px
    corners = np.array([(u, v) for u in (0.0, width - 1.0) for v in (0.0, height - 1.0)])
    to_corner_rad = float(np.nanmax(_angles(camera.rays_from_pixels(corners)[0])))
    angles = np.linspace(0.0, to_corner_rad, 200)
    rays = np.column_stack((np.sin(angles), np.zeros_like(angles), np.cos(angles)))
    across = camera.pixels_from_rays(rays)[:, 0] - fit.values[2]
    equidistant = fit.model == "fisheye"
    ideal = fit.values[0] * (angles if equidistant else np.tan(angles))
    axes.plot(np.degrees(angles), across - ideal, color=BLUE)
    seen = np.degrees(_angles(camera.rays_from_pixels(fit.seen.pixels_uv)[0]))
    twin = axes.twinx()
    twin.hist(seen, bins=40, color=GREY, alpha=0.35)
    twin.set_ylabel("corners seen", color=GREY)
    axes.set_xlabel("degrees off the axis; the plot ends at the picture's corner")
    axes.set_ylabel("moved outwards, px")
    of = "f·θ" if equidistant else "a pinhole's"
    axes.set_title(
        f"{fit.model}: pixel less {of}; fx {fit.values[0]:.2f} ± {fit.sigmas[0]:.2f}, "
        f"fy {fit.values[1]:.2f} ± {fit.sigmas[1]:.2f}",
        fontsize=10,
    )


def _angles(rays: FloatArray) -> FloatArray:
    angles: FloatArray = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    return angles
