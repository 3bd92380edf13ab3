"""Laws of the local plane and of its origin."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymap3d.vincenty import vreckon

from edge.config import DistrictConfig
from edge.errors import ConfigError, SkywhistleError
from edge.geo.plane import LocalPlane, keep_origin, known_origin, load_or_create_origin
from tests.small_disk import fill, small_disk

# The date line, both hemispheres, and a pole; longitude has no meaning on the pole itself.
ORIGINS = [(31.5, 120.3), (-35.36, 149.16), (10.0, 179.99), (69.6, 18.9), (-89.5, 0.0)]
METRES = st.floats(-14_000.0, 14_000.0)  # 20 km from the origin in the corners


@given(origin=st.sampled_from(ORIGINS), east=METRES, north=METRES)
def test_a_place_comes_back(origin: tuple[float, float], east: float, north: float) -> None:
    """Metres to degrees and back is the same place to a millimetre."""
    plane = LocalPlane(*origin)
    again = plane.enu_from_geodetic(*plane.geodetic_from_enu(east, north))
    assert math.dist(again, (east, north)) < 1e-3


@given(bearing=st.floats(0.0, 359.0), range_m=st.floats(10.0, 10_000.0))
def test_plane_distances_are_the_earth_s(bearing: float, range_m: float) -> None:
    """From the origin, distance and bearing agree with Vincenty's to a centimetre at 10 km."""
    plane = LocalPlane(31.5, 120.3)
    lat, lon = vreckon(31.5, 120.3, range_m, bearing)
    east, north = plane.enu_from_geodetic(float(lat), float(lon))
    expected = range_m * math.sin(math.radians(bearing)), range_m * math.cos(math.radians(bearing))
    assert math.dist((east, north), expected) < 0.02


@given(origin=st.sampled_from(ORIGINS[:4]), east=METRES, north=METRES)
def test_convergence_is_where_a_step_north_leads(
    origin: tuple[float, float], east: float, north: float
) -> None:
    """A small step along the meridian moves in the plane by the angle that is stated."""
    plane = LocalPlane(*origin)
    lat, lon = plane.geodetic_from_enu(east, north)
    e0, n0 = plane.enu_from_geodetic(lat, lon)
    e1, n1 = plane.enu_from_geodetic(lat + 1e-3, lon)
    assert math.atan2(e1 - e0, n1 - n0) == pytest.approx(plane.convergence_rad(lat, lon), abs=1e-5)


def test_a_place_off_the_plane_is_refused() -> None:
    """NaN and other continents have no place on a district's plane."""
    with pytest.raises(ValueError, match="not on this district"):
        LocalPlane(31.5, 120.3).geodetic_from_enu(math.nan, 0.0)


def test_the_first_fix_ever_stays_the_origin(tmp_path: Path) -> None:
    """A later day's fix does not move the district."""
    first = load_or_create_origin(tmp_path / "var", DistrictConfig(), (31.5, 120.3))
    later = load_or_create_origin(tmp_path / "var", DistrictConfig(), (31.6, 120.4))
    assert first == later == LocalPlane(31.5, 120.3)
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["origin.json"]


def test_the_config_s_origin_wins_and_is_not_kept(tmp_path: Path) -> None:
    """What the operator wrote is the origin, whatever was kept."""
    load_or_create_origin(tmp_path, DistrictConfig(), (31.5, 120.3))
    district = DistrictConfig(origin_lat_deg=31.0, origin_lon_deg=120.0)
    assert load_or_create_origin(tmp_path, district, None) == LocalPlane(31.0, 120.0)
    assert load_or_create_origin(tmp_path, DistrictConfig(), None) == LocalPlane(31.5, 120.3)


def test_a_disk_that_is_full_takes_the_origin_as_soon_as_there_is_room(tmp_path: Path) -> None:
    """The first flight ever has its plane all the same; no half of a file stays behind."""
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk)
        plane = load_or_create_origin(disk / "var", DistrictConfig(), (31.5, 120.3))
        assert plane == LocalPlane(31.5, 120.3)
        with pytest.raises(SkywhistleError, match="free the disk"):
            keep_origin(disk / "var", DistrictConfig(), plane)
        assert not any(path.is_file() for path in (disk / "var").glob("*"))
        (disk / "filler").unlink()
        keep_origin(disk / "var", DistrictConfig(), plane)
        keep_origin(disk / "var", DistrictConfig(), LocalPlane(0.0, 0.0))  # the first one stays
        assert known_origin(disk / "var", DistrictConfig()) == plane


def test_no_origin_and_no_fix_is_refused(tmp_path: Path) -> None:
    """An origin is never made up."""
    with pytest.raises(ConfigError, match="no GNSS fix"):
        load_or_create_origin(tmp_path, DistrictConfig(), None)


@pytest.mark.parametrize("text", ["", "{}", '{"lat_deg": 31.5', '{"lat_deg": 99, "lon_deg": 0}'])
def test_a_damaged_origin_is_refused(tmp_path: Path, text: str) -> None:
    """Kept incidents are relative to the origin, so a new one must not be made in silence."""
    (tmp_path / "origin.json").write_text(text)
    with pytest.raises(ConfigError, match=r"origin\.json"):
        load_or_create_origin(tmp_path, DistrictConfig(), (31.5, 120.3))
