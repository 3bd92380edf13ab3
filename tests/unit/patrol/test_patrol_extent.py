"""Patches of ground against a geometry library, which knows them as polygons."""

from __future__ import annotations

import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge.patrol.extent import Extent, overlap

Corners = tuple[tuple[float, float], ...]

coordinates_m = st.floats(-60.0, 60.0)
corners_m = st.lists(
    st.tuples(coordinates_m, coordinates_m), min_size=1, max_size=7, unique=True
).map(tuple)
squares = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))


def polygon(corners: Corners) -> shapely.Geometry:
    """The convex hull as the library sees it."""
    return shapely.convex_hull(shapely.multipoints(corners))


def moved(corners: Corners, east_m: float, north_m: float) -> Corners:
    """The same patch elsewhere."""
    return tuple((east + east_m, north + north_m) for east, north in corners)


@given(corners=corners_m)
def test_an_extents_area_is_that_of_its_hull(corners: Corners) -> None:
    """The area is the convex hull's, in whatever order the corners come, and never negative."""
    assert Extent(corners).area_m2 == pytest.approx(polygon(corners).area, abs=1e-6)
    assert Extent(corners[::-1]).area_m2 == pytest.approx(Extent(corners).area_m2, abs=1e-6)


@given(a=corners_m, b=corners_m)
@example(a=squares, b=squares)
@example(a=squares, b=moved(squares, 2.0, 0.0))
@example(a=squares, b=moved(squares, 1.0, 1.0))
@example(a=squares, b=((0.5, 0.5), (1.0, 0.5), (1.0, 1.0)))
def test_overlap_is_what_the_polygons_share(a: Corners, b: Corners) -> None:
    """Both shares are those of the hulls' intersection, and the order of the two is all one."""
    one, other = polygon(a), polygon(b)
    assume(min(one.area, other.area) > 0.1)  # of slivers, rounding decides
    common = one.intersection(other).area
    expected = (common / (one.area + other.area - common), common / min(one.area, other.area))
    assert overlap(Extent(a), Extent(b)) == pytest.approx(expected, abs=1e-6)
    assert overlap(Extent(b), Extent(a)) == pytest.approx(expected, abs=1e-6)


@given(a=corners_m, b=corners_m)
def test_shares_lie_between_nothing_and_all(a: Corners, b: Corners) -> None:
    """No two patches, slivers and points included, share less than nothing or more than all."""
    over_union, over_smaller = overlap(Extent(a), Extent(b))
    assert 0.0 <= over_union <= over_smaller <= 1.0


@given(a=corners_m, b=corners_m)
def test_joined_holds_both(a: Corners, b: Corners) -> None:
    """What two patches are joined to is the hull of all their corners."""
    joined = Extent(a).joined(Extent(b))
    assert joined.area_m2 == pytest.approx(polygon(a + b).area, abs=1e-6)
    assert joined.bounds == pytest.approx(shapely.bounds(polygon(a + b)).tolist())


def test_far_from_the_origin_an_area_keeps_its_millimetres() -> None:
    """A patch 30 km from the plane's origin has the area that it has at the origin."""
    far = Extent(moved(squares, 30_000.0, -30_000.0))
    assert far.area_m2 == pytest.approx(4.0, abs=1e-9)
    assert overlap(far, far) == pytest.approx((1.0, 1.0))
