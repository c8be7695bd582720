"""Games whose opponents learn, as tasks with a name: `ipd+learners` puts naive actor-critics into a game.

Here, above games and algorithms, because such a game holds an algorithm. docs/tasks/learners.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import ClassVar, Literal

from jax import Array

from comity.algorithms.policy_gradient import a2c
from comity.environments.wrappers.learner_side import Side, require_sides
from comity.environments.wrappers.learners import LearningOpponents, State
from comity.networks.sequence import Sequence
from comity.settings import Fraction, NotNegative, OneOrMore, Positive, check
from comity.spec import Functions, Spec
from comity.types import Environment, Key, Observation, Timestep

VERSION = 1  # of the rules


@dataclass(frozen=True)
class Learners:
    """`LearningOpponents(game, a2c, ...)`: M inner episodes against naive learners, or against other players."""

    game: Environment  # the wrapped one
    episodes: Positive[int] = 20  # M, inner episodes of an episode
    games: Positive[int] = 16  # b, inner games at once against the same opponents
    naive_share: Fraction = 1.0  # probability that all opponents are naive, not other players
    players: Positive[int] = 1  # how many learn to play; with as many as seats or more, nobody meets itself
    starts: NotNegative[int] = 10  # first parameters of naive learners, always the same; 0: new ones for every episode
    starts_seed: int = 0  # of those
    naive_network: Sequence = "gru"  # paper: hawk
    naive_width: Positive[int] = 32  # of its memory
    naive_optimizer: Literal["adam", "sgd"] = "adam"  # of the naive learner; sgd: plain gradient steps
    naive_learning_rate: Positive[float] = 0.005  # of one step after each inner episode
    naive_gamma: Fraction = 0.99  # per step
    naive_reward_factor: Positive[float] = 0.05  # its rewards are multiplied by it, for learning only

    naive_change: Literal["none", "rate", "optimizer"] = "none"  # at an inner episode that is drawn their rule changes:
    # rate: steps r^u times as long, u uniform in [-1, 1] | optimizer: the other of adam and sgd
    naive_rate_range: OneOrMore = 10.0  # r, by which a rate is multiplied or divided, at most
    naive_changed_rate: Positive[float] = 0.1  # learning rate of the other optimizer
    dynamic: bool = False  # in training learners begin from the players' networks, of which each copies one
    keeps: bool = False  # in training learners go on from where they stood after the last episode that they played
    blind: Fraction = 0.0  # chance that a player sees nothing of the others in a step; learners see all

    RENAMED: ClassVar = {  # an episode is many of the game's, an agent one of many games
        "length": "inner_length",
        "num_agents": "inner_agents",
    }

    def __post_init__(self) -> None:
        check(self)
        _ = self.made

    @cached_property
    def made(self) -> LearningOpponents:
        require_sides(self.game)  # before the learner, which would speak of one side
        config = a2c.Config(
            actors="shared",
            core=self.naive_network,
            width=self.naive_width,
            optimizer=self.naive_optimizer,
            learning_rate=self.naive_learning_rate,
            gamma=self.naive_gamma,
            reward_factor=self.naive_reward_factor,
        )
        own = {f.name: getattr(self, f.name) for f in fields(self)[1:] if not f.name.startswith("naive_")}
        if self.naive_change == "rate":
            own["rate_range"] = self.naive_rate_range
        if self.naive_change == "optimizer":
            other = "sgd" if self.naive_optimizer == "adam" else "adam"
            changed = replace(config, optimizer=other, learning_rate=self.naive_changed_rate)
            own["later"] = a2c.make(changed, Side(self.game))  # pyright: ignore[reportArgumentType]
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
