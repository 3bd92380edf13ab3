"""Skywhistle: the package that flies.  Start at `records.py`, then `pipeline.py`."""

from __future__ import annotations

__version__ = "0.1.0"
