"""A camera's delay written into `patrol.toml`, every other byte of it left as it is."""

from __future__ import annotations

import re
from pathlib import Path

from edge.errors import ConfigError
from edge.settings import read_settings

_HEADER = re.compile(r"^\s*\[")
_CAMERA = re.compile(r"^\s*\[\[\s*camera\s*\]\]")
_ID = re.compile(r"""^\s*id\s*=\s*["']([^"']*)["']""")


def write_latency(path: Path, camera_id: str, latency_s: float, sigma_s: float) -> None:
    """Set `latency_s` and `latency_sigma_s` of one `[[camera]]`; comments and order stay.

    The new file is read before it takes the old one's place: it must differ in these two alone.

    Raises:
        ConfigError: The file is not usable, has no such camera, or is laid out in a way that this
            cannot change safely; nothing was written.
    """
    before = read_settings(path).patrol
    wanted = {"latency_s": latency_s, "latency_sigma_s": sigma_s}
    cameras = tuple(
        one.model_copy(update=wanted) if one.id == camera_id else one for one in before.camera
    )
    if camera_id not in [one.id for one in before.camera]:
        there = ", ".join(one.id for one in before.camera)
        raise ConfigError(f"{path}: has no camera {camera_id!r} (there are: {there}); see --as")
    text = path.read_text(encoding="utf-8")
    for key, value in wanted.items():
        text = _with(text, camera_id, key, value)
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.chmod(path.stat().st_mode)
        after = read_settings(new).patrol
        if after != before.model_copy(update={"camera": cameras}):
            raise ConfigError(
                f"{path}: is laid out in a way that cannot be edited safely; write by hand: "
                f"latency_s = {latency_s}, latency_sigma_s = {sigma_s}"
            )
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _with(text: str, camera_id: str, key: str, value: float) -> str:
    """Set one key in the camera's table; a key that is not there follows the camera's id."""
    lines = text.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if _CAMERA.match(line)]
    for start in starts:
        end = next((i for i in range(start + 1, len(lines)) if _HEADER.match(lines[i])), len(lines))
        named = [i for i in range(start, end) if (m := _ID.match(lines[i])) and m[1] == camera_id]
        if not named:
            continue
        setting = re.compile(rf"^(\s*{key}\s*=\s*)[-+0-9._eE]+")
        for i in range(start, end):
            if found := setting.match(lines[i]):
                after, end_of = lines[i][found.end() :], found[1] + str(value)
                comment = after.lstrip(" ")
                if comment.startswith("#"):  # kept in its column where it fits
                    gap = found.end() + len(after) - len(comment) - len(end_of)
                    after = " " * max(1, gap) + comment
                lines[i] = end_of + after
                return "".join(lines)
        lines.insert(named[0] + 1, f"{key} = {value}\n")
        return "".join(lines)
    return text
