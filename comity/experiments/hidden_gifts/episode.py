"""Figure 1 of "hidden gifts": the six steps of an episode in which a gift is made, played by a script."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WAIT = 5  # opens a door; without the key nothing happens
START = {"position": [(1, 2), (3, 3)], "heading": [0, 0], "doors": [(4, 2), (4, 4)], "key": (2, 2)}
PICK, FORWARD, LEFT, RIGHT, DROP, OPEN = 3, 2, 0, 1, 4, 5
SCRIPT = (  # the actions of both agents, step by step
    (PICK, WAIT),
    (FORWARD, FORWARD),
    (FORWARD, LEFT),
    (OPEN, WAIT),
    (DROP, WAIT),
    (WAIT, PICK),
    (WAIT, RIGHT),
    (WAIT, RIGHT),
    (WAIT, OPEN),
)
SHOWN = (  # number of steps played: caption
    (0, "1. find the key"),
    (3, "2. find the own door"),
    (4, "3. open it: +0.5"),
    (5, "4. drop the key: a gift"),
    (6, "5. the other takes it"),
    (9, "6. and opens: +0.5, both +1"),
)


class Episode(NamedTuple):
    states: list[Any]  # before the first step, then after each
    rewards: np.ndarray  # [T, N]
    events: dict[str, np.ndarray]  # [T] or [T, N]


def play() -> Episode:
    """Plays the scripted episode on the paper's task."""
    import jax
    import jax.numpy as jnp

    from comity.environments.grid.manitokan.game import Manitokan

    env = Manitokan()
    state = env.build(**START)
    states, steps = [state], []
    for action in SCRIPT:
        state, timestep = env.step(jax.random.key(0), state, jnp.array(action))
        states.append(state)
        steps.append(timestep)
    names = ("pickups", "drops", "doors_opened", "success")
    events = {name: np.stack([np.asarray(step.info[name]) for step in steps]) for name in names}
    return Episode(states, np.stack([np.asarray(step.reward) for step in steps]), events)


def draw(out: Path) -> list[Path]:
    """Draws fig1.png and .svg: six frames with their captions."""
    import matplotlib
    from matplotlib.figure import Figure

    from comity.environments.grid.manitokan.game import Manitokan
    from comity.report.curves import entitle, save
    from comity.report.panels import DPI, LETTERS, WIDTH

    env, episode = Manitokan(), play()
    with matplotlib.rc_context(LETTERS):
        figure = Figure(figsize=(WIDTH, 6.0), dpi=DPI, layout="constrained")
        for place, (step, words) in zip(figure.subplots(2, 3).flat, SHOWN, strict=True):
            place.imshow(env.draw(episode.states[step], tile=64), interpolation="nearest")
            place.set_title(words, fontsize=10, loc="left")
            place.set_axis_off()
        entitle(figure, "Figure 1: a hidden gift", "")
        return save(figure, out / "fig1.png")
