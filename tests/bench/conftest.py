"""What the bench's tests share: one made flight."""

from __future__ import annotations

import pytest

from tests.bench.made_flight import MadeBench, write_bench

SECONDS = 3.0


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBench:
    """A short 720p flight with a detector that sees six things in every picture."""
    return write_bench(tmp_path_factory.mktemp("bench"), SECONDS)
