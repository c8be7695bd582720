"""A game against a scripted player: the last agent follows a script of the game, and only the others learn.

It serves for evaluation against players that always cooperate, always defect, or play tit for tat.
docs/tasks/repeated_matrix.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.settings import check, did_you_mean
from comity.spec import Functions, Spec, Vector, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, begin


class State(NamedTuple):
    game: PyTree
    view: Array  # view of the scripted agent
    memory: PyTree  # memory of the script


@dataclass(frozen=True)
class Scripted:
    """`game` without its last agent, which plays `script`: one of `game.spec.scripts`."""

    game: Environment  # the wrapped game
    script: str = "tit-for-tat"  # one of `game.spec.scripts`

    def __post_init__(self) -> None:
        check(self)
        known, name = self.game.spec.scripts, type(self.game).__name__
        if self.script not in known:
            near = did_you_mean(self.script, known)
            raise ValueError(f"{name} has no script {self.script!r}{near}; it has {', '.join(known) or 'none'}")
        if functions(self.game).script is None:
            raise ValueError(f"{name}'s scripts play whole teams, not one agent: evaluate them as partners instead")

    @property
    def spec(self) -> Spec:
        """The view's entities stay those of the whole game: their offsets count the scripted agent, too."""
        game = self.game.spec
        names, view = game.view.names if isinstance(game.view, Vector) else (), game.view
        if names and isinstance(names[0], tuple):
            view = replace(game.view, names=names[:-1])
        return replace(
            game,
            agents=game.agents - 1,
            view=view,
            private=Vector(0),  # the scripted agent has no part of its own
            scripts=(),
            roles=game.roles[:-1],
            agent_names=game.agent_names[:-1],
            agent_colours=game.agent_colours[:-1],
        )

    @property
    def functions(self) -> Functions:
        return Functions(summary=self.summary, counts=functions(self.game).counts)

    def _script(self) -> tuple[PyTree, Any]:
        script = functions(self.game).script
        assert script, "refused when it was made"
        return script(self.script)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        game, observation = begin(self.game, key, episode)
        return State(game, observation.view[-1], self._script()[0]), without_last_agent(observation)

    def step(self, key: Key, state: State, action: PyTree) -> tuple[State, Timestep]:
        theirs, memory = self._script()[1](state.memory, state.view)
        game, timestep = self.game.step(key, state.game, jax.tree.map(jnp.append, action, theirs))
        observation = timestep.observation
        return State(game, observation.view[-1], memory), timestep._replace(
            observation=without_last_agent(observation),
            reward=timestep.reward[:-1],
            info=without_script({**timestep.info, "reward": timestep.reward}, 0),
        )

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """The game's statistics; those of the scripted player have names that begin with `script_`."""
        whole = with_script(info)
        everyone = whole.pop("reward")
        own = functions(self.game).summary
        total = lambda x: jnp.where(aligned(valid, x), x, 0).sum(0)  # noqa: E731
        found = own(everyone, whole, valid) if own else {name: total(x) for name, x in whole.items()}
        return without_script({**found, "return": total(everyone)}, 1)


def without_script(values: dict[str, Array], axis: int) -> dict[str, Array]:
    """Splits off the last agent's values: NAME keeps those of the others, script_NAME has its own. axis: of agents."""
    each = {name for name, x in values.items() if x.ndim > axis}
    last = {f"script_{name}": values[name][..., -1] for name in each}
    return {name: x[..., :-1] if name in each else x for name, x in values.items()} | last


def with_script(values: dict[str, Array]) -> dict[str, Array]:
    """Undoes `without_script`."""
    last = {name.removeprefix("script_"): x for name, x in values.items() if name.startswith("script_")}
    return {
        name: jnp.concatenate([x, last[name][..., None]], -1) if name in last else x
        for name, x in values.items()
        if not name.startswith("script_")
    }


def without_last_agent(observation: Observation) -> Observation:
    """The observation of all but the last agent."""
    available = jax.tree.map(lambda x: x[:-1], observation.available)  # for each head, if there are several
    return observation._replace(view=observation.view[:-1], available=available)
