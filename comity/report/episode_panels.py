"""Draws additional pictures of an episode: preferences between agents, and actions in games that draw no picture."""

import numpy as np
from PIL import Image, ImageDraw

from comity.report.lettering import fitted, font
from comity.report.recording import Head, Recording, own_colours

INK, FAINT, PAPER, RULE = "#1b1f24", "#667080", "#ffffff", "#d8dee6"
BLANK = "#f4f6f9"  # the background of a panel
GOOD, BAD = "#12915a", "#cf3a3a"
ROWS = 10  # number of agents that have a row of their own in a GIF


def draw_sharing(episode: Recording) -> Image.Image:
    """Draws the shares of rewards as a matrix: the row's agent gets a share of the column's reward; darker is more."""
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
        pen.rectangle((x, y, x + cell, y + cell), fill=diverging(float(np.clip(share, -1, 1))), outline=RULE)
        if cell >= 24:
            words = f"{share:.1f}" if cell < 30 else f"{share:.2f}"
            ink = PAPER if abs(share) > 0.55 else INK
            pen.text((x + cell / 2, y + cell / 2), words, ink, font(10), anchor="mm")
    return image


def panel_height(episode: Recording) -> int:
    """Height in pixels of the panel that replaces the picture in games that draw none."""
    return 72 * min(episode.num_agents, ROWS) + 26


def draw_panel(episode: Recording, t: int, width: int) -> Image.Image:
    """Draws the actions of each agent so far, one colour per action, with rewards as bars below. The rest is blank."""
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
    """Draws the names of the actions beside their colours, as many as fit."""
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
    """Returns a colour for each action of each head. Heads continue each other's colours, so that they differ."""
    ends = np.cumsum([len(head.names) for head in episode.heads]).tolist()
    colours = own_colours(ends[-1])
    return [colours[end - len(head.names) : end] for head, end in zip(episode.heads, ends, strict=True)]


def _lines(head: Head, colours: tuple[str, ...], agent: int) -> list[list[str]]:
    """Returns the colours of an agent's actions over time: one line for a discrete head, blank where the agent had no
    choice, or one line for each continuous number.
    """
    if not head.continuous:
        chosen = enumerate(head.actions[:, agent].tolist())
        return [[BLANK if head.forced(t, agent) else colours[action] for t, action in chosen]]
    exists = np.flatnonzero(head.available[0, agent])
    return [[diverging(x) for x in np.clip(np.nan_to_num(head.actions[:, agent, a]), -1, 1).tolist()] for a in exists]


def diverging(x: float) -> str:
    """Maps 1 to blue, 0 to white, -1 to orange, in steps of an eighth, so that palettes stay small."""
    x = round(x * 8) / 8
    end = (10, 123, 191) if x > 0 else (213, 94, 0)
    return "#" + "".join(f"{round(246 + (channel - 246) * abs(x)):02x}" for channel in end)
