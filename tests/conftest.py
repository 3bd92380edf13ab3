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
# Reasons to skip that are no fault of the set-up.  Training needs gigabytes that no test of what
# flies does: `make test-train` installs them.
MAY_BE_MISSING = (
    "not shipped",
    "really has TensorRT",
    "the right to mount",
    "needs the train extra",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be changed, on purpose only."""
    parser.addoption("--update-golden", action="store_true", help="store results as golden files")
    parser.addoption(
        "--nothing-missing",
        action="store_true",
        help="fail where a test was skipped for want of what `make test` installs",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip may say that others' recordings are not there; it may not hide a missing part."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption("--nothing-missing"):
        return
    reasons = {str(report.longrepr) for report in reporter.stats.get("skipped", [])}
    hidden = sorted(r for r in reasons if not any(word in r for word in MAY_BE_MISSING))
    for reason in hidden:
        reporter.write_line(f"skipped, but `make test` installs it: {reason}", red=True)
    if hidden and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
