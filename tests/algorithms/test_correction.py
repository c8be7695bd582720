"""Correction terms inside a learner: agreement with enumeration over episodes, and the terms' effect on a gift."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.policy_gradient import correction, pg
from comity.algorithms.policy_gradient.correction import Average
from comity.algorithms.terms import Actor, Learned
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.matrix.two_step import TwoStep
from comity.learning import corrections, log_prob, masked, sample
from comity.networks import Linear, Team
from comity.settings import floats, with_floats
from comity.spec import Vector
from comity.types import Collective, Transition
from tests.tiny.gift import Gift
from tiny.learning import played, trained_seeds, training

KEY = jax.random.key(0)
SMALL: dict[str, Any] = {"hidden": 8, "critic_schedule": "batch", "learning_rate": 5e-3, "critic_learning_rate": 5e-3}


def actor_of(params, unroll, action, separate: bool) -> Actor:
    """Actors of parameters that are no networks. unroll: params -> logits [T, B, N, A]."""
    team = Team(lambda key, inputs: Linear(key, inputs, 1), 2, Vector(1), "separate" if separate else "shared")
    logits, pull_back = jax.vjp(unroll, params)
    pull = lambda of_logits, of_memories: pull_back(of_logits)[0]  # noqa: E731
    return Actor(team, params, unroll, logits, (), lambda logits: log_prob(logits, action), pull)


def one_decision(key, theta, games: int, separate: bool = True) -> tuple[Actor, Transition, Collective]:
    """Agents of one number each, who act once: agent 0 gives with sigmoid(theta_0), agent 1 uses with sigmoid(theta_1).

    separate: these are parameters [N] of two actors, else a shared vector of two numbers.
    """

    def unroll(theta):
        return jnp.broadcast_to(jnp.stack([jnp.zeros(2), theta], -1), (1, games, 2, 2))

    action = jax.random.bernoulli(key, jax.nn.sigmoid(theta), (1, games, 2)).astype(jnp.int32)
    success = (action[0].prod(-1) > 0).astype(jnp.float32)  # [B]
    steps = made_up(action, jnp.repeat(success[None, :, None], 2, -1))
    shared = Collective(success[None], jnp.broadcast_to(jnp.array([True, False]), (games, 2)), steps.valid)
    return actor_of(theta, unroll, action, separate), steps, shared


def made_up(action, reward) -> Transition:
    ones = jnp.ones(action.shape[:2], bool)
    nothing: Any = None
    return Transition(nothing, nothing, action, reward, nothing, nothing, ~ones, ~ones, ones, {}, {})


def exact(theta, kind):
    """The term, by differentiating J = p q."""
    gift = lambda t, f: jax.nn.sigmoid(t) * jax.nn.sigmoid(f)  # noqa: E731
    if kind == "mixed":
        return jnp.array([corrections.mixed(gift, theta[0], theta[1]), 0.0])
    if kind == "self_mixed":
        return jnp.array([0.0, corrections.self_mixed(gift, theta[0], theta[1])])
    return jnp.array([corrections.self_pure(lambda t: gift(t, theta[1]), theta[0]), 0.0])


@pytest.mark.parametrize("kind", ["mixed", "self_pure", "self_mixed"])
@pytest.mark.parametrize("separate", [True, False])
def test_episodes_agree_with_enumeration(kind, separate):
    theta, games = jnp.array([-0.5, 0.7]), 400_000
    p, q = jax.nn.sigmoid(theta)
    config = pg.Config(correction=kind, correction_damping=1e-9)
    # s is known here: 1 - p, 1 - q; the average holds sum R S and sum R of as many episodes as one likes.
    score = jnp.array([0.0, 1 - q] if kind == "mixed" else [1 - p, 0.0])
    average = Average(score, (score > 0) * 1.0 if separate else jnp.float32(1.0))

    @jax.jit  # of arguments: what is constant would be worked out while it compiles
    def estimate(key, theta):
        actor, _, shared = one_decision(key, theta, games, separate)
        return *correction.term(config, actor, shared, average), shared.reward.sum()

    term, after, successes = estimate(KEY, theta)
    np.testing.assert_allclose(term / games, exact(theta, kind), atol=4e-3)
    # The average moves a tenth of the way to this batch's sums.
    np.testing.assert_allclose(after.success.max(), 0.9 + 0.1 * successes, rtol=1e-5)
    measured = (after.score - 0.9 * score) / (0.1 * successes)
    np.testing.assert_allclose(measured, score, atol=2e-3)  # the mean score of successful episodes


def test_three_agents_and_givers_that_change():
    """w_e by hand: <S of the others, s> / (|s of the others|^2 + damping), where any agent may be the giver."""
    games, key_giver, key_action, key_score = 50, *jax.random.split(KEY, 3)
    giver = jax.nn.one_hot(jax.random.randint(key_giver, (games,), 0, 4), 3) > 0  # a quarter has none
    theta = jnp.array([[0.1, -0.2], [0.3, 0.5], [-0.4, 0.2]])  # two numbers each: logits are their sum and difference

    def unroll(theta):
        logits = jnp.stack([theta.sum(-1), theta[:, 0] - theta[:, 1]], -1)
        return jnp.broadcast_to(logits, (1, games, 3, 2))

    action = jax.random.randint(key_action, (1, games, 3), 0, 2)
    returns = jax.random.uniform(key_score, (games,))
    shared = Collective(returns[None], giver, giver.any(-1)[None])
    actor = actor_of(theta, unroll, action, True)
    config = pg.Config(correction="mixed", correction_baseline="mean", correction_damping=0.1)
    sums, success = jnp.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]]), jnp.array([2.0, 1.0, 4.0])
    term, after = correction.term(config, actor, shared, Average(sums, success))

    s = np.asarray(sums / success[:, None])
    all_scores = jax.jacrev(lambda t: log_prob(unroll(t), action)[0])(theta)  # [games, N, N, 2]
    own = np.stack([all_scores[:, n, n] for n in range(3)], 1)
    wanted, earned = np.zeros((3, 2)), np.zeros((3, 2))
    for game in np.flatnonzero(giver.any(-1)):
        i = int(giver[game].argmax())
        others = [n for n in range(3) if n != i]
        size = (s[others] ** 2).sum()
        w = (own[game, others] * s[others]).sum() / (size + 0.1 * max(1, size))
        alike = np.asarray(giver[:, i])
        wanted[i] += (returns[game] - returns[alike].mean()) * w * own[game, i]
        earned[others] += returns[game] * own[game, others]
    np.testing.assert_allclose(term, wanted, atol=1e-4)
    np.testing.assert_allclose(after.score, 0.9 * sums + 0.1 * earned, atol=1e-4)
    not_giver = np.asarray(giver.any(-1, keepdims=True) & ~giver)
    np.testing.assert_allclose(after.success, 0.9 * success + 0.1 * (not_giver * returns[:, None]).sum(0), rtol=1e-5)


def begin(config: pg.Config, theta) -> Average:
    """The average before the first batch, of two separate actors."""
    (term,) = correction.terms(config, Gift(), actor_of(theta, lambda x: x, None, True).team)
    return term.init(KEY, theta)


def test_without_a_success_there_is_no_term():
    theta = jnp.array([-0.5, 0.7])
    actor, _, shared = one_decision(KEY, theta, 64)
    config = pg.Config(correction="mixed")
    term, after = correction.term(config, actor, shared, begin(config, theta))
    assert not term.any()
    assert after.success[1] > 0  # nothing was known before this batch, now something is


def test_discounted_returns_count_from_the_givers_reward():
    config = pg.Config(correction="mixed", correction_return="discounted")
    reward = jnp.array([[0.0], [0.0], [0.0], [2.0]])
    after = jnp.array([[False], [True], [True], [True]])  # the giver's own reward came at step 0
    shared = Collective(reward, jnp.array([[True, False]]), after)
    np.testing.assert_allclose(correction.collective_returns(config, shared, 0.5), 2 * 0.5**3)
    np.testing.assert_allclose(correction.collective_returns(pg.Config(), shared, 0.5), 2)


def test_a_term_discounts_by_the_learners_gamma():
    """The average counts what episodes returned: gamma of each success, one step after the gift."""
    theta = jnp.array([-0.5, 0.7])
    config = pg.Config(correction="mixed", correction_return="discounted", gamma=0.5)
    actor, _, shared = one_decision(KEY, theta, 64)
    _, after = correction.term(config, actor, shared, begin(config, theta))
    assert shared.reward.sum() > 0
    np.testing.assert_allclose(after.success, [0.0, 0.1 * 0.5 * float(shared.reward.sum())], rtol=1e-6)


def climbed(config: pg.Config, rate: float, batches: int) -> np.ndarray:
    """How likely agent 0 gives, after each batch of REINFORCE with the sampled term; agent 1 stays as it is."""
    games = 512
    start = jnp.array([-1.0, 0.5])

    def batch(carry, key):
        theta, average = carry
        actor, steps, shared = one_decision(key, theta, games)
        centred = (steps.reward - steps.reward.mean())[0, :, 0][None, :, None]
        loss = lambda theta: -(actor.log_probs(actor.unroll(theta)) * centred).sum() / games  # noqa: E731
        learned = Learned(steps, steps.reward, jnp.zeros_like(steps.reward))
        grads, average, _ = correction.corrected(
            config, lambda _: shared, average, actor, learned, jax.grad(loss)(theta)
        )
        theta = (theta - rate * grads).at[1].set(start[1])
        return (theta, average), theta[0]

    first = start, begin(config, start)
    return np.asarray(jax.nn.sigmoid(jax.jit(lambda: lax.scan(batch, first, jax.random.split(KEY, batches))[1])()))


UNLIMITED: dict[str, Any] = {  # an episode's weight is up to p / (1 - p)
    "correction_damping": 1e-6,
    "correction_clip": 100.0,
    "correction_weight_clip": 1e3,
}


@pytest.mark.parametrize("c", [1.0, 0.1])
def test_the_pure_term_ends_where_predicted_from_episodes(c):
    """In the one-decision game: p = (1 + c) / (1 + 2c)."""
    config = pg.Config(correction="self_pure", correction_coefficient=c, **UNLIMITED)
    assert climbed(config, 2.0, 3000)[-1500:].mean() == pytest.approx((1 + c) / (1 + 2 * c), abs=0.02)


def test_minus_the_mixed_term_a_gift_is_no_longer_learned():
    plain = climbed(pg.Config(correction="mixed", correction_coefficient=0.0), 2.0, 300)
    anti = climbed(pg.Config(correction="mixed", correction_coefficient=-1.0, **UNLIMITED), 2.0, 300)
    assert plain[-1] > 0.95
    assert np.abs(anti - anti[0]).max() < 0.1


@pytest.mark.learn
@pytest.mark.parametrize("actors", ["separate", "shared"])
def test_pg_with_the_mixed_term_learns_the_gift(actors):
    env = Gift()
    algorithm = pg.make(pg.Config(**SMALL, correction="mixed", actors=actors), env)
    states, _ = trained_seeds(KEY, algorithm, env, 300, 64, 3)

    def given(state):
        return played(KEY, algorithm, state, env, 256).info["given"].sum(0).mean()

    assert jax.jit(jax.vmap(given))(states).min() > 0.9


def test_coefficient_0_is_plain_pg():
    """And the coefficient is a traced float: one program for all."""
    env = Gift()
    config = pg.Config(**SMALL, correction="self_pure", actors="shared")

    def trained(config):
        return jax.vmap(training(pg.make(config, env), env, 5, 8))(jax.random.split(KEY, 2))[0].actor

    run = jax.jit(lambda c: trained(with_floats(config, {**floats(config), "correction_coefficient": c})))
    plain = jax.jit(lambda: trained(pg.Config(**SMALL, actors="shared")))()
    for a, b, c in zip(*map(jax.tree.leaves, (plain, run(0.0), run(1.0))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        assert not np.allclose(a, c, rtol=1e-5)


@pytest.mark.parametrize("trigger", ["success", "reward"])
def test_the_released_term_acts_where_it_is_triggered(trigger):
    """Its gradient in the logits against the closed form, and 0 elsewhere: at the step of success, or at every own
    reward of 1 or more, such as that of the oracle's drop."""
    key_logits, key_values = jax.random.split(KEY)
    logits = jax.random.normal(key_logits, (4, 3, 2, 5))
    values = jax.random.uniform(key_values, (4, 3, 2))
    action = logits.argmin(-1).astype(jnp.int32)
    reward = jnp.zeros((4, 3, 2)).at[2, 1].set(jnp.array([1.0, 1.5])).at[1, 0].set(jnp.array([1.0, 0.5]))
    steps = made_up(action, reward)
    shared = Collective(jnp.zeros((4, 3)).at[2, 1].set(1.0), jnp.ones((3, 2), bool), steps.valid)
    config = pg.Config(correction="released", correction_trigger=trigger)
    actor = actor_of(logits, lambda x: x, action, separate=False)
    learned = Learned(steps, reward, values)
    grads, average, sizes = correction.corrected(config, lambda _: shared, None, actor, learned, jnp.zeros_like(logits))
    acts = jnp.zeros((4, 3, 2), bool).at[2, 1].set(True).at[1, 0, 0].set(trigger == "reward")
    np.testing.assert_array_equal((grads != 0).any(-1), acts)
    p = jnp.exp(log_prob(logits, action))
    slope = -(reward - values) * (1 + jnp.log(p)) / (p * jnp.log(p)) ** 2 * p * (1 - p)  # by the taken action's logit
    found = jnp.take_along_axis(grads, action[..., None], -1)[..., 0]
    np.testing.assert_allclose(found[acts], -slope[acts] / (2 * 12), rtol=1e-4)  # both agents, 12 valid steps
    added = ((reward - values) / (p * jnp.log(p)) - 1)[acts].sum() / (2 * 12)
    np.testing.assert_allclose(sizes["correction_objective"], added, rtol=1e-5)
    assert average is None


def test_manitokan_says_who_gave_and_from_when_on():
    env = Manitokan()
    act = lambda key, memory, view: (sample(key, masked(jnp.zeros((64, 2, 6)), view.available)), memory, {})  # noqa: E731
    steps = jax.jit(lambda: rollout.collect_episodes(KEY, env, act, rollout.start(KEY, env, (), 64)))()
    shared = env.collective(steps)
    opened = np.asarray(steps.info["doors_opened"]) > 0
    for game in range(64):
        times, agents = np.nonzero(opened[:, game])
        first = times.min() if len(times) else 10_000
        np.testing.assert_array_equal(
            shared.after[:, game], (np.arange(150) > first) & np.asarray(steps.valid[:, game])
        )
        wanted = [len(times) > 0 and agent == agents[0] for agent in range(2)]
        np.testing.assert_array_equal(shared.giver[game], wanted)
    assert 3 < opened.any((0, 2)).sum() < 64  # both kinds were seen
    np.testing.assert_array_equal(shared.reward, steps.info["collective_reward"][..., 0])


def test_games_without_a_collective_reward_are_refused():
    with pytest.raises(ValueError, match="says who gave"):
        pg.make(pg.Config(correction="mixed"), TwoStep())
    with pytest.raises(ValueError, match="two agents or more"):
        pg.make(pg.Config(correction="mixed"), Manitokan(num_agents=1))
    with pytest.raises(ValueError, match="correction_clip"):
        pg.Config(correction="mixed", correction_clip=-1.0)
