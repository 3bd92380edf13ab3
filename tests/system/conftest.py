"""What the tests of the simulator on the wire share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire_flights import MadeFlight, write_flight
from tests.wire_ground import Ground


@pytest.fixture(scope="session")
def made_flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flight of eight seconds, to be served; nobody writes into its folder."""
    return write_flight(tmp_path_factory.mktemp("flight"), MadeFlight(8.0))


@pytest.fixture
def ground() -> Iterator[Ground]:
    """A ground station's end of a MAVLink link."""
    ground = Ground()
    yield ground
    ground.close()
