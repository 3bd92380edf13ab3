"""What wear and use leave on the ground: road markings, patches, cracks, tracks, stains, rows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.ground import GROUND_PX, PX_PER_M, Ground, Material, Outline, pixels
from sim.world.layout import BANK_M, HALF_M, MEDIAN_M, Layout, Lot, Street, clear_spans

_PAINT_RGB = np.array([214, 212, 202])
_YELLOW_RGB = np.array([206, 168, 66])
_CROPS = (
    (96, 122, 52),
    (78, 108, 46),
    (140, 132, 74),
    (126, 98, 68),
    (104, 128, 66),
    (172, 154, 102),
    (132, 140, 78),
)


def _strip(street: Street, along_m: float, across_m: float, size_m: tuple[float, float]) -> Outline:
    """Return a rectangle on a street: from a point along and across it, so long and so wide."""
    ends = np.array([[0, 0], [size_m[0], 0], [size_m[0], size_m[1]], [0, size_m[1]]])
    spots = ends + np.array([along_m, street.at_m + across_m])
    return np.asarray(spots if street.along_east else spots[:, ::-1])


def _junctions(street: Street, streets: tuple[Street, ...]) -> list[tuple[float, float]]:
    others = [s for s in streets if s.along_east != street.along_east]
    return [(s.at_m - s.width_m / 2 - 5, s.at_m + s.width_m / 2 + 5) for s in others]


_CONCRETE_RGB = ((196, 190, 178), (178, 174, 166), (206, 200, 192), (184, 170, 150))
_TRACK_RGB = ((156, 138, 112), (172, 150, 122), (168, 128, 104), (146, 138, 126))


def _lay_surface(rng: np.random.Generator, ground: Ground, street: Street) -> None:
    """Give a street a shade of its own: old or new asphalt, pale concrete, trodden earth."""
    half = street.width_m / 2
    spots = np.clip(pixels(_strip(street, -HALF_M, -half, (2 * HALF_M, 2 * half))), 0, GROUND_PX)
    low, high = spots.min(axis=0), spots.max(axis=0)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    bed = Material.GRAVEL if street.surface == "earth" else Material.ASPHALT
    own = ground.material[window] == bed
    if not own.any():
        return
    was = ground.rgb[window][own].astype(np.float32)
    gain = np.full(3, rng.uniform(0.8, 1.22), np.float32)
    if street.surface != "asphalt":
        tones = _CONCRETE_RGB if street.surface == "concrete" else _TRACK_RGB
        wanted = np.array(tones[int(rng.integers(4))]) * rng.uniform(0.92, 1.06)
        gain = (wanted / was.mean(axis=0)).astype(np.float32)
    ground.rgb[window][own] = np.clip(was * gain, 0, 255).astype(np.uint8)
    if street.surface == "concrete":
        step, tone = float(rng.uniform(4.0, 6.0)), (112, 108, 102)
        for along in np.arange(-HALF_M, HALF_M, step):
            ground.wash(_strip(street, float(along), -half, (0.12, 2 * half)), tone, 0.5, 0.06)


def _wear_track(rng: np.random.Generator, ground: Ground, street: Street) -> None:
    """Rut an unpaved street, and let grass stand between its ruts and puddles in them."""
    half = street.width_m / 2
    for across in (-half * 0.45, half * 0.45):
        rut = _strip(street, -HALF_M, across - 0.4, (2 * HALF_M, 0.8))
        ground.wash(rut, (108, 90, 72), float(rng.uniform(0.15, 0.4)), 0.3)
    if rng.random() < 0.6:
        middle = _strip(street, -HALF_M, -0.35, (2 * HALF_M, 0.7))
        ground.wash(middle, (104, 112, 66), float(rng.uniform(0.2, 0.7)), 0.35)
    for _ in range(int(rng.integers(4, 18))):
        spot, across = float(rng.uniform(-HALF_M, HALF_M)), float(rng.choice([-0.45, 0.4])) * half
        size = (float(rng.uniform(0.6, 3.0)), float(rng.uniform(0.4, 0.9)))
        ground.wash(_strip(street, spot, across, size), (96, 88, 78), 0.7, 0.2)
    for side in (-half, half - 0.6):
        edge = _strip(street, -HALF_M, side, (2 * HALF_M, 0.6))
        ground.wash(edge, (112, 112, 74), float(rng.uniform(0.3, 0.7)), 0.4)


def _paint_dual(
    rng: np.random.Generator, mask: NDArray[np.uint8], street: Street, others: tuple[Street, ...]
) -> None:
    """Paint a dual carriageway: edge lines, broken lines between lanes, arrows, stop lines."""
    half, inner = street.width_m / 2, MEDIAN_M / 2 + 0.5
    lanes = max(2, round((half - inner - 0.6) / 3.6))
    lane_m = (half - inner - 0.6) / lanes
    inner_tone = 100 if rng.random() < 0.4 else 200

    def put(along: float, across: float, size_m: tuple[float, float], tone: int = 200) -> None:
        cv2.fillPoly(mask, [pixels(_strip(street, along, across, size_m))], tone)

    for start, stop in clear_spans(street, others, 5.0):
        for side in (-1, 1):
            put(start, side * inner - 0.08, (stop - start, 0.18), inner_tone)
            put(start, side * (half - 0.5) - 0.08, (stop - start, 0.18))
            for lane in range(1, lanes):
                across = side * (inner + lane * lane_m) - 0.08
                for along in np.arange(start, stop - 4.0, 10.0):
                    put(float(along), across, (4.0, 0.17))
            if stop - start < 40.0:
                continue
            tip = stop - 14.0 if side < 0 else start + 14.0
            for lane in range(lanes):
                across = side * (inner + (lane + 0.5) * lane_m)
                put(min(tip, tip + side * 4.0), across - 0.12, (4.0, 0.24))
                head = np.array(
                    [[tip - 2 * side, across], [tip, across - 0.5], [tip, across + 0.5]]
                )
                cv2.fillPoly(mask, [pixels(street.place(head))], 200)
            put(stop - 2.0 if side < 0 else start + 1.6, min(side * inner, side * half), (0.4, half - inner))  # fmt: skip  # noqa: E501


def _wear_street(rng: np.random.Generator, ground: Ground, street: Street) -> None:
    """Leave wheel tracks, repairs, cracks, covers and dirt in the gutters."""
    half = street.width_m / 2
    for across in (-half * 0.68, -half * 0.3, half * 0.3, half * 0.68):
        tone = (52, 52, 54) if rng.random() < 0.6 else (150, 146, 140)
        track = _strip(street, -HALF_M, across - 0.3, (2 * HALF_M, 0.6))
        ground.wash(track, tone, float(rng.uniform(0.06, 0.26)), 0.3)
    for side in (-half, half - 0.5):
        gutter = _strip(street, -HALF_M, side, (2 * HALF_M, 0.5))
        ground.wash(gutter, (112, 98, 80), float(rng.uniform(0.15, 0.5)), 0.22)
    for _ in range(int(rng.integers(6, 22))):
        spot, across = rng.uniform(-HALF_M, HALF_M), rng.uniform(-half * 0.8, half * 0.3)
        size = (float(rng.uniform(0.8, 9.0)), float(rng.uniform(0.7, half)))
        tone = (56, 56, 58) if rng.random() < 0.7 else (128, 126, 122)
        ground.wash(_strip(street, spot, across, size), tone, float(rng.uniform(0.2, 0.7)), 0.08)
    for _ in range(int(rng.integers(4, 26))):
        _crack(rng, ground, street)
    for along in np.arange(-HALF_M + rng.uniform(0, 20), HALF_M, rng.uniform(18, 34)):
        cover = _strip(street, float(along), float(rng.uniform(-0.4, 0.4)) * half, (0.1, 0.1))
        col, row = (int(v) for v in pixels(cover)[0])
        cv2.circle(ground.rgb, (col, row), 4, (62, 60, 58), -1, cv2.LINE_AA)
        cv2.circle(ground.rgb, (col, row), 4, (126, 122, 116), 1, cv2.LINE_AA)


def _crack(rng: np.random.Generator, ground: Ground, street: Street) -> None:
    half, n_steps = street.width_m / 2, int(rng.integers(5, 16))
    heading = rng.uniform(0, np.pi) + np.cumsum(rng.normal(0, 0.35, n_steps))
    along = rng.uniform(-HALF_M, HALF_M) + np.cumsum(0.6 * np.cos(heading))
    across = rng.uniform(-half, half) + np.cumsum(0.6 * np.sin(heading))
    across = street.at_m + np.clip(across, -half + 0.2, half - 0.2)
    path = np.column_stack([along, across] if street.along_east else [across, along])
    tone = (74, 73, 72) if rng.random() < 0.75 else (48, 48, 49)  # open, or sealed with tar
    cv2.polylines(ground.rgb, [pixels(path)], False, tone, 1, cv2.LINE_AA)


def _paint_lines(
    rng: np.random.Generator, mask: NDArray[np.uint8], street: Street, others: tuple[Street, ...]
) -> None:
    """Draw what the road painters drew: 200 is white, 100 yellow."""
    half, blocked = street.width_m / 2, _junctions(street, others)
    style = str(rng.choice(["dashed", "double", "solid", "none"], p=[0.5, 0.14, 0.16, 0.2]))
    has_edges = half > 3.4 and rng.random() < 0.5

    def put(outline: Outline, tone: int) -> None:
        cv2.fillPoly(mask, [pixels(outline)], tone)

    for along in np.arange(-HALF_M, HALF_M, 7.0):
        if any(low < along + 3 and along < high for low, high in blocked):
            continue
        if style == "dashed":
            put(_strip(street, float(along), -0.08, (3.0, 0.16)), 200)
        elif style != "none":
            for across in (-0.22, 0.1) if style == "double" else (-0.07,):
                put(_strip(street, float(along), across, (7.0, 0.13)), 100)
        if has_edges:
            for across in (-half + 0.3, half - 0.42):
                put(_strip(street, float(along), across, (7.0, 0.12)), 200)
    for low, high in blocked:
        draw = rng.random()
        for start in (low + 1.2, high - 4.2):
            if draw < 0.45:
                for across in np.arange(-half + 0.5, half - 0.5, 0.95):
                    put(_strip(street, start, float(across), (3.0, 0.45)), 200)
            elif draw < 0.65:
                put(_strip(street, start + 2.2, -half + 0.3, (0.35, half - 0.4)), 200)


def _kerbs(ground: Ground, street: Street, others: tuple[Street, ...]) -> None:
    half, spans = street.width_m / 2, _junctions(street, others)
    ends = [-HALF_M, *(e - 4.2 * s for pair in sorted(spans) for e, s in zip(pair, (-1, 1), strict=True)), HALF_M]  # fmt: skip  # noqa: E501
    for start, stop in zip(ends[::2], ends[1::2], strict=True):
        if stop - start < 1:
            continue
        for side in (-half, half):
            ground.polygon(
                _strip(street, start, side - 0.09, (stop - start, 0.18)), (178, 175, 168)
            )
            inner = side - np.sign(side) * 0.22
            ground.wash(_strip(street, start, inner - 0.09, (stop - start, 0.18)), (64, 62, 60), 0.45, 0.1)  # fmt: skip  # noqa: E501


def _rows_of(street: Street) -> slice:
    """Return the picture's rows that a street along east covers, with its kerbs."""
    if not street.along_east:
        return slice(0, 0)
    half = street.width_m / 2 + 2.0
    ends = pixels(np.array([[0.0, street.at_m + half], [0.0, street.at_m - half]]))[:, 1]
    return slice(max(int(ends[0]), 0), max(int(ends[1]), 0))


def mark_streets(rng: np.random.Generator, ground: Ground, layout: Layout) -> None:
    """Wear the streets, set their kerbs and paint them, but not across the water."""
    bed, mask = np.zeros((2, *ground.material.shape), np.uint8)
    cv2.fillPoly(bed, [pixels(layout.river.band(BANK_M))], 1)
    for street in layout.streets:
        rows = _rows_of(street)
        before = ground.rgb[rows].copy()
        _lay_surface(rng, ground, street)
        if street.surface == "earth":
            _wear_track(rng, ground, street)
        else:
            _wear_street(rng, ground, street)
            _kerbs(ground, street, layout.streets)
        if street.is_dual:
            _paint_dual(rng, mask, street, layout.streets)
        elif street.surface != "earth" and rng.random() < 0.85:
            _paint_lines(rng, mask, street, layout.streets)
        if street.along_east:  # the others keep clear of the river
            blocked = ground.material[rows] == Material.WATER
            if not street.has_bridge:
                blocked = bed[rows] > 0
            ground.rgb[rows][blocked] = before[blocked]
            mask[rows][blocked] = 0
    worn = float(rng.uniform(0.35, 0.95)) + 0.22 * ground.middle
    for tone, rgb in ((200, _PAINT_RGB), (100, _YELLOW_RGB)):
        at = np.nonzero(mask == tone)
        share = np.clip(worn[at], 0.0, 0.95)[:, None]
        ground.rgb[at] = (ground.rgb[at] * (1 - share) + rgb * share).astype(np.uint8)


def _blotch(rng: np.random.Generator, ground: Ground, lot: Lot, rgb: tuple[int, int, int]) -> None:
    """Stain a spot of a lot."""
    foot = lot.foot
    spot = foot.place(rng.uniform(-0.45, 0.45, (1, 2)) * [foot.length_m, foot.width_m])[0]
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = rng.uniform(0.4, 3.0) * rng.uniform(0.6, 1.3, 12)
    ring = spot + np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
    ground.wash(ring, rgb, float(rng.uniform(0.12, 0.5)), float(rng.uniform(0.15, 0.6)))


def _trodden(rng: np.random.Generator, ground: Ground, lot: Lot, width_px: int) -> None:
    """Tread or drive a bent way across a lot."""
    ends = rng.uniform(-0.5, 0.5, (2, 2))
    bend = ends.mean(axis=0) + rng.normal(0, 0.16, 2)
    share = np.linspace(0, 1, 24)[:, None]
    local = (1 - share) ** 2 * ends[0] + 2 * share * (1 - share) * bend + share**2 * ends[1]
    way = lot.foot.place(np.clip(local, -0.49, 0.49) * [lot.foot.length_m, lot.foot.width_m])
    tone = ((128, 112, 92), (150, 136, 114), (104, 92, 78))[int(rng.integers(3))]
    shift = np.array([0.0, 0.0]) if width_px < 6 else np.array([0.85, 0.0])
    for offset in (-shift, shift):
        line = pixels(way + offset)
        low = np.clip(line.min(axis=0) - 12, 0, GROUND_PX - 1)
        high = np.clip(line.max(axis=0) + 12, 0, GROUND_PX - 1)
        if np.any(high - low < 3):
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
        cv2.polylines(mask, [line - low], False, 1.0, min(width_px, 5))
        mask = cv2.GaussianBlur(mask, (0, 0), 2.0)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        share_px = np.clip(mask * (0.7 + 0.3 * ground.middle[window]), 0, 0.8)[..., None]
        mixed = ground.rgb[window] * (1 - share_px) + share_px * np.array(tone, np.float32)
        ground.rgb[window] = mixed.astype(np.uint8)


def _mark_joints(rng: np.random.Generator, ground: Ground, lot: Lot) -> None:
    """Cut the joints between slabs, dark and not quite even."""
    foot, step = lot.foot, float(rng.choice([3.0, 4.0, 5.0, 6.0]))
    for long, wide, swap in (
        (foot.length_m, foot.width_m, False),
        (foot.width_m, foot.length_m, True),
    ):
        for at in np.arange(-long / 2 + step * rng.uniform(0.2, 1), long / 2, step):
            local = np.array([[at, -wide / 2], [at, wide / 2]])
            ends = foot.place(local[:, ::-1] if swap else local)
            col, row = np.clip(pixels(ends.mean(axis=0)[None])[0], 0, GROUND_PX - 1)
            if ground.material[row, col] == Material.PAVING:
                dark = ground.rgb[row, col].astype(int) * rng.uniform(0.78, 0.94)
                red, green, blue = dark.astype(int).tolist()
                ground.line(ends, (red, green, blue), 1)


def _mark_field(rng: np.random.Generator, ground: Ground, lot: Lot) -> None:
    """Sow a crop in rows, each a little other than the next, or leave stubble or pasture."""
    red, green, blue = _CROPS[int(rng.integers(len(_CROPS)))]
    foot = lot.foot
    ground.wash(foot.corners(-1.0), (red, green, blue), 0.85, 0.4)
    if rng.random() < 0.2:
        return
    step, depth = float(rng.uniform(0.5, 1.9)), float(rng.uniform(0.7, 0.92))
    long, wide = foot.length_m / 2 - 1, foot.width_m / 2 - 1
    turned = rng.random() < 0.5
    if turned:
        long, wide = wide, long
    for at in np.arange(-wide, wide, step):
        reach = long * rng.uniform(0.95, 1.0)
        local = np.array([[-reach, at], [reach, at + rng.normal(0, 0.06)]])
        tone = np.array([red, green, blue]) * depth * rng.uniform(0.93, 1.07)
        low, mid, high = tone.astype(int).tolist()
        ends = foot.place(local[:, ::-1] if turned else local)
        ground.line(ends, (low, mid, high), int(max(1, step * PX_PER_M * 0.22)))
    for _ in range(int(rng.integers(1, 5))):
        _blotch(rng, ground, lot, (148, 128, 96))


def _mark_bays(rng: np.random.Generator, ground: Ground, lot: Lot) -> None:
    foot, tone = lot.foot, int(rng.integers(170, 222))
    for east in np.arange(-foot.length_m / 2 + 1, foot.length_m / 2 - 1, 2.6):
        for sign in (-1, 1):
            edge = sign * foot.width_m / 2 * 0.9
            bay = foot.place(np.array([[east, edge], [east, edge - 5 * sign]]))
            ground.line(bay, (tone, tone, tone - 6), 1)
    for _ in range(10):
        _blotch(rng, ground, lot, (52, 50, 50))


def mark_lot(rng: np.random.Generator, ground: Ground, lot: Lot) -> None:
    """Leave on a lot what its use leaves."""
    if lot.kind == "field":
        _mark_field(rng, ground, lot)
        return
    if lot.kind == "parking":
        _mark_bays(rng, ground, lot)
        return
    if lot.kind in ("house", "block", "hall", "row", "containers"):
        _mark_joints(rng, ground, lot)
    if lot.kind in ("yard", "containers"):
        for _ in range(int(rng.integers(1, 4))):
            _trodden(rng, ground, lot, 7)
    if lot.kind in ("park", "orchard") and rng.random() < 0.7:
        _trodden(rng, ground, lot, 4)
    for _ in range(int(rng.integers(2, 9))):
        tones = ((74, 72, 70), (118, 100, 80), (92, 98, 66), (176, 172, 164))
        _blotch(rng, ground, lot, tones[int(rng.integers(4))])
