"""What stands along a dual carriageway: shrubs between its lanes, rails, gantries, noise fences."""

from __future__ import annotations

import numpy as np

from sim.world.layout import BANK_M, HALF_M, MEDIAN_M, Layout, Street, clear_spans
from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin, box
from sim.world.textures import Layer

_STEEL = Skin(Layer.PLAIN, (0.78, 0.79, 0.8), 4.0)
_FENCE_RGB: tuple[Rgb, ...] = (
    (0.62, 0.7, 0.66),
    (0.74, 0.76, 0.76),
    (0.5, 0.62, 0.72),
    (0.46, 0.58, 0.46),
)
_SIGN_RGB: tuple[Rgb, ...] = ((0.04, 0.5, 0.34), (0.1, 0.3, 0.68))  # green, blue


def _piece(
    street: Street, along_m: tuple[float, float], across_m: float, thick_m: float
) -> Footprint:
    """Return a rectangle along a street, from and to, so far from its middle and so thick."""
    middle, length = (along_m[0] + along_m[1]) / 2, along_m[1] - along_m[0]
    east, north = street.place(np.array([[middle, across_m]]))[0]
    return Footprint(float(east), float(north), length, thick_m, 0 if street.along_east else np.pi / 2)  # fmt: skip  # noqa: E501


def _dry_spans(street: Street, layout: Layout) -> list[tuple[float, float]]:
    """Return the stretches between junctions and, of a street over the river, off its bridge."""
    spans = clear_spans(street, layout.streets, 7.0)
    if not street.along_east:
        return spans
    middle, reach = float(layout.river.centre_m(street.at_m)), layout.river.width_m / 2 + BANK_M + 3
    cut: list[tuple[float, float]] = []
    for start, stop in spans:
        cut += [(start, min(stop, middle - reach)), (max(start, middle + reach), stop)]
    return [(start, stop) for start, stop in cut if stop - start > 6.0]


def _reservation(
    rng: np.random.Generator, mesh: MeshBuilder, street: Street, spans: list[tuple[float, float]]
) -> None:
    """Plant the central reservation, or rail it, or both."""
    green = np.array([0.34, 0.5, 0.28]) * rng.uniform(0.8, 1.25)
    hedged, railed = rng.random() < 0.75, rng.random() < 0.4
    for start, stop in spans:
        at = start
        while hedged and at < stop - 2.0:
            long = min(float(rng.uniform(1.4, 7.0)), stop - at)
            tint = green * rng.uniform(0.8, 1.2)
            leaf = Skin(Layer.LEAVES, (float(tint[0]), float(tint[1]), float(tint[2])), 2.0)
            bush = _piece(street, (at, at + long), float(rng.normal(0, 0.1)), float(rng.uniform(0.9, 1.7)))  # fmt: skip  # noqa: E501
            box(mesh, bush, (0.0, float(rng.uniform(0.6, 1.5))), leaf, leaf)
            at += long + float(rng.choice([0.3, 0.6, 2.5]))
        for side in (-1, 1) if railed else ():
            rail = _piece(street, (start, stop), side * (MEDIAN_M / 2 - 0.15), 0.12)
            box(mesh, rail, (0.45, 0.8), _STEEL, _STEEL)


def _noise_fence(
    rng: np.random.Generator, mesh: MeshBuilder, street: Street, spans: list[tuple[float, float]]
) -> None:
    """Fence one side off against the noise, panel by panel between posts."""
    side, high = float(rng.choice([-1, 1])), float(rng.uniform(2.2, 4.0))
    panel = Skin(Layer.RIBBED, _FENCE_RGB[int(rng.integers(len(_FENCE_RGB)))], 5.0)
    across = side * (street.width_m / 2 + 0.6)
    for start, stop in spans:
        box(mesh, _piece(street, (start, stop), across, 0.16), (0.0, high), panel, _STEEL)
        for at in np.arange(start, stop, 5.0):
            post = _piece(street, (float(at), float(at) + 0.25), across, 0.3)
            box(mesh, post, (0.0, high + 0.15), _STEEL, _STEEL)


def _gantry(rng: np.random.Generator, mesh: MeshBuilder, street: Street, along_m: float) -> None:
    """Span one carriageway, or both, with a beam that bears signs."""
    half, both = street.width_m / 2 + 0.9, rng.random() < 0.35
    side = float(rng.choice([-1, 1]))
    ends = (-half, half) if both else (side * half, 0.0)
    for across in ends:
        box(mesh, _piece(street, (along_m - 0.25, along_m + 0.25), across, 0.5), (0.0, 6.6), _STEEL, _STEEL)  # fmt: skip  # noqa: E501
    span = abs(ends[1] - ends[0])
    beam = _piece(street, (along_m - 0.2, along_m + 0.2), (ends[0] + ends[1]) / 2, span)
    box(mesh, beam, (6.0, 6.6), _STEEL, _STEEL)
    tint = _SIGN_RGB[int(rng.integers(2))]
    board, white = Skin(Layer.PLAIN, tint, 4.0), (0.95, 0.95, 0.95)
    for share in (0.3, 0.7) if both or span > 11 else (0.5,):
        across, wide = ends[0] + share * (ends[1] - ends[0]), float(rng.uniform(2.8, 4.6))
        box(mesh, _piece(street, (along_m - 0.35, along_m + 0.35), across, wide), (5.2, 7.8), board, board)  # fmt: skip  # noqa: E501
        for row in range(int(rng.integers(2, 4))):  # lines of writing
            text = _piece(street, (along_m - 0.4, along_m + 0.4), across, wide * float(rng.uniform(0.4, 0.8)))  # fmt: skip  # noqa: E501
            skin = Skin(Layer.PLAIN, white, 4.0)
            box(mesh, text, (5.6 + 0.7 * row, 5.85 + 0.7 * row), skin, skin)


def furnish_roads(rng: np.random.Generator, mesh: MeshBuilder, layout: Layout) -> None:
    """Raise what stands along the dual carriageways of a plan."""
    for street in (s for s in layout.streets if s.is_dual):
        spans = [(max(a, -HALF_M), min(b, HALF_M)) for a, b in _dry_spans(street, layout)]
        _reservation(rng, mesh, street, spans)
        if rng.random() < 0.45:
            _noise_fence(rng, mesh, street, spans)
        long = [span for span in spans if span[1] - span[0] > 24.0]
        for pick in rng.permutation(len(long))[: int(rng.integers(1, 4))]:
            start, stop = long[int(pick)]
            _gantry(rng, mesh, street, float(rng.uniform(start + 8, stop - 8)))
