"""LIIR: its outer gradient against finite differences, the case without intrinsic rewards, what the rewards learn."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.policy_gradient import liir
from comity.environments.matrix.matrix import Matrix
from comity.environments.matrix.two_step import TwoStep
from comity.learning import chosen, lambda_returns, log_prob, replay
from tests.tiny.learning import trained

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": 5, "critic_hidden": 6, "activation": "tanh"}
GAME = TwoStep()


def played(config: liir.Config, env=GAME, games: int = 6):
    algorithm = liir.make(config, env)
    state = algorithm.init(KEY)
    play = rollout.start(KEY, env, algorithm.memory, games)
    return algorithm, state, rollout.collect(KEY, env, algorithm, state, play)[1]


def test_the_outer_gradient_is_that_of_finite_differences():
    """A large epsilon makes RMSprop plain: its first step is the gradient times rate / epsilon."""
    config = liir.Config(
        **TINY, intrinsic_weight=0.5, learning_rate=10.0, critic_learning_rate=1e3, epsilon=1e3, clip=1e6,
        standardise=False,
    )  # fmt: skip
    algorithm, state, steps = played(config)
    update = jax.jit(algorithm.update)
    after, _ = update(KEY, state, steps)
    climbed = after.critic.net.rewards.bias - state.critic.net.rewards.bias  # only the outer objective moves it
    assert float(jnp.abs(climbed).max()) > 1e-4

    def earned(bias):
        moved = eqx.tree_at(lambda critic: critic.net.rewards.bias, state.critic, bias)
        return float(update(KEY, state._replace(critic=moved), steps)[1]["extrinsic_objective"])

    bias, size = state.critic.net.rewards.bias, 0.2
    for k in range(len(bias)):
        slope = (earned(bias.at[k].add(size)) - earned(bias.at[k].add(-size))) / (2 * size)
        assert slope == pytest.approx(float(climbed[k]), rel=0.05, abs=2e-5)


def test_one_step_of_a_team_bandit_by_enumeration():
    """Additive pay: the objective's slope in the intrinsic rewards is that of what the team exactly earns."""
    pays = jnp.array([[0.0, 1.0], [0.5, -0.5]])  # [agent, arm]
    joint = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # each once: the old policies are uniform
    reward = pays[0, joint[:, 0]] + pays[1, joint[:, 1]]
    action, valid = joint[None], jnp.ones((1, 4), bool)  # [T, B, N], [T, B]
    theta = jnp.zeros((2, 2))
    logits = lambda theta: jnp.broadcast_to(theta, (1, 4, 2, 2))  # noqa: E731

    def stepped(eta):
        own = reward[None, :, None] + chosen(logits(eta), action)
        loss = lambda theta: liir.policy_loss(logits(theta), action, own, valid).sum()  # noqa: E731
        return theta - 0.7 * jax.grad(loss)(theta)

    def surrogate(eta):
        advantage = jnp.broadcast_to(reward[None, :, None], (1, 4, 2))
        return 2 * liir.extrinsic_objective(logits(stepped(eta)), logits(theta), action, advantage, valid)

    exact = lambda eta: (jax.nn.softmax(stepped(eta)) * pays).sum()  # noqa: E731  # what is earned after the step
    eta = jnp.array([[0.3, -0.1], [0.2, 0.4]])
    found = jax.grad(surrogate)(eta)
    np.testing.assert_allclose(found, jax.grad(exact)(eta), atol=1e-6)
    step = 1e-2
    slope = (exact(eta.at[0, 1].add(step)) - exact(eta.at[0, 1].add(-step))) / (2 * step)
    assert float(found[0, 1]) == pytest.approx(float(slope), abs=1e-4)
    assert float(found[0, 1]) > 0 > float(found[1, 1])  # rewards lean to the arms that pay


def test_without_intrinsic_rewards_it_is_independent_actor_critic():
    config = liir.Config(**TINY, intrinsic_weight=0.0)
    algorithm, state, steps = played(config)
    after, metrics = jax.jit(algorithm.update)(KEY, state, steps)
    np.testing.assert_array_equal(after.critic.net.rewards.weight, state.critic.net.rewards.weight)
    assert float(metrics["intrinsic_reward"]) > 0  # there are some, they do not count

    episodes = replay.of_rollout(steps)
    values = state.critic(*liir.critic_reads(GAME.spec, episodes.observation))[1]
    team = jnp.broadcast_to(steps.reward.mean(-1, keepdims=True), steps.reward.shape)
    returns = lambda_returns(team, values[1:], episodes.terminated, episodes.ended, config.gamma, config.lambda_)
    away = returns - values[:-1]
    advantage = (away - away.mean()) / away.std()  # all steps are valid here

    def loss(actor):
        out = actor.unroll(steps.observation.view, steps.memory[0])
        return -(advantage * log_prob(out, steps.action)).mean()

    assert bool(steps.valid.all() & steps.observation.available.all())
    rmsprop = liir.differentiable_rmsprop(config.learning_rate, config.clip, config.decay, config.epsilon)
    wanted, _ = liir.take_step(rmsprop, state.actor, rmsprop.init(state.actor), jax.grad(loss)(state.actor))
    for a, b in zip(jax.tree.leaves(after.actor), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_values_learn_at_each_time_index_and_the_rewards_once():
    """Layers and values take one step per time index, the last first. Then the head of the rewards takes its own."""
    config = liir.Config(**TINY, critic_schedule="each-step", target_period=3)
    algorithm, state, steps = played(config)
    update = jax.jit(algorithm.update)
    after, told = update(KEY, state, steps)

    episodes, spec = replay.of_rollout(steps), GAME.spec
    found = liir.credit(config, spec, state.critic, state.target_critic, episodes)
    rmsprop = liir.optimizer("rmsprop", config.critic_learning_rate, config.clip, config.decay, config.epsilon)
    wanted, opt_state, errors, extrinsic = state.critic, rmsprop.init(state.critic), [], []
    for t in (1, 0):
        at = lambda tree, t=t: jax.tree.map(lambda x: x[t : t + 1], tree)  # noqa: E731

        def error(critic, at=at):
            values = critic(*liir.critic_reads(spec, at(steps.observation)))[1:]
            return liir.value_errors(values, at((found.proxy_return, found.extrinsic_return)), at(steps.valid))

        errors.append(float(error(wanted)))
        extrinsic.append(wanted(*liir.critic_reads(spec, at(steps.observation)))[2][0])
        wanted, opt_state = liir.take_step(rmsprop, wanted, opt_state, jax.grad(error)(wanted))
    assert float(told["critic_loss"]) == pytest.approx(np.mean(errors), rel=1e-5)  # each from before its own step
    now, before = (net.unroll(steps.observation.view, steps.memory[0]) for net in (after.actor, state.actor))
    advantage = found.extrinsic_return - jnp.stack(extrinsic[::-1])
    earned = liir.extrinsic_objective(now, before, steps.action, advantage, steps.valid)
    assert float(told["extrinsic_objective"]) == pytest.approx(float(earned), rel=1e-4)
    for part in ("layers", "values"):
        got, expected = (jax.tree.leaves(getattr(c.net, part)) for c in (after.critic, wanted))
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)
    moved = after.critic.net.rewards.weight - state.critic.net.rewards.weight
    assert float(jnp.abs(moved).max()) > 1e-5

    later, _ = update(KEY, after, steps)
    assert [int(x.stepwise.copied) for x in (after, later)] == [0, 4]  # two steps of the values per update
    for state, copied in ((after, False), (later, True)):
        assert np.array_equal(state.target_critic.net.values.weight, state.critic.net.values.weight) == copied


def test_the_code_standardises_the_extrinsic_advantage_and_clips_the_step_of_the_rewards():
    """A large epsilon makes RMSprop plain: the first step is the clipped gradient times rate / epsilon."""
    plain = liir.Config(
        **TINY, intrinsic_weight=0.5, critic_schedule="each-step", learning_rate=1e3, critic_learning_rate=1e3,
        epsilon=1e3,
    )  # fmt: skip
    code = replace(plain, standardise_extrinsic=True, rewards_clip=1e-4)
    _, state, steps = played(plain)
    found = [
        liir.credit(config, GAME.spec, state.critic, state.target_critic, replay.of_rollout(steps))
        for config in (plain, code)
    ]
    raw, standard = (np.asarray(credit.extrinsic_advantage)[np.asarray(steps.valid)] for credit in found)
    np.testing.assert_allclose(standard, (raw - raw.mean()) / raw.std(), rtol=1e-3)
    np.testing.assert_array_equal(found[0].proxy_advantage, found[1].proxy_advantage)

    def size(config: liir.Config) -> float:
        after, _ = jax.jit(liir.make(config, GAME).update)(KEY, state, steps)
        heads = (jax.tree.leaves(s.critic.net.rewards) for s in (after, state))
        return float(jnp.sqrt(sum(jnp.square(a - b).sum() for a, b in zip(*heads, strict=True))))

    assert size(code) == pytest.approx(1e-4, rel=0.01)
    assert size(replace(code, rewards_clip=10.0)) > 1.5e-4


def test_the_floor_of_exploration_is_in_play_and_in_the_loss():
    """With weight 1 of the uniform policy nothing that is played depends on the actor, and its gradient is 0."""
    config = liir.Config(**TINY, exploration="floor", floor_start=1.0, floor_end=1.0)
    algorithm = liir.make(config, GAME)
    state = algorithm.init(KEY)
    sure = eqx.tree_at(lambda actor: actor.head.bias, state.actor, jnp.array([50.0, 0.0]))
    state = state._replace(actor=sure)
    play = rollout.start(KEY, GAME, algorithm.memory, 32)
    steps = rollout.collect(KEY, GAME, algorithm, state, play)[1]
    assert 0.3 < float(steps.action.mean()) < 0.7
    after, _ = jax.jit(algorithm.update)(KEY, state, steps)
    assert int(after.time) == len(steps.valid)
    for a, b in zip(jax.tree.leaves(after.actor), jax.tree.leaves(sure), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    first = jax.tree.map(lambda x: x[0], (steps.observation, steps.memory))
    greedy, _, _ = algorithm.act(KEY, state, first[1], first[0], False)
    assert int(greedy.max()) == 0


def test_a_gradient_of_zero_has_a_finite_derivative():
    """Nothing is earned anywhere: every advantage is 0, and so is what the step looks through."""
    algorithm, state, steps = played(liir.Config(**TINY, intrinsic_weight=0.0))
    nothing = steps._replace(reward=jnp.zeros_like(steps.reward))
    quiet = state._replace(
        **{name: jax.tree.map(jnp.zeros_like, getattr(state, name)) for name in ("critic", "target_critic")}
    )
    after, metrics = jax.jit(algorithm.update)(KEY, quiet, nothing)
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves((after, metrics)))


@pytest.mark.learn
def test_intrinsic_rewards_single_out_who_earned():
    """r = a_0 - a_1 for the team: agent 0 comes to be paid for action 1, agent 1 for action 0, and both play so."""
    env = Matrix(payoff=(0.0, -1.0, 1.0, 0.0))
    config = liir.Config(
        actors="separate",
        hidden=8,
        critic_hidden=16,
        intrinsic_weight=1.0,
        learning_rate=1e-3,
        critic_learning_rate=5e-3,
    )
    algorithm = liir.make(config, env)

    state, reward = trained(KEY, algorithm, env, 300, 32)
    _, observation = env.reset(KEY)
    paid = state.critic(*liir.critic_reads(env.spec, observation))[0]
    assert float(reward[:10].mean()) < 0.3
    assert float(reward[-20:].mean()) > 0.9
    assert float(paid[0, 1] - paid[0, 0]) > 0.1
    assert float(paid[1, 0] - paid[1, 1]) > 0.1
