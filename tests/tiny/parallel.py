"""Small parallel environments in PettingZoo's form; some break its rules as real ones do."""

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Always(ParallelEnv):
    """Two agents see [1.0], every step pays 1. Cut by the environment after `cut` steps; `ends`: then it is an end.

    empties: whether `agents` is emptied then, as PettingZoo asks.
    """

    metadata = {"name": "always", "render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, cut: int = 4, ends: bool = False, empties: bool = True, render_mode: str | None = None):
        self.possible_agents, self.cut, self.ends, self.empties = ["a", "b"], cut, ends, empties
        self.render_mode = render_mode

    def observation_space(self, agent):
        return spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def seen(self):
        return {name: np.ones(1, np.float32) for name in self.possible_agents}

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        return self.seen(), {name: {} for name in self.agents}

    def step(self, actions):
        self.time += 1
        over = self.time >= self.cut
        each = lambda value: {name: value for name in self.possible_agents}  # noqa: E731
        if over and self.empties:
            self.agents = []
        return self.seen(), each(1.0), each(over and self.ends), each(over and not self.ends), each({})

    def render(self):
        if self.render_mode is None:
            raise AttributeError("no pictures without a render_mode")
        return np.full((4, 6, 3), self.time, np.uint8)


class Draws(Always):
    """What is seen is drawn from the seed; a learner may see more of it."""

    def reset(self, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        return super().reset()

    def seen(self):
        return {name: self.rng.random(1, np.float32) for name in self.possible_agents}


class Measured(Draws):
    """All agents earn the same, and each step's infos have a number that is summed over the episode."""

    measures, of_team = ("halves",), True

    def step(self, actions):
        *rest, _ = super().step(actions)
        return *rest, {"b": {"halves": 0.5, "other": "text"}}


class Unseeded(Draws):
    """The seed is not heeded."""

    def reset(self, seed=None, options=None):
        return super().reset(seed=None)


class Masked(Always):
    """Three actions, of which `mask` allows some; the mask stands beside what is seen, which is called `key`. "": it
    stands in the info. `illegal` counts actions that were not allowed."""

    def __init__(self, key: str = "observation", mask=(1, 0, 0), declared: bool = True, from_step: int = 0):
        super().__init__()
        self.key, self.mask, self.declared, self.from_step, self.illegal = key, mask, declared, from_step, 0

    def observation_space(self, agent):
        box = spaces.Box(0, 1, (1,), np.float32)
        if not (self.key and self.declared):
            return box
        return spaces.Dict({self.key: box, "action_mask": spaces.MultiBinary(3)})

    def action_space(self, agent):
        return spaces.Discrete(3)

    @property
    def now(self):
        return np.array(self.mask if self.time >= self.from_step else (1, 1, 1), np.int8)

    def seen(self):
        one = np.ones(1, np.float32)
        return dict.fromkeys(self.possible_agents, {self.key: one, "action_mask": self.now} if self.key else one)

    def reset(self, seed=None, options=None):
        super().reset()
        return self.seen(), self.infos()

    def infos(self):
        return dict.fromkeys(self.possible_agents, {} if self.key else {"action_mask": self.now})

    def step(self, actions):
        self.illegal += sum(not self.now[action] for action in actions.values())
        *found, _ = super().step(actions)
        return *found, self.infos()


class Leaves(Always):
    """Agent a is terminated after 2 steps, b cut after `cut`; who left stays in `agents` and goes on being told of."""

    def step(self, actions):
        assert set(actions) == ({"a", "b"} if self.time < 2 else {"b"})
        found = super().step(actions)
        observations, rewards, terminations, truncations, infos = found
        self.agents = list(self.possible_agents)
        terminations["a"] = self.time >= 2
        truncations["a"] = False
        return observations, rewards, terminations, truncations, infos
