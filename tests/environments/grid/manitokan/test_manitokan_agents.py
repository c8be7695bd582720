"""Manitokan with three and four agents: gifts handed on until every door is open, and learners that fit."""

import jax
import jax.numpy as jnp
import pytest

from comity import rollout
from comity.algorithms.policy_gradient import pg
from comity.algorithms.ppo import ippo, mappo
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.grid.manitokan.state import DROP, LEFT, PICKUP, RIGHT, TOGGLE

KEY = jax.random.key(0)


def test_two_gifts_among_three_and_their_delay():
    """All stand on one cell, a door on three sides of it, the key handed on through the fourth: opened at 0, 7 and 13,
    given at 2 and 10. The delay runs from the first gift to the last door."""
    game = Manitokan(num_agents=3, length=20)
    state = game.build(
        position=[[3, 3]] * 3, heading=[0, 1, 2], doors=[[4, 3], [3, 4], [2, 3]], holder=0
    )  # right, down, left; (3, 2), above, stays free
    script = [
        [TOGGLE, LEFT, RIGHT],
        [LEFT, LEFT, LEFT],
        [DROP, LEFT, RIGHT],  # agent 1 must look up, heading 3, and back down
        [LEFT, RIGHT, LEFT],
        [LEFT, PICKUP, RIGHT],
        [LEFT, RIGHT, LEFT],
        [LEFT, RIGHT, RIGHT],
        [LEFT, TOGGLE, LEFT],
        [LEFT, LEFT, RIGHT],
        [LEFT, LEFT, LEFT],
        [LEFT, DROP, RIGHT],
        [LEFT, LEFT, PICKUP],
        [LEFT, LEFT, LEFT],
        [LEFT, LEFT, TOGGLE],
    ]

    @jax.jit
    def run(state, actions):
        def step(state, action):
            state, timestep = game.step(KEY, state, action)
            return state, (timestep.reward, timestep.info, timestep.terminated)

        _, (reward, info, over) = jax.lax.scan(step, state, actions)
        lead = lambda x: x[:, None]  # noqa: E731
        told = game.summary(lead(reward), jax.tree.map(lead, info), jnp.ones((len(actions), 1), bool))
        return reward, over, jax.tree.map(lambda x: x[0], told)

    reward, over, told = run(state, jnp.array(script))
    assert over.tolist() == [False] * 13 + [True]
    assert reward.sum(0).tolist() == [2.0, 2.0, 2.0]
    assert told["success"] == 1
    assert told["gift_delay"] == 11
    assert told["drops_after_opening"].tolist() == [1, 1, 0]
    assert told["doors_opened"].tolist() == [1, 1, 1]
    assert told["first_opening"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("agents", [3, 4])
@pytest.mark.parametrize(
    "make",
    [
        lambda env: pg.make(pg.Config(hidden=4), env),
        lambda env: pg.make(pg.Config(hidden=4, core="attention", predict="others", actors="shared"), env),
        lambda env: ippo.make(ippo.Config(hidden=4, predict="others"), env),
        lambda env: mappo.make(mappo.Config(hidden=4, core="attention"), env),
    ],
    ids=["pg", "pg-long", "ippo", "mappo-long"],
)
def test_learners_fit_more_agents(make, agents):
    """Traced only; the state keeps its shape."""
    env = Manitokan(num_agents=agents)
    algorithm = make(env)

    def iterate(key):
        state = algorithm.init(key)
        play = rollout.start(key, env, algorithm.memory, 2)
        _, steps = rollout.collect(key, env, algorithm, state, play)
        return state, algorithm.update(key, state, steps)

    before, (after, metrics) = jax.eval_shape(iterate, KEY)
    assert before == after
    assert all(x.shape == () for x in metrics.values())
