"""Makes films of episodes, a GIF or a video, from recordings; no game is played here. `replay` makes a page on which
the reader can move through an episode.

Frame t shows the game after t steps; below it are the actions of step t and their rewards. A film shows one recording,
or several side by side (a trained team beside a random one). Each column may be a list of recordings, shown in turn.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from comity.extras import needed
from comity.report.film_column import Column
from comity.report.palettes import packed, shared_palette
from comity.report.recording import Films, as_columns
from comity.report.replay import replay_html, write_html

__all__ = ["replay_html", "save_gif", "write_gif", "write_html", "write_mp4"]

LAST = 1500  # ms, how long the last frame of a GIF stays
PAUSE = 1.0  # s, from one episode to the next


def write_gif(recordings: Films, path: str | Path, fps: float = 8, scale: float | None = None) -> Path:
    """Writes the recordings side by side as one GIF; a column that ends before the others waits at its end.

    fps: steps per second, up to 50. scale: pixels of film per pixel of a frame; None: a picture of about 288 pixels.
    """
    reel, step = Reel(recordings, fps, scale), round(1000 / fps)
    save_gif(path, reel.picture, [step] * (reel.length - 1) + [max(LAST, step)])
    return Path(path)


class Reel:
    """The pictures of a film, 0 to length - 1. Each column shows its episodes in turn, with a pause between them."""

    def __init__(self, recordings: Films, fps: float, scale: float | None = None):
        if not 0 < fps <= 50:
            raise ValueError(f"fps is {fps}: films show more than 0 and at most 50 frames per second")
        if scale is not None and not scale > 0:
            raise ValueError(f"scale is {scale}: pixels of film per pixel of a frame, so more than 0")
        columns = [[Column(episode, scale) for episode in some] for some in as_columns(recordings)]
        every = [column for some in columns for column in some]
        self.heights = [max(column.heights[part] for column in every) for part in range(3)]
        self.widths = [max(column.width for column in some) for some in columns]
        still = round(PAUSE * fps)
        self.shown: list[list[tuple[Column, int]]] = []  # of each column, the episode and step of each picture
        for some in columns:
            turns = [[(column, t) for t in range(column.episode.length + 1)] for column in some]
            self.shown.append([place for turn in turns[:-1] for place in (*turn, *turn[-1:] * still)] + turns[-1])
        self.length = max(map(len, self.shown))

    def picture(self, t: int) -> np.ndarray:
        """Returns picture t, [H, W, 3] uint8."""
        drawn = []
        for places, width in zip(self.shown, self.widths, strict=True):
            column, step = places[min(t, len(places) - 1)]
            image = column.draw(step if t < len(places) else step + 1, self.heights)
            room = width - image.shape[1]
            drawn.append(np.pad(image, ((0, 0), (room // 2, room - room // 2), (0, 0)), constant_values=255))
        return np.concatenate(drawn, axis=1)


def write_mp4(recordings: Films, path: str | Path, fps: float = 8, scale: float | None = None) -> Path:
    """Does the same as `write_gif`, but writes a video (H.264), which every browser and presentation program shows.

    Raises ImportError without the extra `video`.
    """
    reel, path = Reel(recordings, fps, scale), Path(path)
    still, part = round(LAST / 1000 * fps), path.with_name(f".{path.stem}.part.mp4")
    high, wide = (size + size % 2 for size in reel.picture(0).shape[:2])  # the codec knows even sizes only
    program = needed("imageio_ffmpeg", "give a .gif").get_ffmpeg_exe()
    pictures = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}", "-r", f"{fps}", "-i", "-"]
    video = ["-an", "-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(part)]
    # The package's own writer is not used: its preexec_fn forks, and with jax's threads a fork may never return.
    command = [program, "-v", "error", "-y", *pictures, *video]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        with contextlib.suppress(BrokenPipeError):  # ffmpeg may end early; it then says why
            for t in (*range(reel.length), *[reel.length - 1] * still):
                image = reel.picture(t)
                room = (high - image.shape[0], wide - image.shape[1])
                padded = np.pad(image, ((0, room[0]), (0, room[1]), (0, 0)), constant_values=255)
                encoder.stdin.write(padded.tobytes())
            encoder.stdin.close()
        said = encoder.stderr.read().decode(errors="replace").strip()
    if encoder.returncode:
        part.unlink(missing_ok=True)
        raise OSError(f"{path} was not written: ffmpeg says {said.splitlines()[-1] if said else encoder.returncode}")
    part.replace(path)
    return path


def save_gif(path: str | Path, picture: Callable[[int], np.ndarray], durations: Sequence[int]) -> None:
    """Writes the pictures 0, 1, ... ([H, W, 3] uint8) as a GIF with one palette. durations: ms, one per picture.

    Each picture is made twice, once for its colours and once to be written, so that long films need little memory.
    """
    palette, indices = shared_palette(picture, len(durations))

    def image(t: int) -> Image.Image:
        indexed = Image.fromarray(indices[packed(picture(t))].astype(np.uint8), "P")
        indexed.putpalette(palette.tobytes())
        return indexed

    path = Path(path)
    part = path.with_name(path.name + ".part")
    others: Any = map(image, range(1, len(durations)))  # Pillow takes any iterable, its annotation only lists
    image(0).save(part, "GIF", save_all=True, append_images=others, duration=list(durations), loop=0, optimize=True)
    part.replace(path)
