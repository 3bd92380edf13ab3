"""What all tests share."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

with contextlib.suppress(ImportError):
    # Before PyAV and GStreamer: after both of them in one process, loading this library aborts
    # (two C++ runtimes).  No command loads all three; the tests do.
    import matplotlib.ft2font  # noqa: F401

# A busy machine makes no law untrue: no test of ours asserts a time.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

REPO = Path(__file__).resolve().parents[1]
SHARED_DATA = REPO.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be changed, on purpose only."""
    parser.addoption("--update-golden", action="store_true", help="store results as golden files")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings of others, which are no part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the third-party recordings in {SHARED_DATA}, which are not shipped")
    return SHARED_DATA
