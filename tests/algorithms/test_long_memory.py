"""Actors that attend to their whole episode, in PG and PPO: play and learning see the same, and what actors remember.
test_all.py tests what holds for every algorithm.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from jax import Array

from comity import rollout
from comity.algorithms.policy_gradient import pg
from comity.algorithms.ppo import ippo, mappo
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep
from tests.tiny.learning import trained

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest


class State(NamedTuple):
    cue: Array  # [N] int32
    shown: Array  # [N] int32
    time: Array  # [] int32


@dataclass(frozen=True)
class Cue:
    """Each agent sees its cue first, then others that mean nothing, and is paid for naming its own when it is asked."""

    length: int = 6

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(4), action=Discrete(2), length=self.length, state=Vector(1))

    def observe(self, state):
        clock = jnp.stack([state.time == 0, state.time == self.length - 1]).astype(float)
        view = jnp.concatenate([jax.nn.one_hot(state.shown, 2), jnp.tile(clock, (2, 1))], -1)
        return Observation(view, clock[:1], jnp.ones((2, 2), bool))

    def reset(self, key):
        cue = jax.random.randint(key, (2,), 0, 2)
        state = State(cue, cue, jnp.int32(0))
        return state, self.observe(state)

    def step(self, key, state, action):
        asked = state.time == self.length - 1
        reward = jnp.where(asked & (action == state.cue), 1.0, 0.0)
        after = State(state.cue, jax.random.randint(key, (2,), 0, 2), state.time + 1)
        return after, Timestep(self.observe(after), reward, after.time >= self.length, jnp.bool_(False), {})


ENV = Cue()
COMMON = {"core": "attention", "hidden": 16, "context_heads": 2}
PPO = ippo.Config(**COMMON, encoder=(16,), minibatches=2, learning_rate=3e-3)  # 8 of 8 seeds; of 0.01, 3
MADE = {
    "pg": pg.make(pg.Config(**COMMON, critic_schedule="batch", learning_rate=1e-3, critic_learning_rate=0.01), ENV),
    "ippo": ippo.make(PPO, ENV),
}
UPDATES = {"pg": 300, "ippo": 80}


@cache
def learned(name: str):
    """(state after so many updates of 32 games, rewards in play [U, T, B, N])"""
    return trained(KEY, MADE[name], ENV, UPDATES[name], 32, lambda steps, _: steps.reward)


@pytest.mark.learn
@pytest.mark.parametrize("name", MADE)
def test_a_cue_is_remembered_over_what_means_nothing(name):
    """Play from memory is right; the same policy without it, at every step as if the episode began, is at chance."""
    algorithm, (state, reward) = MADE[name], learned(name)
    assert reward[-20:].sum(1).mean() > 0.9
    assert 0.4 < reward[:2].sum(1).mean() < 0.6

    def forgetful(key, memory, observation):
        return algorithm.act(key, state, jax.tree.map(jnp.zeros_like, memory), observation)

    start = rollout.start(KEY, ENV, algorithm.memory, 512)
    steps = jax.jit(lambda: rollout.collect_episodes(KEY, ENV, forgetful, start))()
    assert steps.reward.sum(0).mean() < 0.6


def test_learning_reads_what_was_played():
    """All ratios of PPO are 1 at first: log-probabilities of a whole episode at once are those of its steps."""
    algorithm, (state, _) = MADE["ippo"], learned("ippo")
    once = ippo.make(replace(PPO, epochs=1, minibatches=1), ENV)

    @jax.jit
    def one(key):
        play = rollout.start(key, ENV, algorithm.memory, 8)
        _, steps = rollout.collect(key, ENV, algorithm, state, play)
        return once.update(key, state, steps)[1]

    metrics = one(KEY)
    assert abs(metrics["kl"]) < 1e-6
    assert metrics["entropy"] < 0.68  # and they are not all the same


@pytest.mark.parametrize("name", ["pg", "ippo"])
def test_no_context_is_kept_of_every_step(name):
    """A rollout's memory would be T times the context; the compiler drops it, since nobody reads it."""
    long = Cue(length=200)
    settings = {"core": "attention", "hidden": 64}
    algorithm = pg.make(pg.Config(**settings), long) if name == "pg" else ippo.make(ippo.Config(**settings), long)

    def iterate(key, state, play):
        play, steps = rollout.collect(key, long, algorithm, state, play)
        return play, algorithm.update(key, state, steps)

    state, play = jax.eval_shape(lambda: (algorithm.init(KEY), rollout.start(KEY, long, algorithm.memory, 4)))
    memory = jax.jit(iterate).lower(KEY, state, play).compile().memory_analysis()
    kept = 200 * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(play.memory))
    assert memory is not None
    assert memory.temp_size_in_bytes < kept / 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pg.Config(core="attention", hidden=6), "context_heads 4 do not divide hidden 6"),
        (lambda: mappo.Config(core="attention", context_heads=3), "context_heads 3 do not divide hidden 64"),
        (lambda: pg.Config(context_layers=0), "context_layers 0 is below 1: give a whole number of 1 or more"),
        (lambda: ippo.Config(core="attention", steps=20), "whole episodes: set it to 0"),
    ],
)
def test_bad_settings_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        make()
    assert message in str(error.value)
