"""The film of an episode: a GIF to show, and one HTML file to scrub through. Reads recordings, plays nothing.

A frame t shows the game after t steps; below it stands what was done in step t and what it brought. Films take one
recording, or several to be seen beside one another (a trained team beside a random one); of each of these one, or
several to be seen in turn.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import io
import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from comity.extras import needed
from comity.report.recording import READ, Head, Recording, own_colours, sentence

Films = Recording | Sequence[Recording | Sequence[Recording]]  # beside one another; of each some in turn

INK, FAINT, PAPER, RULE = "#1b1f24", "#667080", "#ffffff", "#d8dee6"
BLANK = "#f4f6f9"  # the ground of a panel
GOOD, BAD = "#12915a", "#cf3a3a"
MARK = "#f0b400"  # of a gift
PICTURE = 288  # pixels, about the side of a picture in a GIF when no scale is given
ROWS = 10  # agents with a row of their own in a GIF
LAST = 1500  # ms, how long the last frame of a GIF stays
PAUSE = 1.0  # s, from one episode to the next
IMAGE_BYTES = 2_000_000  # all pictures of a replay before base64; beyond it they lose colours, then size
VIEW_NUMBERS = 400_000  # a replay with more numbers in its views leaves them out


# The GIF


def write_gif(recordings: Films, path: str | Path, fps: float = 8, scale: float | None = None) -> Path:
    """Writes the recordings side by side as one GIF; a column that ends before the others waits at its end.

    fps: steps per second, up to 50. scale: pixels of film per pixel of a frame; None: a picture of about 288.
    """
    reel, step = Reel(recordings, fps, scale), round(1000 / fps)
    save_gif(path, reel.picture, [step] * (reel.length - 1) + [max(LAST, step)])
    return Path(path)


class Reel:
    """The pictures of a film, 0 to length - 1: of each column its episodes in turn, with a pause between them."""

    def __init__(self, recordings: Films, fps: float, scale: float | None = None):
        if not 0 < fps <= 50:
            raise ValueError(f"fps is {fps}: films show more than 0 and at most 50 frames per second")
        if scale is not None and not scale > 0:
            raise ValueError(f"scale is {scale}: pixels of film per pixel of a frame, so more than 0")
        columns = [[_Column(episode, scale) for episode in some] for some in as_columns(recordings)]
        every = [column for some in columns for column in some]
        self.heights = [max(column.heights[part] for column in every) for part in range(3)]
        self.widths = [max(column.width for column in some) for some in columns]
        still = round(PAUSE * fps)
        self.shown: list[list[tuple[_Column, int]]] = []  # of each column what is seen when
        for some in columns:
            turns = [[(column, t) for t in range(column.episode.length + 1)] for column in some]
            self.shown.append([place for turn in turns[:-1] for place in (*turn, *turn[-1:] * still)] + turns[-1])
        self.length = max(map(len, self.shown))

    def picture(self, t: int) -> np.ndarray:
        """[H, W, 3] uint8."""
        drawn = []
        for places, width in zip(self.shown, self.widths, strict=True):
            column, step = places[min(t, len(places) - 1)]
            image = column.draw(step if t < len(places) else step + 1, self.heights)
            room = width - image.shape[1]
            drawn.append(np.pad(image, ((0, 0), (room // 2, room - room // 2), (0, 0)), constant_values=255))
        return np.concatenate(drawn, axis=1)


def write_mp4(recordings: Films, path: str | Path, fps: float = 8, scale: float | None = None) -> Path:
    """As `write_gif`, a video (H.264) that every browser and presentation shows. ImportError without extra `video`."""
    reel, path = Reel(recordings, fps, scale), Path(path)
    still, part = round(LAST / 1000 * fps), path.with_name(f".{path.stem}.part.mp4")
    high, wide = (size + size % 2 for size in reel.picture(0).shape[:2])  # the codec knows even sizes only
    program = needed("imageio_ffmpeg", "give a .gif").get_ffmpeg_exe()
    pictures = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}", "-r", f"{fps}", "-i", "-"]
    video = ["-an", "-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(part)]
    # Not by the package's own writer, whose preexec_fn forks, which may never return where jax has threads.
    command = [program, "-v", "error", "-y", *pictures, *video]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        with contextlib.suppress(BrokenPipeError):  # it ended early, and says why
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
    """The pictures 0, 1, ... ([H, W, 3] uint8) as a GIF with one palette. durations: ms, one per picture.

    Every picture is asked for twice, for its colours and to be written, so that long films need little memory.
    """
    palette, indices = shared_palette(picture, len(durations))

    def image(t: int) -> Image.Image:
        indexed = Image.fromarray(indices[_packed(picture(t))].astype(np.uint8), "P")
        indexed.putpalette(palette.tobytes())
        return indexed

    path = Path(path)
    part = path.with_name(path.name + ".part")
    others: Any = map(image, range(1, len(durations)))  # Pillow takes any iterable, its annotation only lists
    image(0).save(part, "GIF", save_all=True, append_images=others, duration=list(durations), loop=0, optimize=True)
    part.replace(path)


def shared_palette(picture: Callable[[int], np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    """One palette for all pictures, [256, 3] uint8, and for each colour that occurs its nearest index, [2 ** 24].

    Exact where 255 colours are enough; otherwise the most frequent, or a median cut where those cover too little.
    One index is left free, which GIF writers use for "as before".
    """
    counts: Counter[int] = Counter()
    for t in range(count):
        image = Image.fromarray(picture(t))
        found: Any = image.getcolors(image.width * image.height)  # [(pixels, (r, g, b)), ...]
        counts.update({(r << 16) | (g << 8) | b: pixels for pixels, (r, g, b) in found})
    frequent = counts.most_common(255)
    if sum(pixels for _, pixels in frequent) >= 0.98 * sum(counts.values()):
        chosen = _channels(np.array([colour for colour, _ in frequent]))
    else:
        sample = np.concatenate([picture(t) for t in np.linspace(0, count - 1, 12).astype(int).tolist()])
        cut = Image.fromarray(sample).quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        chosen = np.array(cut.getpalette()).reshape(-1, 3)[:255]
    indices = np.full(1 << 24, -1, np.int16)
    known = np.array(list(counts))
    for some in np.array_split(known, 1 + len(known) // 4096):
        indices[some] = ((_channels(some)[:, None] - chosen) ** 2).sum(-1).argmin(-1)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(chosen)] = chosen
    return palette, indices


class _Column:
    """One episode of a GIF: title and caption, picture, then step, actions and rewards."""

    margin, row = 12, 20  # pixels

    def __init__(self, episode: Recording, scale: float | None):
        self.episode = episode
        self.frames = episode.frames
        size = (PICTURE + 72, panel_height(episode)) if self.frames is None else self.frames.shape[2:0:-1]
        if self.frames is None:
            scale = 1.0
        elif scale is None:
            wanted = PICTURE / max(size)
            scale = max(1, round(wanted)) if wanted > 0.75 else wanted
        self.size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        self.beside = None if episode.sharing is None else draw_sharing(episode)
        self.wide = self.size[0] + (0 if self.beside is None else self.beside.width + self.margin)
        self.width = max(self.wide, 300) + 2 * self.margin
        inner = self.width - 2 * self.margin
        about = f"{episode.task} · {episode.algorithm} · seed {episode.seed} · {episode.policy}"
        self.heading = [
            *((line, font(15, bold=True), INK) for line in wrapped(episode.title, font(15, bold=True), inner, 2)),
            *((line, font(12), INK) for line in wrapped(episode.caption, font(12), inner, 2)),
            (fitted(about, font(11), inner), font(11), FAINT),
        ]
        rows = min(episode.num_agents, ROWS) + (episode.num_agents > ROWS)
        tall = max(self.size[1], 0 if self.beside is None else self.beside.height)
        self.heights = (14 + 19 * len(self.heading), tall + 8, 30 + self.row * rows + 10)
        bold = font(12, bold=True)
        self.names = [fitted(name, bold, 84) for name in episode.agent_names[:ROWS]]
        self.actions_at = self.margin + 16 + max(bold.getlength(name) for name in self.names) + 14
        self.totals = np.concatenate([np.zeros((1, episode.num_agents)), np.cumsum(episode.rewards, 0)])  # [T + 1, N]

        self.sentences, self.marks = self._sentences(), self._marks()

    def _marks(self) -> list[str]:
        """[T + 1], the word of the last mark, and whose it is."""
        told = [""] * (self.episode.length + 1)
        for mark in self.episode.marks():
            whose = "" if mark.agent is None else f" of {self.episode.agent_names[mark.agent]}"
            told[mark.t + 1 : mark.last + 1] = [f"{mark.text}{whose}"] * (mark.last - mark.t)
        return told

    def _sentences(self) -> list[str]:
        """[T + 1], the last thing that happened, beside rewards, for as many steps as it takes to read it."""
        told = [""] * (self.episode.length + 1)
        for event in self.episode.events():
            if event.text != "reward":
                text = sentence(event, self.episode.agent_names)
                last = min(event.t + 1 + READ, len(told))
                told[event.t + 1 : last] = [text] * (last - event.t - 1)
        return told

    def draw(self, t: int, heights: Sequence[int]) -> np.ndarray:
        """[H, W, 3] uint8, the column after t steps; past the end, the end."""
        episode, waits, t = self.episode, t > self.episode.length, min(t, self.episode.length)
        image = Image.new("RGB", (self.width, sum(heights)), PAPER)
        pen = ImageDraw.Draw(image)
        for line, (text, face, colour) in enumerate(self.heading):
            pen.text((self.margin, 10 + 19 * line), text, fill=colour, font=face)
        picture = draw_panel(episode, t, self.size[0]) if self.frames is None else Image.fromarray(self.frames[t])
        if picture.size != self.size:
            enlarged = self.size[0] >= picture.width
            picture = picture.resize(self.size, Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)
        left, top = (self.width - self.wide) // 2, heights[0] + 4 + (heights[1] - 8 - self.size[1]) // 2
        image.paste(picture, (left, top))
        if self.beside is not None:
            middle = heights[0] + 4 + (heights[1] - 8 - self.beside.height) // 2
            image.paste(self.beside, (left + self.size[0] + self.margin, middle))
        received = episode.rewards[t - 1] if t and not waits else np.zeros(episode.num_agents)
        if rare(episode.rewards) and received.any():
            box = (left - 4, top - 4, left + self.size[0] + 3, top + self.size[1] + 3)
            pen.rectangle(box, outline=GOOD if received.sum() > 0 else BAD, width=4)
        if self.marks[t]:
            pen.rectangle((left, top, left + self.size[0] - 1, top + self.size[1] - 1), outline=MARK, width=4)
            wide = font(12, bold=True).getlength(self.marks[t]) + 12
            pen.rectangle((left, top, left + wide, top + 20), fill=MARK)
            pen.text((left + 6, top + 3), self.marks[t], fill=INK, font=font(12, bold=True))
        self._strip(pen, t, sum(heights[:2]), received)
        return np.asarray(image)

    def _strip(self, pen: ImageDraw.ImageDraw, t: int, top: int, received: np.ndarray) -> None:
        episode, left, right = self.episode, self.margin, self.width - self.margin
        T = episode.length
        pen.text((left, top + 4), f"step {t}/{T}", fill=INK, font=font(12, bold=True))
        told, begin = self.sentences[t], left + 10 + font(12, bold=True).getlength(f"step {T}/{T}")
        marked = bool(self.marks[t])
        words = fitted(told, font(12, bold=marked), right - begin - (80 if t == T else 0))
        pen.text((begin, top + 4), words, fill=INK, font=font(12, bold=marked))
        if t == T:
            pen.text((right, top + 4), episode.ended.split(":")[0], fill=FAINT, font=font(11), anchor="ra")
        pen.rectangle((left, top + 22, right, top + 24), fill=RULE)
        pen.rectangle((left, top + 22, left + (right - left) * t / T, top + 24), fill=FAINT)
        if rare(episode.rewards):
            for step in np.flatnonzero(episode.rewards.any(1)):
                x = left + (right - left) * (step + 1) / T
                pen.rectangle((x - 1, top + 20, x + 1, top + 26), fill=GOOD if episode.rewards[step].sum() > 0 else BAD)
        for event in episode.marks():
            x = left + (right - left) * (event.t + 1) / T
            pen.polygon([(x, top + 17), (x + 5, top + 23), (x, top + 29), (x - 5, top + 23)], fill=MARK, outline=INK)
        for n in range(min(episode.num_agents, ROWS)):
            y = top + 32 + self.row * n
            pen.ellipse((left, y + 3, left + 10, y + 13), fill=episode.agent_colours[n], outline=FAINT)
            pen.text((left + 16, y + 1), self.names[n], fill=INK, font=font(12, bold=True))
            flash = received[n] and rare(episode.rewards)
            room = right - (124 if flash else 70) - self.actions_at
            done = episode.action_text(t - 1, n) if t else "-"
            pen.text((self.actions_at, y + 1), fitted(done, font(12), room), fill=INK, font=font(12))
            if flash:
                pen.rounded_rectangle(
                    (right - 118, y - 1, right - 62, y + 17), 4, fill=GOOD if received[n] > 0 else BAD
                )
                pen.text((right - 90, y + 1), f"{received[n]:+.3g}", fill=PAPER, font=font(12, bold=True), anchor="ma")
            pen.text((right, y + 1), total_text(self.totals[t, n]), fill=INK, font=font(12, bold=True), anchor="ra")
        if episode.num_agents > ROWS:
            y = top + 32 + self.row * ROWS
            rest = self.totals[t, ROWS:]
            pen.text((left + 16, y + 1), f"and {len(rest)} more agents", fill=FAINT, font=font(12))
            pen.text((right, y + 1), total_text(rest.sum()), fill=FAINT, font=font(12), anchor="ra")


def draw_sharing(episode: Recording) -> Image.Image:
    """Whose rewards each agent gets, as a matrix: rows get, columns earn; the darker, the more."""
    assert episode.sharing is not None
    number, at = episode.num_agents, (20, 52)
    cell = max(10, min(34, 170 // number))
    image = Image.new("RGB", (max(at[0] + cell * number + 1, 116), at[1] + cell * number + 1), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((0, 0), "preferences", INK, font(12, bold=True))
    pen.text((0, 16), "row gets of column", FAINT, font(10))
    for n, colour in enumerate(episode.agent_colours):
        middle = cell * n + cell // 2
        pen.ellipse((at[0] + middle - 5, at[1] - 15, at[0] + middle + 5, at[1] - 5), fill=colour, outline=FAINT)
        pen.ellipse((4, at[1] + middle - 5, 14, at[1] + middle + 5), fill=colour, outline=FAINT)
    for (row, column), share in np.ndenumerate(np.nan_to_num(episode.sharing)):
        x, y = at[0] + cell * column, at[1] + cell * row
        pen.rectangle((x, y, x + cell, y + cell), fill=_diverging(float(np.clip(share, -1, 1))), outline=RULE)
        if cell >= 24:
            words = f"{share:.1f}" if cell < 30 else f"{share:.2f}"
            ink = PAPER if abs(share) > 0.55 else INK
            pen.text((x + cell / 2, y + cell / 2), words, ink, font(10), anchor="mm")
    return image


def panel_height(episode: Recording) -> int:
    """Pixels of the panel that stands for a picture in games that draw none."""
    return 72 * min(episode.num_agents, ROWS) + 26


def draw_panel(episode: Recording, t: int, width: int) -> Image.Image:
    """What each agent did so far, a colour for each action, and its rewards as bars below; what is to come is blank."""
    image = Image.new("RGB", (width, panel_height(episode)), BLANK)
    pen = ImageDraw.Draw(image)
    T, left = episode.length, 8
    unit = (width - 2 * left) / T
    top_reward = max(float(np.abs(np.nan_to_num(episode.rewards)).max()), 1e-9)
    low = float(np.nan_to_num(episode.rewards).min()) < 0
    high = float(np.nan_to_num(episode.rewards).max()) > 0 or not low
    for n in range(min(episode.num_agents, ROWS)):
        y = 72 * n + 6
        pen.text((left, y), fitted(episode.agent_names[n], font(11, bold=True), width - 90), INK, font(11, bold=True))
        lines = [
            line
            for head, colours in zip(episode.heads, colours_of(episode), strict=True)
            for line in _lines(head, colours, n)
        ]
        zero = y + 34 + (0 if low and not high else 30 if high and not low else 15)
        pen.rectangle((left, y + 16, width - left, y + 32), fill=RULE)
        pen.line((left, zero, width - left, zero), fill=RULE)
        for step in range(t):
            x = left + unit * step
            gap = 1 if unit >= 4 else 0
            for line, colours in enumerate(lines):
                y0, y1 = y + 16 + 17 * line / len(lines), y + 16 + 17 * (line + 1) / len(lines) - 1
                pen.rectangle((x, y0, max(x, x + unit - 1 - gap), max(y0, y1)), fill=colours[step])
            reward = float(np.nan_to_num(episode.rewards[step, n]))
            if reward:
                end = zero - reward / top_reward * (15 if low and high else 29)
                box = (x, min(zero, end), max(x, x + unit - 1 - gap), max(zero, end))
                pen.rectangle(box, fill=GOOD if reward > 0 else BAD)
        pen.line((left + unit * t, y + 14, left + unit * t, y + 64), fill=INK)
    _legend(pen, episode, left, image.height - 19, width - left)
    return image


def _legend(pen: ImageDraw.ImageDraw, episode: Recording, x: float, y: int, right: int) -> None:
    """The names of the actions beside their colours, as many as there is room for."""
    for head, colours in zip(episode.heads, colours_of(episode), strict=True):
        if head.continuous:
            pen.text((x, y), "actions from -1 (orange) to 1 (blue)", FAINT, font(11))
            return
        for name, colour in zip(head.names, colours, strict=True):
            width = 16 + font(11).getlength(name) + 10
            if x + width > right:
                return
            pen.rectangle((x, y + 2, x + 10, y + 12), fill=colour)
            pen.text((x + 14, y), name, FAINT, font(11))
            x += width


def colours_of(episode: Recording) -> list[tuple[str, ...]]:
    """A colour for each action of each head; heads go on where the one before ended, so that neighbours differ."""
    ends = np.cumsum([len(head.names) for head in episode.heads]).tolist()
    colours = own_colours(ends[-1])
    return [colours[end - len(head.names) : end] for head, end in zip(episode.heads, ends, strict=True)]


def _lines(head: Head, colours: tuple[str, ...], agent: int) -> list[list[str]]:
    """The colours of an agent's actions over time: one line for a choice, blank where there was none, or one for each
    continuous number."""
    if not head.continuous:
        chosen = enumerate(head.actions[:, agent].tolist())
        return [[BLANK if head.forced(t, agent) else colours[action] for t, action in chosen]]
    exists = np.flatnonzero(head.available[0, agent])
    return [[_diverging(x) for x in np.clip(np.nan_to_num(head.actions[:, agent, a]), -1, 1).tolist()] for a in exists]


def _diverging(x: float) -> str:
    """Blue for 1, white for 0, orange for -1; steps of an eighth, so that palettes stay small."""
    x = round(x * 8) / 8
    end = (10, 123, 191) if x > 0 else (213, 94, 0)
    return "#" + "".join(f"{round(246 + (channel - 246) * abs(x)):02x}" for channel in end)


def rare(rewards: np.ndarray) -> bool:
    """Rewards at no more than half of the steps: worth a flash each."""
    return len(rewards) < 8 or rewards.any(1).mean() <= 0.5


def total_text(total: float) -> str:
    """A cumulative reward, short."""
    return f"{total:.2f}" if abs(total) < 1000 else f"{total:.3g}"


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows the arrows."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), size)


def fitted(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """The text on one line, cut with "…" where it is wider than width pixels."""
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, face: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
    """The text on at most so many lines; the last is cut where needed. [] for no text."""
    words, result = text.split(), []
    while words and len(result) < lines - 1:
        taken = 1
        while taken < len(words) and face.getlength(" ".join(words[: taken + 1])) <= width:
            taken += 1
        result.append(fitted(" ".join(words[:taken]), face, width))
        words = words[taken:]
    return [*result, fitted(" ".join(words), face, width)] if words else result


# The replay


def write_html(recordings: Films, path: str | Path) -> Path:
    """Writes one HTML file that needs nothing else: see `replay_html`."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(replay_html(recordings), encoding="utf-8")
    part.replace(path)
    return path


def replay_html(recordings: Films) -> str:
    """The replay as text: a page with pictures, data, style and script inside; `#t=30` opens it at step 30.

    Of several recordings the first has the focus (`#episode=1` for the second, `#agent=0` for one agent's view,
    `#turn=1` for the second of those in turn).
    """
    columns = as_columns(recordings)
    told = [
        {**replay_data(episode), "column": column, "turn": turn}
        for column, some in enumerate(columns)
        for turn, episode in enumerate(some)
    ]
    data = json.dumps(told, allow_nan=False, separators=(",", ":"))
    parts = {
        "title": html.escape(" | ".join(some[0].title for some in columns)),
        "data": data.replace("<", "\\u003c"),  # so that no name can end the script element
    }
    template = files("comity.report").joinpath("replay.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(title|data)\}\}", lambda place: parts[place[1]], template)  # once: names may hold {{data}}


def replay_data(episode: Recording) -> dict[str, Any]:
    """What the page is told of an episode, as plain JSON values."""
    views = episode.views
    omitted = views is not None and views.size > VIEW_NUMBERS
    frames, view_frames, images = [], [], []
    if episode.frames is not None or episode.view_frames is not None:
        frames, view_frames, images = _pictures(episode)
    return {
        "title": episode.title,
        "caption": episode.caption,
        "task": episode.task,
        "algorithm": episode.algorithm,
        "seed": int(episode.seed),
        "policy": episode.policy,
        "steps": episode.length,
        "ended": episode.ended,
        "agents": [
            {"name": name, "colour": colour}
            for name, colour in zip(episode.agent_names, episode.agent_colours, strict=True)
        ],
        "heads": [_head_data(head, own) for head, own in zip(episode.heads, colours_of(episode), strict=True)],
        "rewards": numbers(episode.rewards),
        "values": None if episode.values is None else numbers(episode.values),
        "views": None if views is None or omitted else numbers(views.reshape(*views.shape[:2], -1)),
        "view_shape": None if views is None else list(views.shape[2:]),
        "view_names": [list(episode.names_of_view(n)) for n in range(episode.num_agents)],
        "sharing": None if episode.sharing is None else numbers(episode.sharing),
        "frames": frames,
        "frame_size": None if episode.frames is None else [episode.frames.shape[2], episode.frames.shape[1]],
        "view_frames": view_frames,
        "images": images,
        "marked": [episode.event_words.get(name, name) for name in episode.event_marks],
        "marks": [list(mark) for mark in episode.marks()],
        "events": [[event.t, event.agent, event.text, _number(event.amount, 4)] for event in episode.events()],
    }


def _head_data(head: Head, colours: tuple[str, ...]) -> dict[str, Any]:
    """One choice of the agents. available: [T + 1][N] a string of 0 and 1, which is a fifth of a list's length."""
    glyphs = [head.glyph(action) for action in range(len(head.names))]
    return {
        "names": list(head.names),
        "own_names": [list(names) for names in head.own],
        "glyphs": glyphs,
        "colours": list(colours),
        "continuous": head.continuous,
        "actions": numbers(head.actions),
        "available": [["".join(map(str, row)) for row in step] for step in head.available.astype(int).tolist()],
        "probabilities": None if head.probabilities is None else numbers(head.probabilities),
    }


def numbers(array: np.ndarray, digits: int = 4) -> list[Any]:
    """Nested lists for JSON, with `digits` significant digits; None where a number is not finite."""
    if array.dtype == bool or np.issubdtype(array.dtype, np.integer):
        return array.astype(int).tolist()

    def shortened(value: Any) -> Any:
        return [shortened(v) for v in value] if isinstance(value, list) else _number(value, digits)

    return shortened(array.astype(np.float64).tolist())


def _number(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short == int(short) else short


def _pictures(episode: Recording) -> tuple[list[int], list[list[int]], list[str]]:
    """Which picture is seen when, [T + 1] and [T + 1][N], and the distinct pictures as base64 PNGs.

    Where they exceed `IMAGE_BYTES` they lose colours first (64), then size (halves, thirds).
    """
    T, N = episode.length, episode.num_agents
    distinct: dict[bytes, np.ndarray] = {}
    order: list[list[int]] = []
    names: dict[bytes, int] = {}
    for t in range(T + 1):
        row = [] if episode.frames is None else [episode.frames[t]]
        row += [] if episode.view_frames is None else [episode.view_frames[t, n] for n in range(N)]
        digests = [hashlib.sha1(b"%d" % picture.shape[1] + picture.tobytes()).digest() for picture in row]
        for digest, picture in zip(digests, row, strict=True):
            distinct.setdefault(digest, picture)
        order.append([names.setdefault(digest, len(names)) for digest in digests])
    pictures = list(distinct.values())
    shrink = max(1, math.ceil(max(max(picture.shape[:2]) for picture in pictures) / 1000))
    encoded: list[bytes] = []
    for colours, factor in ((256, shrink), (64, shrink), (64, 2 * shrink), (32, 3 * shrink)):
        encoded = [_png(picture, colours, factor) for picture in pictures]
        if sum(map(len, encoded)) <= IMAGE_BYTES:
            break
    first = 0 if episode.frames is None else 1
    frames = [row[0] for row in order] if first else []
    view_frames = [] if episode.view_frames is None else [row[first:] for row in order]
    return frames, view_frames, [base64.b64encode(png).decode() for png in encoded]


def _png(picture: np.ndarray, colours: int, shrink: int) -> bytes:
    """A PNG with a palette: exact if the picture has no more colours than that. shrink: 2 halves its sides."""
    image = Image.fromarray(picture)
    if shrink > 1:
        image = image.resize((max(1, image.width // shrink), max(1, image.height // shrink)), Image.Resampling.BOX)
    found = image.getcolors(colours)
    if found is None:
        image = image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    else:
        palette = np.array([colour for _, colour in found], np.uint8)  # [colours, 3]
        packed, keys = _packed(np.asarray(image)), _packed(palette)
        sorting = np.argsort(keys)
        indices = sorting[np.searchsorted(keys, packed, sorter=sorting)].astype(np.uint8)
        image = Image.fromarray(indices, "P")
        image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _packed(colours: np.ndarray) -> np.ndarray:
    """[..., 3] uint8 as one number per colour, [...] int32."""
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _channels(packed: np.ndarray) -> np.ndarray:
    """`_packed` undone, [..., 3] of a type that can be subtracted."""
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1)


def as_columns(recordings: Films) -> list[list[Recording]]:
    """What stands beside one another, and of each what is shown in turn; at least one of both."""
    beside = [recordings] if isinstance(recordings, Recording) else list(recordings)
    columns = [[some] if isinstance(some, Recording) else list(some) for some in beside]
    if not columns or not all(columns):
        raise ValueError("no recordings: a film needs at least one")
    return columns
