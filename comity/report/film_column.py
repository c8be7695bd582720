"""Draws one episode of a film: its title, its pictures, and a strip of steps, actions and rewards."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from comity.report.episode_panels import (
    BAD,
    FAINT,
    GOOD,
    INK,
    PAPER,
    ROWS,
    RULE,
    draw_panel,
    draw_sharing,
    panel_height,
)
from comity.report.lettering import fitted, font, wrapped
from comity.report.recording import READ, Recording, sentence

MARK = "#f0b400"  # colour of marks
PICTURE = 288  # pixels, the approximate side of a picture in a GIF when no scale is given


class Column:
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
        """Returns the word of the latest mark and the name of its agent at each step, [T + 1]."""
        words = [""] * (self.episode.length + 1)
        for mark in self.episode.marks():
            whose = "" if mark.agent is None else f" of {self.episode.agent_names[mark.agent]}"
            words[mark.t + 1 : mark.last + 1] = [f"{mark.text}{whose}"] * (mark.last - mark.t)
        return words

    def _sentences(self) -> list[str]:
        """Returns the latest event other than a reward at each step, [T + 1], shown for `READ` steps."""
        sentences = [""] * (self.episode.length + 1)
        for event in self.episode.events():
            if event.text != "reward":
                text = sentence(event, self.episode.agent_names)
                last = min(event.t + 1 + READ, len(sentences))
                sentences[event.t + 1 : last] = [text] * (last - event.t - 1)
        return sentences

    def draw(self, t: int, heights: Sequence[int]) -> np.ndarray:
        """Returns the column after t steps, [H, W, 3] uint8. After the episode's end it shows the end."""
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
        happened, begin = self.sentences[t], left + 10 + font(12, bold=True).getlength(f"step {T}/{T}")
        marked = bool(self.marks[t])
        words = fitted(happened, font(12, bold=marked), right - begin - (80 if t == T else 0))
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
                pen.text((right - 90, y + 1), signed(received[n]), fill=PAPER, font=font(12, bold=True), anchor="ma")
            pen.text((right, y + 1), total_text(self.totals[t, n]), fill=INK, font=font(12, bold=True), anchor="ra")
        if episode.num_agents > ROWS:
            y = top + 32 + self.row * ROWS
            rest = self.totals[t, ROWS:]
            pen.text((left + 16, y + 1), f"and {len(rest)} more agents", fill=FAINT, font=font(12))
            pen.text((right, y + 1), total_text(rest.sum()), fill=FAINT, font=font(12), anchor="ra")


def rare(rewards: np.ndarray) -> bool:
    """True if at most half of the steps have a reward: each of them is then highlighted."""
    return len(rewards) < 8 or rewards.any(1).mean() <= 0.5


def total_text(total: float) -> str:
    """Returns a cumulative reward in short."""
    return f"{total:.2f}" if abs(total) < 1000 else f"{total:,.0f}" if abs(total) < 1e6 else f"{total:.3g}"


def signed(reward: float) -> str:
    """Returns the reward of one step in short."""
    return f"{reward:+.3g}" if abs(reward) < 1000 else f"{reward:+,.0f}" if abs(reward) < 1e5 else f"{reward:+.2g}"
