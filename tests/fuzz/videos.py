"""`python -m tests.fuzz.videos --files N --seed S --out DIR`: damaged recordings, read in a child.

The decoders are other people's C code: what they do with a cut or flipped file is tried in a
process of its own, which reads as a flight does.  The result says how many files played, how many
were refused in words, and whether any ended the process, held it up or broke it otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import av
import numpy as np

from edge.capture.events import events
from edge.capture.gstreamer import GstOpener
from edge.capture.video import open_video
from edge.config import CameraConfig
from edge.errors import SkywhistleError, VideoError
from edge.records import Frame
from tests.fuzz.mutate import mutate_bytes
from tests.fuzz.target import scratch

REPO: Final = Path(__file__).resolve().parents[2]
CODECS: Final = {".mp4": "libx264", ".mkv": "libx264", ".avi": "mpeg4", ".ts": "libx264"}
_RATE_HZ, _PICTURES = 25, 20
_CHILD_S: Final = 120  # of the clock without a word: that is a hang
_READ_S: Final = 3.0


def films() -> list[tuple[str, bytes]]:
    """Encode a short film in each container; return (suffix, bytes)."""
    made = []
    for suffix, codec in CODECS.items():
        path = scratch() / f"film{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=_RATE_HZ)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            for n in range(_PICTURES):
                image = np.full((96, 160, 3), 20 + 5 * n, np.uint8)
                image[10:30, 10 + n : 30 + n] = 255
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            container.mux(stream.encode())
        made.append((suffix, path.read_bytes()))
    return made


def damaged(data: bytes, rng: Random) -> bytes:
    """Cut a film, flip bits of it, or change bytes, in its head or anywhere."""
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        out = bytearray(data)
        for _ in range(rng.choice((1, 4, 32, 256))):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
        return bytes(out)
    if kind == 2:
        return mutate_bytes(data, rng)
    at = rng.choice((0, max(0, len(data) - 1200)))  # an MP4's index stands at its end
    return data[:at] + mutate_bytes(data[at : at + 1200], rng) + data[at + 1200 :]


def make(folder: Path, count: int, seed: int) -> list[Path]:
    """Write damaged films; the same for the same seed."""
    rng, good, paths = Random(seed), films(), []
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        suffix, data = good[n % len(good)]
        path = folder / f"{n:05d}{suffix}"
        path.write_bytes(damaged(data, rng))
        paths.append(path)
    return paths


def play(path: Path) -> int:
    """Read a file as a flight does; return how many pictures came."""
    camera = CameraConfig(
        id="front", source=str(path), model=Path("m"), calibration=Path("c"), mount=Path("m")
    )
    source = open_video(camera, lambda: None)
    frames = [one for one in events([source], threading.Event()) if isinstance(one, Frame)]
    assert all(frame.image_bgr.ndim == 3 for frame in frames)
    broken = source.health().last_error
    assert len(frames) <= 10 * _PICTURES, broken
    return len(frames)


def play_by_gstreamer(path: Path) -> int:
    """Read a file through GStreamer, as a pipeline of the user's own."""
    reader = GstOpener(0.1).open(f'gst:filesrc location="{path}" ! decodebin', "auto")
    count, silent_since_s = 0, time.monotonic()
    try:
        while time.monotonic() - silent_since_s < _READ_S and count < 10 * _PICTURES:
            if reader.read(0.2) is not None:
                count, silent_since_s = count + 1, time.monotonic()
    except VideoError:
        if count == 0:
            raise
    finally:
        reader.close()
    return count


def child(paths: list[Path], how: str) -> None:
    """Read files and say a line of JSON of each, before it and after it."""
    threading.excepthook = _told_by_thread
    for path in paths:
        _say(path=path.name)
        start_s = time.process_time()
        try:
            pictures = (play if how == "file" else play_by_gstreamer)(path)
            outcome = "played" if pictures else "nothing"
        except SkywhistleError as error:
            pictures, outcome = 0, "refused" if str(error) else "refused without words"
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            pictures, outcome = 0, f"{type(error).__name__} at {where.filename}:{where.lineno}"
        _say(path=path.name, outcome=outcome, pictures=pictures, s=time.process_time() - start_s)


def _told_by_thread(told: threading.ExceptHookArgs) -> None:
    _say(thread=f"{told.exc_type.__name__}: {told.exc_value}")


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def try_all(paths: list[Path], how: str) -> dict[str, Any]:
    """Have a child read all files; start another where one has ended the process."""
    outcomes: Counter[str] = Counter()
    left, slowest_s, bad = list(paths), 0.0, {}
    while left:
        lines, ended = _child(left, how)
        done = [line for line in lines if "outcome" in line]
        for line in lines:
            if "thread" in line:
                outcomes[f"thread: {line['thread']}"] += 1
        for line in done:
            outcomes[line["outcome"]] += 1
            slowest_s = max(slowest_s, line["s"])
            if line["outcome"] not in {"played", "nothing", "refused"}:
                bad.setdefault(line["outcome"], line["path"])
        left = left[len(done) :]
        if left:
            outcomes[ended] += 1
            bad.setdefault(ended, left[0].name)
            left = left[1:]
    return {
        "how": how, "files": len(paths), "outcomes": dict(outcomes), "first_bad": bad,
        "slowest_cpu_s": round(slowest_s, 3),
    }  # fmt: skip


def _child(paths: list[Path], how: str) -> tuple[list[dict[str, Any]], str]:
    command = [sys.executable, "-m", "tests.fuzz.videos", "--child", how, *map(str, paths)]
    lines: list[dict[str, Any]] = []
    is_hung = threading.Event()
    with subprocess.Popen(
        command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:

        def end() -> None:
            is_hung.set()
            worker.kill()

        assert worker.stdout is not None
        watch = threading.Timer(_CHILD_S, end)
        watch.start()
        for line in worker.stdout:
            watch.cancel()
            watch = threading.Timer(_CHILD_S, end)
            watch.start()
            lines.append(json.loads(line))
        watch.cancel()
    return lines, "hang" if is_hung.is_set() else f"process ended with {worker.returncode}"


def main() -> int:
    """Make the files and try them."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.videos", description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz-videos"))
    parser.add_argument("--how", choices=("file", "gstreamer"), default="file")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.child:
        how, *paths = told.child
        child([Path(path) for path in paths], how)
        return 0
    result = try_all(make(told.out, told.files, told.seed), told.how)
    result["seed"] = told.seed
    (told.out / f"result-{told.how}.json").write_text(json.dumps(result, indent=2) + "\n")
    _say(**result)
    return 1 if result["first_bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
