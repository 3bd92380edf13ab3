"""Which GStreamer elements turn a camera's stream into raw video on this computer."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from edge.errors import MissingExtraError, VideoError

# NVIDIA's decoders leave the picture in their own memory; nvvidconv (Jetson) brings it out, but
# not as BGR.
_FROM_NVMM = "nvvidconv ! video/x-raw,format=BGRx"

# Properties that are set where this version of the element has them.
# More threads than two buy nothing at 1080p, and the inference needs the cores.  Slices, not
# frames: frame threads would hold each picture back by as many frames as there are threads.
# Who joins midway, or loses packets, has no reference picture: such green or smeared pictures
# would be shown to the detector, since libav puts them out by default.
_AVDEC = (
    "max-threads=2",
    "thread-type=slice",
    "output-corrupt=false",
    "discard-corrupted-frames=true",
)

_DEPAYLOADERS = {"h264": "rtph264depay", "h265": "rtph265depay", "jpeg": "rtpjpegdepay"}
_PARSERS = {"h264": "h264parse", "h265": "h265parse", "jpeg": "jpegparse"}


@dataclass(frozen=True, slots=True)
class Decoder:
    """One way to decode."""

    element: str
    properties: tuple[str, ...] = ()
    then: str = ""  # elements that bring the picture into this computer's memory
    needs: tuple[str, ...] = ()  # elements

    @property
    def description(self) -> str:
        """As GStreamer's launch syntax has it."""
        element = " ".join((self.element, *self.properties))
        return f"{element} ! {self.then}" if self.then else element


# Hardware first.
_DECODERS: dict[str, tuple[Decoder, ...]] = {
    "h264": (
        Decoder("nvv4l2decoder", then=_FROM_NVMM, needs=("nvvidconv",)),
        Decoder("v4l2h264dec"),
        Decoder("v4l2slh264dec"),
        Decoder("avdec_h264", _AVDEC),
        Decoder("openh264dec"),
    ),
    "h265": (
        Decoder("nvv4l2decoder", then=_FROM_NVMM, needs=("nvvidconv",)),
        Decoder("v4l2h265dec"),
        Decoder("v4l2slh265dec"),  # Raspberry Pi 5
        Decoder("avdec_h265", _AVDEC),
        Decoder("libde265dec"),
    ),
    "jpeg": (Decoder("jpegdec"), Decoder("avdec_mjpeg")),
}

# Caps name of a pad, or encoding name of an RTP pad, to our word for it.
_CODEC_FROM_CAPS = {
    "video/x-h264": "h264",
    "video/x-h265": "h265",
    "image/jpeg": "jpeg",
    "H264": "h264",
    "H265": "h265",
    "JPEG": "jpeg",
}


def codec_of_caps(structure: Any) -> tuple[str, bool] | None:
    """(codec, whether it is in RTP) of a pad's first caps structure; None: no video we know."""
    name = structure.get_name()
    is_rtp = name == "application/x-rtp"
    if is_rtp:
        name = structure.get_string("encoding-name") or ""
    codec = _CODEC_FROM_CAPS.get(name)
    return (codec, is_rtp) if codec else None


def choose_decoder(gst: Any, codec: str, banned: AbstractSet[str] = frozenset()) -> Decoder:
    """Choose the first decoder that is installed and opens its device.

    One that failed before comes last: a damaged stream may break all of them, and the next one
    deserves a decoder.

    Args:
        gst: the Gst namespace, initialised.
        codec: h264, h265 or jpeg.
        banned: elements that broke earlier.

    Raises:
        VideoError: none is installed.
    """
    for decoder in sorted(_DECODERS[codec], key=lambda decoder: decoder.element in banned):
        element = _opened(gst, decoder.element)
        if element is not None and all(_exists(gst, name) for name in decoder.needs):
            known = (p for p in decoder.properties if element.find_property(p.split("=")[0]))
            return replace(decoder, properties=tuple(known))
    tried = ", ".join(decoder.element for decoder in _DECODERS[codec])
    raise VideoError(
        f"no decoder for {codec} works (tried {tried}); on Debian and Ubuntu: "
        f"apt install gstreamer1.0-libav"
    )


def decoding_chain(codec: str, decoder: Decoder, is_rtp: bool) -> str:
    """Describe what stands between a pad with `codec` and raw video; RTP begins with `depay`."""
    depay = f"{_DEPAYLOADERS[codec]} name=depay ! " if is_rtp else ""
    return f"{depay}{_PARSERS[codec]} ! {decoder.description}"


def csi_head(gst: Any, sensor: int) -> tuple[str, str]:
    """(element, description) of a ribbon-cable camera: Jetson's, else libcamera's.

    Raises:
        MissingExtraError: neither element is installed.
    """
    if _exists(gst, "nvarguscamerasrc"):
        head = f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM) ! {_FROM_NVMM}"
        return "nvarguscamerasrc", f"{head} ! identity name=head"
    if _exists(gst, "libcamerasrc"):
        if sensor:
            raise MissingExtraError(
                f"csi://{sensor}: libcamera names its cameras; `cam -l` lists them; then use "
                f"gst:libcamerasrc camera-name=…"
            )
        return "libcamerasrc", "libcamerasrc ! video/x-raw ! identity name=head"
    raise MissingExtraError(
        f"csi://{sensor}: neither nvarguscamerasrc (Jetson) nor libcamerasrc is installed; on "
        f"Raspberry Pi OS: apt install gstreamer1.0-libcamera"
    )


def _exists(gst: Any, element: str) -> bool:
    return gst.ElementFactory.find(element) is not None


def _opened(gst: Any, name: str) -> Any | None:
    """An element that reached READY, in which a device is opened; None: it is not to be had."""
    made = gst.ElementFactory.make(name, None)
    if made is None:
        return None
    opened = made.set_state(gst.State.READY) != gst.StateChangeReturn.FAILURE
    made.set_state(gst.State.NULL)
    return made if opened else None
