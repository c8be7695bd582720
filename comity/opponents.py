"""Games whose opponents learn, as tasks with a name: `ipd+learners` puts naive actor-critics into a game.

Here, above games and algorithms, because such a game holds an algorithm. docs/tasks/learners.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

from jax import Array

from comity.algorithms.policy_gradient import a2c
from comity.environments.wrappers.learners import LearningOpponents, Side, State, require_two_sides
from comity.networks.sequence import Sequence
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Functions, Spec
from comity.types import Environment, Key, Observation, Timestep

VERSION = 1  # of the rules


@dataclass(frozen=True)
class Learners:
    """`LearningOpponents(game, a2c, ...)`: M inner episodes against a naive learner, or against another player."""

    game: Environment  # the wrapped one
    episodes: Positive[int] = 20  # M, inner episodes of an episode
    games: Positive[int] = 16  # b, inner games at once against one opponent
    naive_share: Fraction = 1.0  # probability that the opponent is naive, not another player
    players: Positive[int] = 1  # K, how many players learn; with two or more, nobody meets itself
    starts: NotNegative[int] = 10  # first parameters of naive learners, always the same; 0: new ones for every episode
    starts_seed: int = 0  # of those
    naive_network: Sequence = "gru"  # paper: hawk
    naive_width: Positive[int] = 32  # of its memory
    naive_learning_rate: Positive[float] = 0.005  # Adam, one step after each inner episode
    naive_gamma: Fraction = 0.99  # per step
    naive_reward_factor: Positive[float] = 0.05  # its rewards are multiplied by it, for learning only

    RENAMED: ClassVar = {  # an episode is many of the game's, an agent one of many games
        "length": "inner_length",
        "num_agents": "inner_agents",
    }

    def __post_init__(self) -> None:
        check(self)
        _ = self.made

    @cached_property
    def made(self) -> LearningOpponents:
        require_two_sides(self.game)  # before the learner, which would speak of one side
        config = a2c.Config(
            actors="shared",
            core=self.naive_network,
            width=self.naive_width,
            learning_rate=self.naive_learning_rate,
            gamma=self.naive_gamma,
            reward_factor=self.naive_reward_factor,
        )
        own = {f.name: getattr(self, f.name) for f in fields(self)[1:] if not f.name.startswith("naive_")}
        learner = a2c.make(config, Side(self.game))  # pyright: ignore[reportArgumentType]  # sizes are all it asks
        return LearningOpponents(self.game, learner, naive_share=self.naive_share, **own)

    @property
    def spec(self) -> Spec:
        return self.made.spec

    @property
    def functions(self) -> Functions:
        return self.made.functions

    def reset(self, key: Key) -> tuple[State, Observation]:
        return self.made.reset(key)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        return self.made.step(key, state, action)
