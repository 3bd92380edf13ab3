"""Laws of recorded pictures: video files and folders of stills, good and bad."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.capture.events import events
from edge.capture.files import StillFolder, VideoFile
from edge.capture.video import TimeSource, VideoState, open_video
from edge.capture.video_probe import probe_camera
from edge.config import CameraConfig
from edge.errors import MissingExtraError, VideoError
from edge.records import Frame

RATE_HZ = 25
N = 40


def picture(index: int, width: int = 320, height: int = 192) -> np.ndarray:
    """A grey that counts, 5 levels a frame, and a mark that moves."""
    image = np.full((height, width, 3), 20 + 5 * (index % 40), np.uint8)
    image[10:30, 10 + index : 30 + index] = 255
    return image


def number_of(image: np.ndarray) -> int:
    # The way to YUV and back costs up to four levels of the twenty that frame 0 has.
    return round((float(image[-40:, -40:].mean()) - 18) / 5)


def is_growing(times: Sequence[int]) -> bool:
    return all(a < b for a, b in pairwise(times))


def film(path: Path, images: Sequence[np.ndarray], codec: str = "libx264") -> Path:
    """Encode pictures; the first decides the container's size."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return film(tmp_path / "whole.mp4", [picture(i) for i in range(N)])


def camera(source: Path | str, **changes: object) -> CameraConfig:
    values: dict[str, object] = {
        "id": "front",
        "source": str(source),
        "model": Path("model"),
        "calibration": Path("camera.toml"),
        "mount": Path("mount.toml"),
    }
    return CameraConfig.model_validate(values | changes)


def nothing() -> None:
    return None


def frames_of(config: CameraConfig) -> tuple[list[Frame], object]:
    source = open_video(config, nothing)
    frames = [e for e in events([source], threading.Event()) if isinstance(e, Frame)]
    return frames, source.health()


def test_every_picture_of_a_file_comes_in_order_with_its_time(whole: Path) -> None:
    """Index, picture and PTS agree, with the thread and without, and on a second pass."""
    video = VideoFile(whole)
    assert (video.width_px, video.height_px, video.n_frames) == (320, 192, N)
    for items in (list(video), list(video.decode()), list(video)):
        assert [index for index, _, _ in items] == list(range(N))
        assert [number_of(image) for _, _, image in items] == list(range(N))
        assert [pts for _, pts, _ in items] == [i * 1_000_000_000 // RATE_HZ for i in range(N)]
    assert video.problem == ""


def test_frames_handed_on_are_never_overwritten(whole: Path) -> None:
    """A frame kept by the caller stays what it was while the file is decoded further."""
    kept = [image for _, _, image in VideoFile(whole)]
    assert [number_of(image) for image in kept] == list(range(N))
    assert not any(np.shares_memory(a, b) for a, b in pairwise(kept))


def test_leaving_a_file_early_ends_its_thread(whole: Path) -> None:
    """A caller that stops iterating leaves no thread behind."""
    before = threading.active_count()
    pictures = iter(VideoFile(whole))
    next(pictures)
    assert threading.active_count() == before + 1
    pictures.close()
    assert threading.active_count() == before


def test_a_file_as_a_camera_gives_every_frame_at_its_own_pace(whole: Path) -> None:
    """Capture times step by the file's frame interval however fast the loop takes them."""
    frames, health = frames_of(camera(whole, latency_sigma_s=0.03, max_rate_hz=1.0))
    assert [frame.index for frame in frames] == list(range(N))
    steps = np.diff([frame.captured_mono_ns for frame in frames])
    assert set(steps.tolist()) == {1_000_000_000 // RATE_HZ}
    assert {frame.captured_sigma_s for frame in frames} == {0.03}
    assert health.state is VideoState.ENDED
    assert (health.frames, health.dropped, health.last_error) == (N, 0, "")
    assert health.time_source is TimeSource.FILE_PTS
    assert health.rate_hz == RATE_HZ


def test_two_files_fly_as_two_cameras(tmp_path: Path) -> None:
    """Each camera keeps its own frames, whole and in order."""
    sources = [
        open_video(
            camera(film(tmp_path / f"{name}.mp4", [picture(i) for i in range(n)]), id=name), nothing
        )
        for name, n in (("wide", 30), ("tele", 12))
    ]
    seen: dict[str, list[int]] = {"wide": [], "tele": []}
    for event in events(sources, threading.Event()):
        if isinstance(event, Frame):
            seen[event.camera_id].append(number_of(event.image_bgr))
    assert seen == {"wide": list(range(30)), "tele": list(range(12))}


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """No such file: the message names it and what to look at."""
    with pytest.raises(VideoError, match=r"gone\.mp4.*`source`"):
        open_video(camera(tmp_path / "gone.mp4"), nothing)


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 100, bytes(range(256)) * 64])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, text or noise: refused when it is opened, with what to try."""
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.mp4.*ffprobe"):
        VideoFile(path)


def test_a_file_cut_before_its_index_is_refused(whole: Path) -> None:
    """An MP4 whose index is missing cannot be played at all, and that is said."""
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="cut short"):
        VideoFile(whole)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    """A file without a video stream is refused."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"sound\.mp4"):
        VideoFile(path)


def test_a_codec_that_is_not_there_is_refused(whole: Path) -> None:
    """A stream whose codec no decoder knows gives an error, not an endless wait."""
    data = whole.read_bytes()
    assert data.count(b"avc1") >= 1
    whole.write_bytes(data.replace(b"avc1", b"zzz9"))
    with pytest.raises(VideoError, match=r"whole\.mp4"):
        VideoFile(whole)


def test_a_file_cut_midway_plays_what_it_has_and_says_so(tmp_path: Path) -> None:
    """What decodes is flown; then the health says how much is missing."""
    path = film(tmp_path / "cut.mp4", [picture(i) for i in range(N)])
    with av.open(str(path)) as container:
        sizes = [packet.pos for packet in container.demux() if packet.pos is not None]
    data = bytearray(path.read_bytes())
    start = sizes[N // 2]
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)  # the second half of the pictures is gone
    path.write_bytes(data)
    frames, health = frames_of(camera(path))
    assert 0 < len(frames) < N
    assert health.state is VideoState.ENDED
    assert f"of {N} pictures" in health.last_error


def test_a_size_that_changes_midway_ends_nothing(tmp_path: Path) -> None:
    """Every picture comes, in the first one's size, and time goes on."""
    small = film(tmp_path / "small.ts", [picture(i) for i in range(10)])
    large = film(tmp_path / "large.ts", [picture(i, 640, 384) for i in range(10)])
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    frames, _ = frames_of(camera(both))
    assert [number_of(frame.image_bgr) for frame in frames] == [*range(10), *range(10)]
    assert {(frame.width_px, frame.height_px) for frame in frames} == {(320, 192)}
    assert is_growing([frame.captured_mono_ns for frame in frames])


def test_stills_of_another_size_go_through_and_are_counted(tmp_path: Path) -> None:
    """A folder may mix sizes: each frame has its own."""
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"s{index}.png"), picture(index, 320 + 64 * (index // 2)))
    frames, health = frames_of(camera(tmp_path))
    assert [frame.width_px for frame in frames] == [320, 320, 384, 384]
    assert (health.size_changes, health.width_px) == (1, 384)


def test_a_stream_without_times_gets_them_from_its_rate(tmp_path: Path) -> None:
    """Raw H.264 has no timestamps; time goes on nevertheless."""
    path = film(tmp_path / "raw.h264", [picture(i) for i in range(10)])
    times = [pts for _, pts, _ in VideoFile(path)]
    assert len(times) == 10
    assert times[0] >= 0
    assert is_growing(times)


def test_stills_come_by_name(tmp_path: Path) -> None:
    """A folder of stills is a film in the order of its names; others' files are left alone."""
    for index in (3, 1, 2):
        cv2.imwrite(str(tmp_path / f"s{index}.png"), picture(index))
    (tmp_path / "notes.txt").write_text("not a picture")
    stills = list(StillFolder(tmp_path))
    assert [(i, path.name, number_of(image)) for i, path, image in stills] == [
        (0, "s1.png", 1),
        (1, "s2.png", 2),
        (2, "s3.png", 3),
    ]
    assert [path.name for _, path, _ in StillFolder(tmp_path, "s[12].png")] == ["s1.png", "s2.png"]
    frames, health = frames_of(camera(tmp_path, max_rate_hz=2.0))
    assert np.diff([f.captured_mono_ns for f in frames]).tolist() == [500_000_000] * 2
    assert health.time_source is TimeSource.FILE_RATE


def test_a_still_that_does_not_decode_is_left_out_and_counted(tmp_path: Path) -> None:
    """One bad still costs one frame; its index stays its own."""
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"s{index}.png"), picture(index))
    (tmp_path / "s1.png").write_bytes(b"broken")
    folder = StillFolder(tmp_path)
    assert [index for index, _, _ in folder] == [0, 2]
    assert folder.unreadable == 1
    frames, health = frames_of(camera(tmp_path))
    assert [frame.index for frame in frames] == [0, 2]
    assert "s1.png" in health.last_error


@pytest.mark.parametrize("kind", ["missing", "empty", "bad"])
def test_a_folder_without_stills_is_refused(tmp_path: Path, kind: str) -> None:
    """Missing, empty, or nothing that decodes: each has its own message."""
    folder = tmp_path / "stills"
    if kind != "missing":
        folder.mkdir()
    if kind == "bad":
        (folder / "s1.jpg").write_bytes(b"broken")
    says = {"missing": "no such folder", "empty": "no still matches", "bad": "none of 1"}[kind]
    with pytest.raises(VideoError, match=says):
        StillFolder(folder)


def test_a_probe_of_a_file_says_what_it_is(whole: Path, tmp_path: Path) -> None:
    """`check` opens a file as it opens a camera; a bad one is an answer, not an exception."""
    probe = probe_camera(camera(whole), nothing, seconds=20)
    assert (probe.opened, probe.width_px, probe.height_px) == (True, 320, 192)
    assert (probe.rate_hz, probe.time_source, probe.error) == (RATE_HZ, "file_pts", "")
    bad = probe_camera(camera(tmp_path / "gone.mp4"), nothing, seconds=20)
    assert not bad.opened
    assert "gone.mp4" in bad.error


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "udp://:nonsense",
        "udp://",
        "tcp://:5600",
        "csi://front",
        "gst: ",
        "rtsp://[x",
    ],
)
def test_a_url_that_no_source_has_is_refused_before_the_flight(url: str) -> None:
    """A wrong URL is an error at the start, naming it or what is missing."""
    with pytest.raises((VideoError, MissingExtraError)):
        open_video(camera(url), nothing)
