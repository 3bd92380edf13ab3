"""Which machine a figure comes from, and with which libraries."""

from __future__ import annotations

import ctypes
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Builds of one library under several names; the first that is installed counts.
_ONNXRUNTIME = ("onnxruntime-gpu", "onnxruntime")
_OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python")

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BLOCK_BYTES = 1 << 18


def machine_name() -> str:
    """Name the machine: processor, cores, Python."""
    model = platform.processor() or platform.machine()
    if _CPUINFO.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in _CPUINFO.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def onnxruntime_version() -> str:
    """Return the version of the ONNX Runtime that is installed."""
    return _first_version(_ONNXRUNTIME)


def opencv_version() -> str:
    """Return the version of the OpenCV that is installed."""
    return _first_version(_OPENCV)


def _first_version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:  # a system package, or another build
            continue
    return "unknown"


def settle_memory() -> None:
    """Make the C library give large blocks back as soon as they are freed; once, before threads.

    glibc learns from the first large block that is freed to keep such blocks in its heaps, one a
    thread, where smaller ones settle between them: over hours a flight grew.  With this they have
    mappings of their own.  Live pictures come from `PictureMemory`, so few ask for such blocks.
    """
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:  # another C library has no such call
        choose(_M_ARENA_MAX, 1)
        choose(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)
        choose(_M_TRIM_THRESHOLD, _LARGE_BLOCK_BYTES)


def release_free_memory() -> None:
    """Give freed pages back to the system.

    glibc keeps what video decoding and picture compression free in the arenas of their threads:
    10 to 20 MB after two minutes of flight (measured), which a small computer misses.
    A system without glibc has no such call, and mostly no such arenas.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
