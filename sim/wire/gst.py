"""GStreamer for the simulator, loaded late: only serving video needs it."""

from __future__ import annotations

from typing import Any

from edge.errors import MissingExtraError
from edge.extras import how_to_install

_ADVICE = (
    "on Debian or Ubuntu, "
    "apt install libgirepository1.0-dev gir1.2-gstreamer-1.0 gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad "
    f"gstreamer1.0-plugins-ugly gstreamer1.0-libav; then {how_to_install('gstreamer')}"
)
_NEEDED = ("qtdemux", "h264parse", "rtph264pay", "udpsink", "appsink", "appsrc")


def load_gst() -> Any:
    """Return the initialised `Gst` module.

    Raises:
        MissingExtraError: PyGObject, GStreamer or one of its plugins is not installed.
    """
    gst = _require("Gst")
    _require("GstApp")  # before the first appsink: it teaches all of this process their methods
    gst.init(None)
    missing = [name for name in _NEEDED if gst.ElementFactory.find(name) is None]
    if missing:
        raise MissingExtraError(f"GStreamer has no {', '.join(missing)}: {_ADVICE}")
    return gst


def load_rtsp_server() -> Any:
    """Return the `GstRtspServer` module.

    Raises:
        MissingExtraError: It is not installed.
    """
    load_gst()
    return _require("GstRtspServer")


def _require(name: str) -> Any:
    try:
        import gi

        gi.require_version(name, "1.0")
        return __import__(f"gi.repository.{name}", fromlist=[name])
    except (ImportError, ValueError) as error:
        raise MissingExtraError(f"serving video needs GStreamer ({error}): {_ADVICE}") from error


def bus_error(gst: Any, pipeline: Any) -> str | None:
    """Return what went wrong in a pipeline, if anything did."""
    message = pipeline.get_bus().pop_filtered(gst.MessageType.ERROR)
    if message is None:
        return None
    error, debug = message.parse_error()
    return f"{error.message} ({debug})"
