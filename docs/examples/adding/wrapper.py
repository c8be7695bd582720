"""Toy: rewards times a factor, an example of how a wrapper is added (docs/adding.md)."""

from dataclasses import dataclass

from jax import Array

from comity.settings import check
from comity.spec import Functions, Spec, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, begin


@dataclass(frozen=True)
class Scaled:
    """`game`, whose rewards are multiplied by `factor`."""

    game: Environment
    factor: float = 2.0

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return self.game.spec

    @property
    def functions(self) -> Functions:
        return functions(self.game)._replace(step_games=None)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[PyTree, Observation]:
        return begin(self.game, key, episode)

    def step(self, key: Key, state: PyTree, action: PyTree) -> tuple[PyTree, Timestep]:
        state, timestep = self.game.step(key, state, action)
        return state, timestep._replace(reward=self.factor * timestep.reward)
