"""The optional extras of `pyproject.toml`: what is said where one is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.errors import MissingExtraError


def how_to_install(extra: str) -> str:
    """Say how to install an extra.

    By folder, not by name: no package index has Skywhistle, and one that had something of that
    name would have another's.
    """
    return (
        f"install the extra `{extra}`: pip install '.[{extra}]', in the folder of Skywhistle's "
        "sources"
    )


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Import inside what an extra brings.

    Args:
        extra: Its name in `pyproject.toml`.
        what: What cannot be done without it, e.g. "map.png".

    Raises:
        MissingExtraError: An import failed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"{what}: {error}; {how_to_install(extra)}") from error
