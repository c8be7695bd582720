"""Writes the replay of an episode from recordings: one HTML page to move through it. No game is played here."""

import base64
import hashlib
import html
import json
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from comity.report.episode_panels import colours_of
from comity.report.palettes import png
from comity.report.recording import Films, Head, Recording, as_columns

IMAGE_BYTES = 2_000_000  # limit of all pictures, before base64; above it they get fewer colours, then a smaller size
VIEW_NUMBERS = 400_000  # a replay with more numbers in its views leaves the views out


def write_html(recordings: Films, path: str | Path) -> Path:
    """Writes one HTML file that needs nothing else: see `replay_html`."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(replay_html(recordings), encoding="utf-8")
    part.replace(path)
    return path


def replay_html(recordings: Films) -> str:
    """Returns the replay as text: a page with its pictures, data, style and script. `#t=30` opens it at step 30.

    Several recordings: the first is selected at the start. `#episode=1` selects the second, `#agent=0` the view of an
    agent, `#turn=1` the second recording of a column.
    """
    columns = as_columns(recordings)
    episodes = [
        {**replay_data(episode), "column": column, "turn": turn}
        for column, some in enumerate(columns)
        for turn, episode in enumerate(some)
    ]
    data = json.dumps(episodes, allow_nan=False, separators=(",", ":"))
    parts = {
        "title": html.escape(" | ".join(some[0].title for some in columns)),
        "data": data.replace("<", "\\u003c"),  # so that no name can end the script element
    }
    template = files("comity.report").joinpath("replay.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(title|data)\}\}", lambda place: parts[place[1]], template)  # one pass: names may hold {{data}}


def replay_data(episode: Recording) -> dict[str, Any]:
    """Returns the page's data about an episode, as plain JSON values."""
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
        "events": [[event.t, event.agent, event.text, number(event.amount, 4)] for event in episode.events()],
    }


def _head_data(head: Head, colours: tuple[str, ...]) -> dict[str, Any]:
    """Returns the data of one action head. available: [T + 1][N] strings of 0 and 1, a fifth of a list's length."""
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
    """Returns nested lists for JSON, with `digits` significant digits; None where a number is not finite."""
    if array.dtype == bool or np.issubdtype(array.dtype, np.integer):
        return array.astype(int).tolist()

    def shortened(value: Any) -> Any:
        return [shortened(v) for v in value] if isinstance(value, list) else number(value, digits)

    return shortened(array.astype(np.float64).tolist())


def number(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short == int(short) else short


def _pictures(episode: Recording) -> tuple[list[int], list[list[int]], list[str]]:
    """Returns the index of the picture at each step, [T + 1] and [T + 1][N], and the distinct pictures as base64 PNGs.

    If the pictures exceed `IMAGE_BYTES`, they get fewer colours first (64), then a smaller size (halves, thirds).
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
        encoded = [png(picture, colours, factor) for picture in pictures]
        if sum(map(len, encoded)) <= IMAGE_BYTES:
            break
    first = 0 if episode.frames is None else 1
    frames = [row[0] for row in order] if first else []
    view_frames = [] if episode.view_frames is None else [row[first:] for row in order]
    return frames, view_frames, [base64.b64encode(png).decode() for png in encoded]
