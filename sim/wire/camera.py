"""The camera component on the wire: who it is, and where its video streams are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink2

_m = mavlink2

FIRST_CAMERA_COMPONENT = 100
_URI_BYTES = 160
_NAME_BYTES = 32


class Announce(Enum):
    """Which stream the camera tells of."""

    NONE = "none"
    RTP = "rtp"
    RTSP = "rtsp"


@dataclass(frozen=True)
class StreamInfo:
    """What a camera says of its one stream."""

    camera_id: str
    announce: Announce
    uri: str  # for RTP only the port number, as the protocol wants it
    width_px: int
    height_px: int
    rate_hz: float
    bitrate_bps: int


def heartbeat() -> Any:
    """Return a camera's heartbeat."""
    return _m.MAVLink_heartbeat_message(
        _m.MAV_TYPE_CAMERA, _m.MAV_AUTOPILOT_INVALID, 0, 0, _m.MAV_STATE_ACTIVE, 3
    )


def camera_information(info: StreamInfo, boot_ms: int) -> Any:
    """Return CAMERA_INFORMATION."""
    flags = _m.CAMERA_CAP_FLAGS_CAPTURE_VIDEO
    if info.announce is not Announce.NONE:
        flags |= _m.CAMERA_CAP_FLAGS_HAS_VIDEO_STREAM
    return _m.MAVLink_camera_information_message(
        time_boot_ms=boot_ms,
        vendor_name=_padded("Skywhistle"),
        model_name=_padded(f"simulated {info.camera_id}"),
        firmware_version=1,
        focal_length=float("nan"),  # not said, as most cameras do
        sensor_size_h=float("nan"),
        sensor_size_v=float("nan"),
        resolution_h=info.width_px,
        resolution_v=info.height_px,
        lens_id=0,
        flags=flags,
        cam_definition_version=0,
        cam_definition_uri=b"",
    )


def video_stream_information(info: StreamInfo) -> Any:
    """Return VIDEO_STREAM_INFORMATION of stream 1 of 1."""
    is_rtsp = info.announce is Announce.RTSP
    return _m.MAVLink_video_stream_information_message(
        stream_id=1,
        count=1,
        type=_m.VIDEO_STREAM_TYPE_RTSP if is_rtsp else _m.VIDEO_STREAM_TYPE_RTPUDP,
        flags=_m.VIDEO_STREAM_STATUS_FLAGS_RUNNING,
        framerate=info.rate_hz,
        resolution_h=info.width_px,
        resolution_v=info.height_px,
        bitrate=info.bitrate_bps,
        rotation=0,
        hfov=0,
        name=info.camera_id.encode()[:_NAME_BYTES],
        uri=info.uri.encode()[:_URI_BYTES],
        encoding=_m.VIDEO_STREAM_ENCODING_H264,
    )


def knows_nothing(message_id: int, boot_ms: int) -> Any | None:
    """Return what an autopilot without a camera of its own answers: all zeros (measured)."""
    if message_id == _m.MAVLINK_MSG_ID_CAMERA_INFORMATION:
        none = [0] * _NAME_BYTES
        return _m.MAVLink_camera_information_message(
            boot_ms, none, none, 0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, b""
        )
    if message_id == _m.MAVLINK_MSG_ID_VIDEO_STREAM_INFORMATION:
        return _m.MAVLink_video_stream_information_message(0, 0, 0, 0, 0.0, 0, 0, 0, 0, 0, b"", b"")
    return None


def _padded(text: str) -> list[int]:
    return list(text.encode()[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0"))
