"""Games whose opponents learn, as tasks with a name: `ipd+learners` puts naive actor-critics into a game.

The module stands above the packages of games and algorithms, because such a game holds an algorithm. See
docs/tasks/learners.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import ClassVar, Literal

import jax
from jax import Array

from comity.algorithms.policy_gradient import a2c
from comity.environments.wrappers.learner_side import Side, require_sides
from comity.environments.wrappers.learners import LearningOpponents, State
from comity.networks.sequence import Sequence
from comity.settings import Fraction, NotNegative, OneOrMore, Positive, check
from comity.spec import Functions, Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Timestep

VERSION = 1  # version of the game's rules


@dataclass(frozen=True)
class Learners:
    """`LearningOpponents(game, a2c, ...)`: M inner episodes against naive learners, or against other players."""

    game: Environment  # the wrapped game
    episodes: Positive[int] = 20  # M, inner episodes of an episode
    games: Positive[int] = 16  # b, inner games at once against the same opponents
    naive_share: Fraction = 1.0  # probability that all opponents are naive learners, not other players
    players: Positive[int] = 1  # number of players that learn; if there is one or more per seat, no player meets itself
    starts: NotNegative[int] = 10  # size of the fixed set of initial parameters that naive learners begin from;
    # 0: new parameters for every episode
    starts_seed: int = 0  # the seed of that set
    naive_network: Sequence = "gru"  # network of a naive learner; paper: hawk
    naive_deviation: NotNegative[float] = 0.0  # table: standard deviation of its log-odds at the start, for each of
    # `starts`; with 0 all tables start alike, at even odds
    naive_width: Positive[int] = 32  # width of its memory
    naive_optimizer: Literal["adam", "sgd"] = "adam"  # optimizer of a naive learner; sgd: plain gradient steps
    naive_learning_rate: Positive[float] = 0.005  # learning rate of its one step after each inner episode
    naive_gamma: Fraction = 0.99  # its discount factor per step
    naive_reward_factor: Positive[float] = 0.05  # factor of its rewards, for learning only

    naive_change: Literal["none", "rate", "optimizer"] = "none"  # change of naive learners, from the
    # update after a random inner episode on | rate: their steps become r^u times as long, u uniform in [-1, 1] |
    # optimizer: adam becomes sgd, or the other way round
    naive_rate_range: OneOrMore = 10.0  # r, the largest factor by which a rate is multiplied or divided
    naive_changed_rate: Positive[float] = 0.1  # learning rate of the other optimizer
    dynamic: bool = False  # in training each learner begins from a copy of one of the players' networks
    keeps: bool = False  # in training learners keep the parameters that they had after their last episode
    blind: Fraction = 0.0  # chance that a player sees nothing of the others in a step; learners see all

    RENAMED: ClassVar = {  # here an episode is many episodes of the game, and an agent is one of many games
        "length": "inner_length",
        "num_agents": "inner_agents",
    }

    def __post_init__(self) -> None:
        check(self)
        if self.naive_deviation and self.naive_network != "table":
            given = f"naive_deviation {self.naive_deviation}"
            raise ValueError(f"{given}: only tables have it, and naive_network is {self.naive_network}")
        if self.naive_network == "table" and not self.naive_deviation:
            for name, one in (("starts", 1), ("starts_seed", 0)):
                given = getattr(self, name)
                if given not in (one, type(self).__dataclass_fields__[name].default):
                    raise ValueError(f"{name} {given}: all naive tables start alike, at 0; give naive_deviation, say 1")
        _ = self.made

    @cached_property
    def made(self) -> LearningOpponents:
        require_sides(self.game)  # before the learner is made, because its message would be about one side
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
        learner = a2c.make(config, Side(self.game))  # pyright: ignore[reportArgumentType]  # it only reads sizes
        if self.naive_deviation:
            learner = varied(learner, self.naive_deviation)
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


def varied(learner: Algorithm, deviation: float) -> Algorithm:
    """Returns a learner whose table does not start at 0. See `Table.varied`."""

    def init(key: Key) -> PyTree:
        key, key_rows = jax.random.split(key)
        state = learner.init(key)
        return state._replace(net=state.net.varied(key_rows, deviation))

    return learner._replace(init=init)
