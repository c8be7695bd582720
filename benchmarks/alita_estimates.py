"""Compares ALITA's estimates with values in closed form, by updates: docs/images/alita_estimates.png.

    python benchmarks/alita_estimates.py

It uses the tabular game of tests/algorithms/test_alita.py, with policies that do not change. The old buffer begins with
as many rollouts of other, more certain policies, so that the others' actions in it are a mixture.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from jax import lax
from matplotlib.figure import Figure

from comity import rollout
from comity.algorithms.off_policy import alita, alita_estimates
from comity.algorithms.off_policy.deterministic_nets import Member, nets_of, policies
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.learning import influence, replay
from comity.report.panels import DPI, LETTERS
from comity.types import Observation
from tests.algorithms.test_alita import REWARDS, TINY, TRANSITIONS, Tabular

OUT = Path(__file__).parent.parent / "docs" / "images" / "alita_estimates.png"
ENV, ROLE, ROLLOUTS, GAMES, SEEDS = Tabular(), alita_estimates.Role(0, (1,)), 200, 16, 3
VIEWS = jnp.tile(jnp.eye(2)[:, None], (1, 2, 1))  # [S, N, 2]
CAPACITY = 2 * ROLLOUTS * GAMES * TINY["steps"]


def tables(config: Any, nets: Any, state: Any) -> tuple[jax.Array, jax.Array]:
    """Returns (mean estimate [S, A] over agent 1's present actions, the same over its actions in the buffer)."""
    seen = Observation(VIEWS, jnp.zeros(()), jnp.ones((2, 2, 2), bool))
    today = policies(nets, state.actors, seen)[0].probabilities[:, 1]  # [S, U]
    rows = state.replay.rows
    place = replay.unpacked(ENV, rows.observation, 1).view[:, 0].argmax(-1)
    there = jnp.arange(len(place)) < state.replay.filled
    count = jnp.zeros((2, 2)).at[place, rows.action[:, 1]].add(there)
    found = []
    for chances in (today, count / count.sum(-1, keepdims=True)):
        said = jnp.zeros((2, 2))
        for mine in range(2):
            for theirs in range(2):
                joint = jnp.tile(jnp.eye(2)[jnp.array([mine, theirs])], (2, 1, 1))
                net = state.added.estimates[0].net
                told = alita_estimates.call(config, nets, ROLE, net, VIEWS, joint)[:, 0]
                said = said.at[:, mine].add(chances[:, theirs] * told)
        found.append(said)
    return found[0], found[1]


def curves(kind: str) -> np.ndarray:
    """Returns [2, SEEDS, ROLLOUTS, 2]: without and with an old buffer, the largest error of both means."""
    settings: dict[str, Any] = {**TINY, "capacity": CAPACITY, "influence_batch": 64, "gamma": 0.5, "tau": 0.05}
    settings |= {"influence": kind, "novelty_by": "none", "learning_rate": 1e-12, "critic_learning_rate": 3e-3}
    config = alita.Config(**settings)
    nets, learner = nets_of(config, ENV.spec, Member(joint_actions)), alita.make(config, ENV)

    def play(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        state, game = carry
        keys = jax.random.split(key)
        game, steps = rollout.collect(keys[0], ENV, learner, state, game)
        state, _ = learner.update(keys[1], state, steps)
        return (state, game), tables(config, nets, state)

    def of_seed(old: jax.Array, key: jax.Array) -> Any:
        keys = jax.random.split(key, 5)
        fresh, game = learner.init(keys[0]), rollout.start(keys[1], ENV, learner.memory, GAMES)
        other = jax.tree.map(lambda x: 4 * x, fresh.actors)  # more certain policies

        def phase(carry: Any, inputs: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
            (state, game), (key, now) = carry, inputs
            new = fresh._replace(actors=present, target_actors=present, replay=state.replay)
            emptied = new.replay._replace(filled=old * new.replay.filled, position=old * new.replay.position)
            new = new._replace(replay=emptied)
            state = jax.tree.map(lambda a, b: jnp.where(now, a, b), new, state)
            return play((state, game), key)

        present = learner.init(keys[2]).actors
        start = fresh._replace(actors=other, target_actors=other)
        turns = jnp.arange(2 * ROLLOUTS) == ROLLOUTS
        _, found = lax.scan(phase, (start, game), (jax.random.split(keys[4], 2 * ROLLOUTS), turns))
        return present, jax.tree.map(lambda x: x[ROLLOUTS:], found)

    seeds = jax.random.split(jax.random.key(0), SEEDS)
    run = jax.vmap(jax.vmap(of_seed, (None, 0)), (0, None))
    actors, found = jax.jit(run)(jnp.arange(2), seeds)
    seen = Observation(VIEWS, jnp.zeros(()), jnp.ones((2, 2, 2), bool))

    def error(old: int, seed: int) -> list[np.ndarray]:
        mine = jax.tree.map(lambda x: x[old, seed], actors)
        chances = np.asarray(policies(nets, mine, seen)[0].probabilities)
        mean = influence.averaged(TRANSITIONS, REWARDS[1:], chances[:, 1], config.gamma)
        true = influence.expected_values(mean, chances[:, 0])[0]
        return [np.abs(np.asarray(x[old, seed]) - true).max((1, 2)) for x in found]

    errors = np.array([[error(old, seed) for seed in range(SEEDS)] for old in range(2)])
    return np.moveaxis(errors, 2, 3)


def main() -> None:
    with matplotlib.rc_context(LETTERS):
        canvas = Figure(figsize=(7.2, 2.9), dpi=DPI, layout="constrained")
        found = {kind: curves(kind).mean(1) for kind in ("clones", "single")}
        for axes, old in zip(canvas.subplots(1, 2, sharey=True), (0, 1), strict=True):
            for kind, hue in (("clones", "#0072B2"), ("single", "#C36605")):
                mean = found[kind][old]
                updates = 2 * np.arange(1, ROLLOUTS + 1)  # a rollout has 80 steps, and there is an update every 40
                axes.plot(updates, mean[:, 0], color=hue, label=f"{kind}, the others as today")
                axes.plot(updates, mean[:, 1], color=hue, linestyle=":", label=f"{kind}, the others as in the buffer")
                print(kind, "old" if old else "own", *(f"{x:.3f}" for x in mean[[3, 30, -1]].ravel()))
            title = "buffer of other policies, then of today's" if old else "buffer of today's policies"
            axes.set_title(title, fontsize=8)
            axes.set_xlabel("updates")
            axes.set_yscale("log")
            axes.spines[["top", "right"]].set_visible(False)
        canvas.axes[0].set_ylabel("largest error of q(s, a)")
        canvas.axes[0].legend(frameon=False, fontsize=7)
        canvas.savefig(OUT)


if __name__ == "__main__":
    main()
