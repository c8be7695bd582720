"""PQN and PQN-VDN: targets by hand, replay of pieces, and games with known values."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from comity import rollout
from comity.algorithms import actors
from comity.algorithms.values import pqn, pqn_vdn
from comity.environments.matrix.two_step import TwoStep
from comity.learning import chosen, cut, masked
from comity.networks import DeepRecurrentNet, fresh_core
from comity.rollout import starts
from tests.tiny.learning import trained_seeds
from tests.tiny.noise import Noise
from tests.tiny.pictures import Pictures

KEY, GAMES = jax.random.key(0, impl="unsafe_rbg"), 4
MODULES: dict[str, Any] = {"pqn": pqn, "pqn-vdn": pqn_vdn}
SMALL: dict[str, Any] = {"hidden": 6, "encoder": (5,), "chunk": 2}
MORE: dict[str, Any] = {"last_action": True, "agent_id": True}


def own(q):
    return q


def total(q):
    return q.sum(-1, keepdims=True)


def team_of(config: pqn.Settings, env):
    new = partial(DeepRecurrentNet, layers=config.encoder, hidden=config.hidden, outputs=env.spec.action.n)
    new = partial(new, core=config.core, normed_layers=True)
    core = fresh_core(config.core, config.hidden, env.spec.agents)
    return actors.team(config, env, actors.actions_of(actors.Numbers(), env), config.agents, new, core, config.hidden)


def once(algorithm, env, key):
    """(state at the start, a rollout that ends between starts and ends of episodes, state and metrics after)."""
    key_init, key_start, key_play, key_learn = jax.random.split(key, 4)
    state = algorithm.init(key_init)
    play = rollout.start(key_start, env, algorithm.memory, GAMES)
    play, _ = rollout.collect(key_play, env, algorithm, state, play)
    _, steps = rollout.collect(key_learn, env, algorithm, state, play)
    return state, steps, *algorithm.update(key_learn, state, steps)


@pytest.mark.parametrize("name", MODULES)
def test_targets_by_hand(name):
    """Peng's Q(lambda), of the team's summed value or of each agent's: the best available next action; nothing follows
    a termination, the bare value an episode that is cut or the rollout's last step."""
    module, env = MODULES[name], Noise()
    config = module.Config(**SMALL, gamma=0.9, lambda_=0.7, reward_factor=2.0)
    _, steps, _, _ = jax.jit(partial(once, module.make(config, env), env))(KEY)
    random = np.random.default_rng(0)
    times, games, agents = steps.reward.shape
    steps = steps._replace(
        terminated=jnp.asarray(random.random((times, games)) < 0.2),
        truncated=jnp.asarray(random.random((times, games)) < 0.2),
    )
    assert bool(steps.terminated.any() & steps.truncated.any())
    q = jnp.asarray(random.normal(size=(times, games, agents, env.spec.action.n)), jnp.float32)
    found = pqn.targets(config, total if name == "pqn-vdn" else own, steps, q)
    available = np.asarray(steps.next_observation.available)
    best = np.where(available, np.asarray(q), -np.inf).max(-1)  # [T, B, N]
    for game in range(games):
        for agent in range(agents):
            after = 0.0
            for t in reversed(range(times)):
                reward = 2.0 * float(
                    steps.reward[t, game].mean() if name == "pqn-vdn" else steps.reward[t, game, agent]
                )
                value = best[t, game].sum() if name == "pqn-vdn" else best[t, game, agent]
                cuts = bool(steps.truncated[t, game] | steps.terminated[t, game]) or t == times - 1
                following = value if cuts else 0.3 * value + 0.7 * after
                after = reward + 0.9 * following * (not steps.terminated[t, game])
                np.testing.assert_allclose(found[t, game, agent], after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("core", ["gru", "lstm", "none"])
def test_pieces_give_the_values_of_play(core):
    config = pqn.Config(**SMALL, **MORE, core=core)
    env = Noise()
    state, steps, _, _ = jax.jit(partial(once, pqn.make(config, env), env))(KEY)
    batch = pqn.pieces(steps, steps.reward, 2)
    q = team_of(config, env).unroll(state.net, batch.view, batch.memory, batch.starts, batch.action)
    assert bool(starts(steps)[1:].any())  # an episode begins inside
    np.testing.assert_allclose(q, cut(steps.notes["values"], 2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("agents", ["shared", "separate"])
def test_one_pass_over_all_is_one_gradient_step(agents):
    """One epoch, one minibatch, pieces as long as the rollout: plain descent of the mean squared error."""
    env = Noise()
    plain = {"epochs": 1, "minibatches": 1, "optimizer": "rmsprop", "decay": 0.0, "epsilon": 1e6, "clip": 1e9}
    config = pqn.Config(**{**SMALL, "chunk": 100}, **plain, agents=agents, learning_rate=1e6, last_learning_rate=1e6)  # pyright: ignore[reportArgumentType]
    state, steps, after, _ = jax.jit(partial(once, pqn.make(config, env), env))(KEY)
    team = team_of(config, env)
    next_q, _ = team.step(state.net, steps.next_observation.view, steps.next_memory)
    target = pqn.targets(config, own, steps, next_q)
    memory = jax.tree.map(lambda x: x[0], steps.memory)

    def loss(net):
        q = team.unroll(net, steps.observation.view, memory, starts(steps))
        error = jnp.square(target - chosen(q, steps.action)).mean((0, 1))
        return error.sum() if agents == "separate" else error.mean()

    # RMSprop without an average and with a large epsilon: rate / epsilon = 1 times the gradient.
    expected = optax.apply_updates(state.net, jax.tree.map(lambda g: -g, jax.grad(loss)(state.net)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), after.net, expected)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after.net, state.net)
    assert max(jax.tree.leaves(moved)) > 1e-3


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("settings", [MORE, {"agents": "separate", "core": "lstm"}], ids=["named", "separate"])
def test_pictures(name, settings):
    """Traced: states keep shapes and dtypes."""
    module, env = MODULES[name], Pictures()
    algorithm = module.make(module.Config(**SMALL, **settings), env)
    before, _, after, metrics = jax.eval_shape(partial(once, algorithm, env), KEY)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    assert all(x.shape == () for x in metrics.values())


@pytest.mark.parametrize("name", MODULES)
def test_greedy_play_explores_no_more_than_epsilon(name):
    module, env = MODULES[name], Noise()
    algorithm = module.make(module.Config(**SMALL, explore_start=0.0, explore_end=0.0), env)
    _, steps, _, _ = jax.jit(partial(once, algorithm, env))(KEY)
    best = masked(steps.notes["values"], steps.observation.available).argmax(-1)
    np.testing.assert_array_equal(steps.action, best)


# Known values: uniform play for ever, one-step targets, as in the tests of value decomposition ------------------------

SEEDS = 4
KNOWN: dict[str, Any] = {
    "encoder": (),
    "hidden": 16,
    "lambda_": 0.0,
    "explore_end": 1.0,
    "epochs": 1,
    "minibatches": 1,
    "learning_rate": 3e-3,
    "last_learning_rate": 3e-4,
    "learning_rate_steps": 2_000.0,
}


@cache
def two_step(name: str):
    """(algorithm, states of so many seeds) of a member trained on the two-step game."""
    module, env = MODULES[name], TwoStep()
    algorithm = module.make(module.Config(**KNOWN), env)
    return algorithm, trained_seeds(KEY, algorithm, env, 2_000, 64, SEEDS)[0]


def table(name: str, first: tuple[int, int] | None):
    """Q [seeds, N, A] at the start, or after a first joint action."""
    algorithm, states = two_step(name)
    env = TwoStep()

    def values(state):
        game, observation = env.reset(KEY)
        memory = algorithm.memory
        if first is not None:
            _, memory, _ = algorithm.act(KEY, state, memory, observation, explore=False)
            _, timestep = env.step(KEY, game, jnp.asarray(first))
            observation = timestep.observation
        return algorithm.act(KEY, state, memory, observation, explore=False)[2]["values"]

    return jax.jit(jax.vmap(values))(states)


def joint(q):
    """Q_1(a) + Q_2(b), [seeds, A, A]."""
    return np.asarray(q[:, 0, :, None] + q[:, 1, None, :])


@pytest.mark.learn
def test_pqn_knows_its_own_averages_and_stays_safe():
    risky, first = table("pqn", (1, 0)), table("pqn", None)
    np.testing.assert_allclose(risky.mean(0), [[0.5, 4.5], [0.5, 4.5]], atol=0.3)
    np.testing.assert_allclose(first[:, 0].mean(0), [6.93, 4.455], atol=0.3)
    assert (first[:, 0].argmax(-1) == 0).all()


@pytest.mark.learn
def test_pqn_vdn_fits_the_additive_least_squares_and_stays_safe():
    risky, first = joint(table("pqn-vdn", (1, 0))), joint(table("pqn-vdn", None))
    np.testing.assert_allclose(first.mean(0), [[6.93, 6.93], [6.435, 6.435]], atol=0.3)
    np.testing.assert_allclose(risky.mean(0), [[-1.5, 2.5], [2.5, 6.5]], atol=0.3)
    assert (table("pqn-vdn", None)[:, 0].argmax(-1) == 0).all()


def test_the_papers_numbers_make_a_learner():
    config = pqn_vdn.Config(**pqn.PAPER)  # pyright: ignore[reportArgumentType]
    state = jax.eval_shape(pqn_vdn.make(config, Noise()).init, KEY)
    assert [layer.weight.shape[1] for layer in state.net.layers] == [512, 512]
