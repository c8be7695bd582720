"""Value decomposition: targets and mixers against closed forms, and learning on games with known values."""

from dataclasses import replace
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import rollout
from comity.algorithms.released import mixers as released
from comity.algorithms.values import iql, qmix, qtran, vdn
from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_networks as networks
from comity.environments.matrix.matrix import Matrix
from comity.environments.matrix.two_step import TwoStep
from comity.learning import replay
from comity.networks import MonotoneMixer
from comity.types import Observation
from tiny.learning import trained_seeds

KEY = jax.random.key(0, impl="unsafe_rbg")
SEEDS = 8
# Uniform play for ever, one-step targets: the conditions of the tables in Rashid et al. and Son et al.
KNOWN: dict[str, Any] = {
    "hidden": 16,
    "td_lambda": 0.0,
    "learning_rate": 3e-3,
    "last_learning_rate": 1e-3,
    "learning_rate_steps": 1_000.0,
    "explore_end": 1.0,
    "target_period": 50,
    "tau": 1.0,
    "capacity": 1_024,
    "batch": 64,
    "updates": 1,
}


def trained(module, config, env, iterations: int, games: int = 64, seeds: int = SEEDS):
    """(algorithm, states of so many seeds after training)."""
    algorithm = module.make(config, env)
    return algorithm, trained_seeds(KEY, algorithm, env, iterations, games, seeds)[0]


def after(algorithm, state, env, path=()):
    """(what agents note, their memory, observation) after the joint actions of `path`; for one seed's state."""
    game, observation = env.reset(KEY)
    memory = algorithm.memory
    for action in path:
        _, memory, _ = algorithm.act(KEY, state, memory, observation, explore=False)
        game, timestep = env.step(KEY, game, jnp.asarray(action))
        observation = timestep.observation
    _, memory, notes = algorithm.act(KEY, state, memory, observation, explore=False)
    return notes, memory, observation


def values(algorithm, state, env, path=()):
    """Q of every agent and action, [N, A], after the joint actions of `path`; for one seed's state."""
    notes, _, observation = after(algorithm, state, env, path)
    return notes["values"], observation


def table(algorithm, state, env, mix, path=()):
    """Q_tot of every joint action, [A, A], after the joint actions of `path`; for one seed's state."""
    q, observation = values(algorithm, state, env, path)
    a, b = jnp.meshgrid(jnp.arange(env.spec.action.n), jnp.arange(env.spec.action.n), indexing="ij")
    pairs = jnp.stack([q[0][a], q[1][b]], -1)
    return mix(state.params.mixer, pairs, observation)[..., 0]


def total(mixer, q, observation):
    return q.sum(-1, keepdims=True)


def monotone(config, env):
    """The mixer of QMIX, for `table`."""

    def mix(mixer, q, observation):
        state = networks.central_view(config, env.spec, networks.central_reader(config, env.spec, KEY), observation)
        return mixer(q, jnp.broadcast_to(state, (*q.shape[:-1], *state.shape)))

    return mix


def distances(config, algorithm, state, env, path=()):
    """QTRAN's Q' - Q_jt + V and Q_jt of every joint action, [A, A], after those of `path`; for one seed's state."""
    actions = env.spec.action.n
    own = table(algorithm, state, env, total, path)
    _, memory, observation = after(algorithm, state, env, path)
    central = networks.central_view(config, env.spec, state.params.reader, observation)
    pairs = jnp.stack(jnp.meshgrid(jnp.arange(actions), jnp.arange(actions), indexing="ij"), -1)
    spread = lambda x: jnp.broadcast_to(x, (actions, actions, *x.shape))  # noqa: E731
    mixer = state.params.mixer
    if config.variant == "base":
        joint = qtran.joint_values(mixer, spread(memory), pairs, spread(central), actions)[..., 0]
    else:
        joint = qtran.counterfactual_values(mixer, spread(memory), pairs, spread(central), actions)
        joint = jnp.take_along_axis(joint, pairs[..., None], -1)[..., 0].mean(-1)  # agents agree
    return own - joint + mixer.value(central)[0], joint


@cache
def two_step(name: str):
    """(algorithm, states, env) of a member trained on the two-step game."""
    env = TwoStep()
    members = {"iql": (iql, iql.Config), "vdn": (vdn, vdn.Config), "qmix": (qmix, qmix.Config)}
    module, config = members[name]
    more = {"mixer_width": 8} if name == "qmix" else {}
    return *trained(module, config(**KNOWN, **more), env, 1_000), env


def first_action(algorithm, states, env):
    """Agent 0's greedy first action, [seeds]."""
    return jax.vmap(lambda state: values(algorithm, state, env)[0])(states)[:, 0].argmax(-1)


@pytest.mark.learn
def test_vdn_fits_the_additive_least_squares_and_stays_safe():
    algorithm, states, env = two_step("vdn")
    fit = jax.jit(jax.vmap(lambda state: table(algorithm, state, env, total)))(states)
    np.testing.assert_allclose(fit.mean(0), [[6.93, 6.93], [6.435, 6.435]], atol=0.15)  # A is chosen
    risky = jax.jit(jax.vmap(lambda state: table(algorithm, state, env, total, [(1, 0)])))(states)
    np.testing.assert_allclose(risky.mean(0), [[-1.5, 2.5], [2.5, 6.5]], atol=0.15)
    assert (first_action(algorithm, states, env) == 0).all()


@pytest.mark.learn
def test_iql_knows_its_own_averages_and_stays_safe():
    algorithm, states, env = two_step("iql")
    risky = jax.jit(jax.vmap(lambda state: values(algorithm, state, env, [(1, 0)])[0]))(states)
    np.testing.assert_allclose(risky.mean(0), [[0.5, 4.5], [0.5, 4.5]], atol=0.15)
    first = jax.jit(jax.vmap(lambda state: values(algorithm, state, env)[0]))(states)
    np.testing.assert_allclose(first[:, 0].mean(0), [6.93, 4.455], atol=0.2)
    assert (first_action(algorithm, states, env) == 0).all()


@pytest.mark.learn
def test_qmix_represents_the_game_and_takes_the_risk():
    algorithm, states, env = two_step("qmix")
    mix = monotone(qmix.Config(**KNOWN, mixer_width=8), env)
    first = jax.jit(jax.vmap(lambda state: table(algorithm, state, env, mix)))(states)
    np.testing.assert_allclose(first.mean(0), [[6.93, 6.93], [7.92, 7.92]], atol=0.2)
    risky = jax.jit(jax.vmap(lambda state: table(algorithm, state, env, mix, [(1, 0)])))(states)
    np.testing.assert_allclose(risky.mean(0), [[0, 1], [1, 8]], atol=0.25)
    assert (first_action(algorithm, states, env) == 1).all()
    last = jax.jit(jax.vmap(lambda state: values(algorithm, state, env, [(1, 0)])[0]))(states).argmax(-1)
    assert (last == 1).all()


def payoffs(algorithm, states, env):
    """What the greedy joint action pays, [seeds]."""
    actions = jax.jit(jax.vmap(lambda state: values(algorithm, state, env)[0]))(states).argmax(-1)
    return np.array([env.table[row, column] for row, column in np.asarray(actions)])


@pytest.mark.learn
def test_vdn_misses_the_optimum_of_the_matrix_game():
    env = Matrix()
    algorithm, states = trained(vdn, vdn.Config(**KNOWN), env, 1_000)
    fit = jax.jit(jax.vmap(lambda state: table(algorithm, state, env, total)))(states).mean(0)
    exact = [[-6.22, -4.89, -4.89], [-4.89, -3.56, -3.56], [-4.89, -3.56, -3.56]]
    np.testing.assert_allclose(fit, exact, atol=0.5)
    assert (payoffs(algorithm, states, env) == 0).all()


@pytest.mark.learn
def test_qmix_misses_the_optimum_of_the_matrix_game():
    """A seed may land in the other local optimum of the monotone fit, which is in fact the global one: at most two."""
    env = Matrix()
    config = qmix.Config(**KNOWN, mixer_width=8)
    algorithm, states = trained(qmix, config, env, 1_000)
    missed = payoffs(algorithm, states, env) == 0
    assert missed.sum() >= SEEDS - 2
    fit = jax.jit(jax.vmap(lambda state: table(algorithm, state, env, monotone(config, env))))(states)
    for found, miss in zip(fit, missed, strict=True):
        exact = np.full((3, 3), -8.0 if miss else -6.0)
        if miss:
            exact[1:, 1:] = 0
        else:
            exact[0, 0] = 8
        np.testing.assert_allclose(found, exact, atol=1.0)
    np.testing.assert_allclose(fit[missed].mean(0), [[-8, -8, -8], [-8, 0, 0], [-8, 0, 0]], atol=0.4)


@pytest.mark.learn
@pytest.mark.parametrize("variant", ["base", "alt"])
def test_qtran_finds_the_optimum_of_the_matrix_game(variant):
    env = Matrix()
    config = qtran.Config(**{**KNOWN, "learning_rate_steps": 2_000.0}, variant=variant)
    algorithm, states = trained(qtran, config, env, 2_000)
    assert (payoffs(algorithm, states, env) == 8).all()
    distance, joint = jax.jit(jax.vmap(lambda state: distances(config, algorithm, state, env)))(states)
    np.testing.assert_allclose(joint, np.tile(env.table, (SEEDS, 1, 1)), atol=0.15)
    np.testing.assert_allclose(distance[:, 0, 0], 0, atol=0.05)  # Q' + V = Q_jt at the optimum
    assert (distance > -0.05).all()  # and not below it elsewhere
    if variant == "alt":  # in every row and column something touches
        assert (distance.min(1) < 0.05).all()
        assert (distance.min(2) < 0.05).all()


@pytest.mark.learn
@pytest.mark.parametrize("variant", ["base", "alt"])
def test_qtran_represents_the_two_step_game_and_takes_the_risk(variant):
    """Rashid et al.'s game: the exact values, and B, then (B, B), in every seed."""
    env = TwoStep()
    config = qtran.Config(**{**KNOWN, "learning_rate_steps": 1_000.0}, variant=variant)
    algorithm, states = trained(qtran, config, env, 1_000, seeds=4)
    known = lambda path: jax.jit(jax.vmap(lambda x: distances(config, algorithm, x, env, path)[1]))(states)  # noqa: E731
    for path, exact in (((), [[6.93, 6.93], [7.92, 7.92]]), ([(0, 0)], 7), ([(1, 0)], [[0, 1], [1, 8]])):
        np.testing.assert_allclose(known(path).mean(0), np.broadcast_to(exact, (2, 2)), atol=0.2)
    assert (first_action(algorithm, states, env) == 1).all()
    last = jax.jit(jax.vmap(lambda state: values(algorithm, state, env, [(1, 0)])[0]))(states).argmax(-1)
    assert (last == 1).all()


# Closed forms --------------------------------------------------------------------------------------------------------


def summing_mixer(mixer: MonotoneMixer, shift: float) -> MonotoneMixer:
    """The mixer with weights that make it q_1 + ... + q_N, as long as the sum is above -shift (elu is the identity)."""
    zero = jax.tree.map(jnp.zeros_like, mixer)
    first = jnp.zeros_like(zero.weights.layers[-1].bias).reshape(2, -1).at[:, 0].set(1.0).reshape(-1)
    return eqx.tree_at(
        lambda m: (
            m.weights.layers[-1].bias,
            m.bias.layers[-1].bias,
            m.out_weights.layers[-1].bias,
            m.out_bias.layers[-1].bias,
        ),
        zero,
        (
            first,
            zero.bias.layers[-1].bias.at[0].set(shift),
            zero.out_weights.layers[-1].bias.at[0].set(1.0),
            zero.out_bias.layers[-1].bias - shift,
        ),
    )


def test_qmix_with_a_summing_mixer_is_vdn():
    env = TwoStep()
    settings = {**KNOWN, "optimizer": "rmsprop", "clip": 1e9, "hidden": 4, "warmup": 8, "batch": 8, "capacity": 16}
    sums = vdn.make(vdn.Config(**settings), env)
    mixes = qmix.make(qmix.Config(**settings), env)
    state = jax.jit(mixes.init)(KEY)
    mixer = summing_mixer(state.params.mixer, 30.0)
    params = state.params._replace(mixer=mixer)
    opt_state = jax.tree.map(jnp.zeros_like, state.opt_state)
    state = state._replace(params=params, target_params=params, opt_state=opt_state)
    plain = jax.jit(sums.init)(KEY)
    params = plain.params._replace(agents=state.params.agents)
    plain = plain._replace(params=params, target_params=params)

    play = rollout.start(KEY, env, sums.memory, 8)
    steps = jax.jit(lambda play: rollout.collect(KEY, env, sums, plain, play)[1])(play)
    after, metrics = jax.jit(sums.update)(KEY, plain, steps)
    mixed, mixed_metrics = jax.jit(mixes.update)(KEY, state, steps)
    np.testing.assert_allclose(metrics["loss"], mixed_metrics["loss"], rtol=1e-4)
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), after.params.agents, plain.params.agents)
    assert max(jax.tree.leaves(moved)) > 1e-3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), after.params.agents, mixed.params.agents)


MIXER = MonotoneMixer(KEY, agents=3, state=4, width=5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_the_best_joint_action_is_everyones_best(seed):
    random = np.random.default_rng(seed)
    q = jnp.asarray(random.normal(size=(3, 2)) * 5, jnp.float32)  # [N, A]
    state = jnp.asarray(random.normal(size=4) * 3, jnp.float32)
    joint = jnp.stack(jnp.meshgrid(*q, indexing="ij"), -1)  # [A, A, A, N]
    mixed = MIXER(joint, jnp.broadcast_to(state, (*joint.shape[:-1], 4)))[..., 0]
    everyones = tuple(np.asarray(q.argmax(-1)))
    assert mixed[everyones] >= mixed.max() - 1e-4
    gradient = jax.grad(lambda q: MIXER(q, state)[0])(q[:, 0])
    assert (gradient >= 0).all()
    assert (gradient > 0).any()


def made_up_episodes(times=4, games=2, agents=2, actions=3) -> replay.Episodes:
    """Two games: one truncated at the last step, one terminated a step earlier."""
    random = np.random.default_rng(0)
    available = jnp.asarray(random.random((times + 1, games, agents, actions)) < 0.7).at[..., 0].set(True)
    observation = Observation(
        jnp.asarray(random.normal(size=(times + 1, games, agents, 5)), jnp.float32),
        jnp.asarray(random.normal(size=(times + 1, games, 3)), jnp.float32),
        available,
    )
    ended = jnp.zeros((times, games), bool).at[times - 1, 0].set(True).at[times - 2, 1].set(True)
    valid = jnp.ones((times, games), bool).at[times - 1, 1].set(False)
    return replay.Episodes(
        observation,
        jnp.zeros((times, games, agents), jnp.int32),
        jnp.asarray(random.normal(size=(times, games, agents)), jnp.float32),
        ended.at[times - 1, 0].set(False),
        ended,
        valid,
        (),
    )


@pytest.mark.parametrize("double", [True, False])
def test_td_loss_by_hand(double):
    """One-step targets: the best available next action by the present (double) or the target network, valued by the
    target; 0 after termination, the value after a truncation."""
    episodes = made_up_episodes()
    random = np.random.default_rng(1)
    q, target = (jnp.asarray(random.normal(size=(5, 2, 2, 3)), jnp.float32) for _ in range(2))
    config = vdn.Config(gamma=0.9, td_lambda=0.0, double=double)
    member = family.td_member(config, lambda key: (), lambda mixer, q, state: q.sum(-1, keepdims=True))
    reward = episodes.reward.mean(-1, keepdims=True).repeat(2, -1)
    available, central = episodes.observation.available, jnp.zeros((5, 2, 0))
    seen = [networks.split(config, networks.Values(x, x, central), available, 1) for x in (q, target)]
    loss, _ = member.loss((), (), *seen, episodes, reward)
    for t in range(4):
        for game in range(2):
            chooser = q if double else target
            best = [
                max(
                    (a for a in range(3) if episodes.observation.available[t + 1, game, i, a]),
                    key=lambda a, i=i: float(chooser[t + 1, game, i, a]),
                )
                for i in range(2)
            ]
            following = sum(float(target[t + 1, game, i, best[i]]) for i in range(2))
            if episodes.terminated[t, game]:
                following = 0.0
            expected = float(reward[t, game, 0]) + 0.9 * following
            np.testing.assert_allclose(loss[t, game], (expected - float(q[t, game, :, 0].sum())) ** 2, rtol=1e-4)


def test_an_unavailable_action_is_worth_nothing_or_as_released():
    q = jnp.array([[-1.0, -2.0, 5.0], [1.0, 2.0, 5.0]])
    available = jnp.array([[True, True, False], [True, True, False]])
    assert family.greedy(q, available).tolist() == [0, 1]
    assert released.greedy(q, available).tolist() == [2, 1]  # 1e-10 beats what is negative


def test_views_mixed_up_as_released():
    """Of 32 games with two agents, 2 of 64 views stay where they belong: three in a hundred."""
    names = jnp.arange(64).reshape(32, 2, 1)
    mixed = released.mix_up(names)
    assert (mixed == names).sum() == 2
    assert sorted(mixed.reshape(-1).tolist()) == list(range(64))


def test_qtran_losses_by_hand():
    own, joint, value = jnp.array([1.0, 2.0]), jnp.array([4.0, 0.5]), jnp.array([1.0, 1.0])
    np.testing.assert_allclose(qtran.optimum_loss(own, joint, value), [4.0, 6.25])
    np.testing.assert_allclose(qtran.rest_loss(own, joint, value), [4.0, 0.0])
    distances = jnp.array([[2.0, -1.0, -9.0]])  # own - joint + value for three actions, the last not available
    available = jnp.array([[True, True, False]])
    minimum = qtran.minimum_loss(distances, jnp.zeros((1, 3)), jnp.zeros((1, 1)), available)
    np.testing.assert_allclose(minimum, [1.0])
    assert jax.grad(lambda joint: qtran.optimum_loss(own, joint, value).sum())(joint).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("double", [True, False])
def test_qtrans_next_actions_are_of_the_present_network_or_of_the_target(double):
    config, env = qtran.Config(hidden=4, joint_hidden=8, double=double), Matrix()
    member, episodes = qtran.member(config, env), made_up_episodes()
    mixer, random = member.init(KEY), np.random.default_rng(1)
    drawn = [[jnp.asarray(random.normal(size=(5, 2, *x)), jnp.float32) for x in ((2, 3), (2, 4), (1,))] for _ in "ab"]
    seen = [networks.split(config, networks.Values(*x), episodes.observation.available, 1) for x in drawn]

    def loss(*steps):
        return member.loss(mixer, mixer, *steps, episodes, episodes.reward)[1]["td_loss"]

    (present, target), plain = seen, loss(*seen)
    others = [x._replace(after=x.after._replace(q=-x.after.q)) for x in seen]
    moved = [bool((loss(*x) != plain).any()) for x in ((others[0], target), (present, others[1]))]
    assert moved == [double, not double]


def test_qtran_alt_never_reads_the_agents_own_action():
    env = Matrix()
    config = qtran.Config(hidden=4, variant="alt", joint_hidden=8)
    mixer = qtran.member(config, env).init(KEY)
    memory, central = jnp.ones((2, 4)), jnp.ones(1)
    evaluate = lambda *actions: qtran.counterfactual_values(mixer, memory, jnp.array(actions), central, 3)  # noqa: E731
    np.testing.assert_allclose(evaluate(0, 1)[0], evaluate(2, 1)[0], atol=1e-6)
    assert jnp.abs(evaluate(0, 1)[0] - evaluate(0, 2)[0]).max() > 1e-4


# How it learns -------------------------------------------------------------------------------------------------------


def learned_once(**more):
    """(state before, state after, metrics) of one update on the two-step game."""
    env = TwoStep()
    algorithm = vdn.make(vdn.Config(**{**KNOWN, "hidden": 4, "batch": 8, "capacity": 40, "warmup": 8, **more}), env)
    state = jax.jit(algorithm.init)(KEY)
    play = rollout.start(KEY, env, algorithm.memory, 8)
    steps = jax.jit(lambda play: rollout.collect(KEY, env, algorithm, state, play)[1])(play)
    return state, *jax.jit(algorithm.update)(KEY, state, steps)


def same(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: bool((x == y).all()), a, b)))


def test_nothing_is_learned_before_the_warm_up():
    before, after, metrics = learned_once(warmup=9)
    assert same(before.params, after.params)
    assert after.steps == 0
    assert metrics["loss"] == 0
    assert after.replay.filled == 8
    before, after, metrics = learned_once(warmup=8, updates=3)
    assert not same(before.params, after.params)
    assert after.steps == 3
    assert metrics["loss"] > 0


def test_the_target_moves_when_it_should():
    before, after, _ = learned_once(target_period=2)
    assert same(before.target_params, after.target_params)
    before, after, _ = learned_once(target_period=2, updates=2)
    assert same(after.target_params, after.params)
    before, after, _ = learned_once(target_period=1, tau=0.25)
    halfway = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, before.target_params, after.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.target_params, halfway)


def test_ends_that_do_not_teach():
    """Released: steps that terminate are left out. Only those pay in the two-step game, so the targets lose the pay."""
    _, _, metrics = learned_once()
    _, _, without = learned_once(ends_teach=False)
    assert without["loss"] < 1 < 5 < metrics["loss"]


def test_whole_rollouts_are_drawn_together():
    with pytest.raises(ValueError, match="batch 12 is not whole rollouts of 8 games"):
        learned_once(batch=12, batch_of="rollouts")
    learned_once(batch=16, batch_of="rollouts")


def test_released_exploration_is_one_for_all():
    env = TwoStep()
    config = vdn.Config(**{**KNOWN, "hidden": 4, "explore_start": 0.5, "explore_end": 0.5, "explore_together": True})
    algorithm = vdn.make(config, env)
    state = jax.jit(algorithm.init)(KEY)
    _, observation = jax.vmap(env.reset)(jax.random.split(KEY, 64))
    memory = jnp.ones((64, 2, 4))
    act = jax.jit(lambda key: algorithm.act(key, state, memory, observation))
    greedy = jax.jit(lambda: algorithm.act(KEY, state, memory, observation, explore=False))()[0]
    kinds = set()
    for key in jax.random.split(KEY, 12):
        action, after, _ = act(key)
        random = bool((action != greedy).any())
        kinds.add(random)
        assert same(after, memory) == random  # a random step leaves memory as it is
    assert kinds == {True, False}


def test_the_entropy_bonus_enters_the_reward():
    episodes = made_up_episodes()
    q = jnp.zeros((5, 2, 2, 3))
    config = replace(vdn.Config(), entropy_bonus=0.5)
    reward = family.learned_reward(config, episodes, q[:-1])
    counts = episodes.observation.available[:-1].sum(-1)
    expected = episodes.reward.mean(-1, keepdims=True) + 0.5 * jnp.log(counts).mean(-1, keepdims=True)
    np.testing.assert_allclose(reward, jnp.broadcast_to(expected, reward.shape), rtol=1e-5)
