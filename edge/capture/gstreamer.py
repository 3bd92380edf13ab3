"""Live video through GStreamer: one pipeline for one connection, built anew for each."""

from __future__ import annotations

import functools
import logging
from typing import Any

from edge.capture.gstreamer_pipeline import Pipeline
from edge.capture.gstreamer_recipes import Recipe, recipe_from_url
from edge.capture.picture_memory import PictureMemory
from edge.capture.rtp import encoding_of_rtp
from edge.capture.video_records import Picture, without_password
from edge.errors import MissingExtraError, VideoError
from edge.extras import how_to_install

log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=1)
def load_gst() -> Any:
    """Import and initialise GStreamer.

    Raises:
        MissingExtraError: PyGObject or GStreamer is not installed.
    """
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        # GstApp teaches appsink its methods.
        from gi.repository import Gst, GstApp  # noqa: F401
    except (ImportError, ValueError) as error:
        raise MissingExtraError(
            f"GStreamer is not usable from Python ({error}); on Debian and Ubuntu: "
            f"apt install gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good "
            f"gstreamer1.0-plugins-bad gstreamer1.0-libav; then {how_to_install('gstreamer')}"
        ) from error
    Gst.init(None)
    return Gst


def is_available() -> bool:
    """Whether GStreamer can be used at all."""
    try:
        load_gst()
    except MissingExtraError:
        return False
    return True


class GstOpener:
    """Opens a camera's streams; remembers between connections what was learned the hard way."""

    def __init__(self, jitter_s: float) -> None:
        self._jitter_s = jitter_s
        self._banned: set[str] = set()  # decoders that broke
        self._sniffed: dict[str, str] = {}  # codec by URL
        self.memory = PictureMemory()

    def open(self, url: str, encoding: str) -> GstReader:
        """Build a pipeline and start it.

        Raises:
            VideoError: the URL is wrong, or the pipeline does not start.
            MissingExtraError: GStreamer, or an element of it, is not installed.
        """
        return GstReader(url, self.recipe(url, encoding), self)

    def recipe(self, url: str, encoding: str) -> Recipe:
        guess = self._sniffed.get(url, "h264")
        return recipe_from_url(url, encoding, self._jitter_s, guess)

    def learn_codec(self, url: str, codec: str) -> None:
        self._sniffed[url] = codec

    def ban(self, element: str) -> None:
        log.warning("decoder_failed element=%s", element)
        self._banned.add(element)

    @property
    def banned(self) -> frozenset[str]:
        return frozenset(self._banned)


class GstReader:
    """One connection, a PictureReader."""

    def __init__(self, url: str, recipe: Recipe, opener: GstOpener) -> None:
        self._url = url
        self._opener = opener
        self._gst = load_gst()
        self._codec = recipe.codec  # what was built
        self._wanted_codec: str | None = None  # what the packets say, where they differ
        self._run = self._pipeline(recipe)

    def _pipeline(self, recipe: Recipe) -> Pipeline:
        gst, banned, memory = self._gst, self._opener.banned, self._opener.memory
        return Pipeline(gst, self._url, recipe, banned, self._packet_seen, memory=memory)

    @property
    def decoder(self) -> str:
        return self._run.decoder

    def _packet_seen(self, head: bytes) -> bool:
        """Look at an RTP packet's first bytes; True when it has told its codec."""
        codec = encoding_of_rtp(head)
        if codec is None:
            return False
        self._opener.learn_codec(self._url, codec)
        if codec != self._codec:
            self._wanted_codec = codec
        return True

    def read(self, timeout_s: float) -> Picture | None:
        if self._wanted_codec is not None:
            self._change_codec(self._wanted_codec)
        self._raise_what_broke()
        return self._run.pull(timeout_s)

    def _change_codec(self, codec: str) -> None:
        log.info("video_codec url=%s codec=%s", without_password(self._url), codec)
        self._wanted_codec, self._codec = None, codec
        self._run.close()
        recipe = self._opener.recipe(self._url, codec)
        self._run = self._pipeline(recipe)

    def _raise_what_broke(self) -> None:
        broken = self._run.broken()
        if broken is None:
            return
        element, reason = broken
        if element and element == self._run.decoder:
            self._opener.ban(element)
        raise VideoError(f"{without_password(self._url)}: {reason}")

    def close(self) -> None:
        self._run.close()
