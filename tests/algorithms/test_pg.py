"""PG: its losses against closed forms, its symmetries, and what it learns on games with known answers."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array, lax

from comity.algorithms.policy_gradient import pg
from comity.learning import discounted_returns, entropy, log_prob, masked, policy_logits
from comity.networks import per_agent, teams
from comity.settings import floats, with_floats
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep, Transition
from tests.tiny.learning import training

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest


class State(NamedTuple):
    time: Array  # [] int32
    branch: Array  # [] int32, what agent 0 did first


@dataclass(frozen=True)
class TwoSteps:
    """Agent 0's first action chooses which table pays at the second step. Its third action is never available."""

    first: Any  # [2, 2, N], paid for the first actions
    second: Any  # [branch, 2, 2, N], paid for the second
    length: int = 2

    @property
    def spec(self):
        return Spec(2, Vector(5), Discrete(3), self.length, state=Vector(1), history=1)  # history: the own last action

    def observe(self, state: State, action: Array) -> Observation:
        where = jax.nn.one_hot((1 + state.branch) * (state.time > 0), 3)
        view = jnp.concatenate([jnp.tile(where, (2, 1)), jnp.arange(2.0)[:, None], action[:, None] * 1.0], -1)
        return Observation(view, state.branch[None] * 1.0, jnp.ones((2, 3), bool).at[:, 2].set(False))

    def reset(self, key):
        state = State(jnp.int32(0), jnp.int32(0))
        return state, self.observe(state, jnp.zeros(2, jnp.int32))

    def step(self, key, state, action):
        choice = jnp.minimum(action, 1)
        pay = lambda table: jnp.asarray(table)[choice[0], choice[1]]  # noqa: E731
        reward = jnp.where(state.time == 0, pay(self.first), pay(jnp.asarray(self.second)[state.branch]))
        after = State(state.time + 1, jnp.where(state.time == 0, choice[0], state.branch))
        return after, Timestep(self.observe(after, action), reward, after.time >= 2, jnp.bool_(False), {})


ZERO = np.zeros((2, 2, 2))
ENV = TwoSteps(ZERO, np.stack([ZERO, ZERO]))
SMALL = pg.Config(hidden=4, critic_schedule="batch", exploration="floor")


def made_up_steps(times: int, games: int, seed: int = 0) -> Transition:
    """A rollout of random numbers, in which every other game ends one step early."""
    random = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(random.normal(size=shape), jnp.float32)  # noqa: E731
    available = jnp.asarray(random.random((times, games, 2, 3)) < 0.7).at[..., 0].set(True)
    observation = Observation(normal(times, games, 2, 5), normal(times, games, 1), available)
    over = jnp.zeros((times, games), bool).at[-1, 1::2].set(True)
    terminated = jnp.zeros((times, games), bool).at[-1, 0::2].set(True).at[-2, 1::2].set(True)
    return Transition(
        observation,
        jnp.zeros((times, games, 2, 4)),
        jnp.argmax(available * jnp.asarray(random.random(available.shape)), -1).astype(jnp.int32),
        jnp.where(over[..., None], 0.0, normal(times, games, 2)),
        Observation(jnp.roll(observation.view, -1, 0), observation.state, available),
        jnp.zeros((times, games, 2, 4)),
        terminated,
        jnp.zeros_like(terminated),
        ~over,
        {},
        {},
    )


STEPS = made_up_steps(4, 4)
initial = jax.jit(pg.make(SMALL, ENV).init)  # the same for all settings of one shape
STATE = initial(KEY)


@jax.jit
def update(values, state, steps):
    """One update of SMALL with other floats: compiled once for all tests."""
    return pg.make(with_floats(SMALL, values), ENV).update(KEY, state, steps)


def close(a, b, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


def test_exploration_floor_by_hand():
    logits, available = jnp.array([0.0, np.log(2.0), np.log(5.0)]), jnp.array([True, True, False])
    mixed = 0.6 * np.array([1 / 8, 2 / 8, 5 / 8]) + 0.4 / 3  # before the mask: over all actions
    mixed = np.where(available, mixed, 0) / mixed[:2].sum()
    np.testing.assert_allclose(jax.nn.softmax(policy_logits(logits, available, jnp.float32(0.4))), mixed, rtol=1e-6)
    plain = jax.nn.softmax(policy_logits(logits, available, None))
    np.testing.assert_allclose(plain, [1 / 3, 2 / 3, 0], rtol=1e-6)


def test_exploration_floor_falls_with_time():
    """From 0.8 to 0.01 in 2e6 steps; the gradient's policy and the played one are the same."""
    play = jax.jit(lambda time: pg.make(SMALL, ENV).act(KEY, STATE._replace(time=time), jnp.zeros((2, 4)), observation))
    observation = Observation(jnp.ones((2, 5)), jnp.zeros(1), jnp.ones((2, 3), bool))
    p = {time: play(jnp.int32(time))[2]["probabilities"] for time in (0, 1_000_000, 2_000_000, 9_000_000)}
    network = (p[0] - 0.8 / 3) / 0.2
    np.testing.assert_allclose(p[1_000_000], (1 - 0.405) * network + 0.405 / 3, atol=1e-6)
    np.testing.assert_allclose(p[2_000_000], 0.99 * network + 0.01 / 3, atol=1e-6)
    np.testing.assert_allclose(p[9_000_000], p[2_000_000], atol=1e-6)


def test_policy_loss_is_the_exact_policy_gradient_of_a_bandit():
    """Each action as often as the policy plays it: the gradient is p_a (r_a - r . p), for any baseline."""
    p, reward = np.array([0.5, 0.25, 0.25]), np.array([1.0, 3.0, -2.0])
    action = jnp.array([0, 0, 1, 2]).reshape(1, 4, 1)

    def loss(logits, advantage):
        log_probs = log_prob(jnp.broadcast_to(logits, (1, 4, 1, 3)), action)
        return pg.policy_loss(log_probs, advantage, jnp.ones((1, 4), bool)).sum()

    for baseline in (0.0, 0.7):
        gradient = jax.grad(loss)(jnp.log(p), jnp.asarray(reward, jnp.float32)[action] - baseline)
        np.testing.assert_allclose(-gradient, p * (reward - reward @ p), atol=1e-6)


def test_losses_by_hand():
    log_probs = jnp.log(jnp.array([0.5, 0.8, 0.9])).reshape(3, 1, 1)
    advantage = jnp.array([2.0, -1.0, 99.0]).reshape(3, 1, 1)
    valid = jnp.array([True, True, False]).reshape(3, 1)
    expected = -(2 * np.log(0.5) - np.log(0.8)) / 2
    np.testing.assert_allclose(pg.policy_loss(log_probs, advantage, valid), [expected], rtol=1e-6)
    np.testing.assert_allclose(pg.critic_loss(advantage, jnp.ones((3, 1, 1)), valid), [(1 + 4) / 2], rtol=1e-6)
    gradient = jax.grad(lambda a: pg.policy_loss(log_probs, a, valid).sum())(advantage)
    assert (gradient == 0).all()


@pytest.mark.parametrize("groups", [3, 1])
def test_critic_fits_last_group_first_and_reports_values_before_each_step(groups):
    """V = w x with plain gradient steps, against the same in numpy. One time index has only padding: no step."""
    random = np.random.default_rng(0)
    x, returns = random.normal(size=(3, 4, 2)).astype(np.float32), random.normal(size=(3, 4, 2)).astype(np.float32)
    valid = np.array([[True] * 4, [True, False, True, True], [False] * 4])
    fit = jax.jit(
        lambda w: pg.fit_critic(
            lambda w, views: w * views[..., 0], optax.sgd(0.1), w, optax.sgd(0.1).init(w), jnp.asarray(x)[..., None],
            jnp.asarray(returns),
            jnp.asarray(valid), groups,
        )
    )  # fmt: skip
    w = np.array([0.5, -1.0], np.float32)
    critic, _, values = fit(w)
    for group in reversed(np.split(np.arange(3), groups)):
        np.testing.assert_allclose(values[group], w * x[group], rtol=1e-5)
        m = valid[group][..., None]
        w = w - 0.1 * (m * 2 * (w * x[group] - returns[group]) * x[group]).sum((0, 1)) / max(m.sum(), 1)
    np.testing.assert_allclose(critic, w, rtol=1e-5)


def test_padding_gives_the_critics_optimizer_no_step():
    optimizer = optax.rmsprop(0.1, decay=0.5, eps_in_sqrt=False)
    w = jnp.ones(2)
    state = optimizer.update(w, optimizer.init(w))[1]
    nothing = (jnp.ones((1, 4, 2, 1)), jnp.ones((1, 4, 2)), jnp.zeros((1, 4), bool))
    critic, after, _ = pg.fit_critic(lambda w, x: w * x[..., 0], optimizer, w, state, *nothing, 1)
    close((critic, after), (w, state), 0)


def test_update_by_hand():
    """The same update written out for each agent apart."""
    after, metrics = update(floats(SMALL), STATE, STEPS)

    @jax.jit
    def by_hand(state):
        returns = discounted_returns(STEPS.reward, STEPS.ended, 0.99)
        losses, norms, critic_losses = [], [], []
        for n in range(2):
            actor, critic = jax.tree.map(lambda leaf, n=n: leaf[n], (state.actor, state.critic))
            values = critic(STEPS.observation.view[:, :, n, :4])[..., 0]

            def loss(actor, n=n, values=values):
                z = actor.unroll(STEPS.observation.view[:, :, n], jnp.zeros((4, 4)))
                mixture = 0.2 * jax.nn.softmax(z) + 0.8 / 3
                logits = masked(jnp.log(mixture), STEPS.observation.available[:, :, n])
                weight = STEPS.valid / STEPS.valid.sum()
                advantage = lax.stop_gradient(returns[..., n] - values)
                return -(weight * advantage * log_prob(logits, STEPS.action[:, :, n])).sum()

            value, gradient = jax.value_and_grad(loss)(actor)
            losses.append(value)
            norms.append(optax.tree.norm(gradient))
            critic_losses.append((STEPS.valid * jnp.square(values - returns[..., n])).sum() / STEPS.valid.sum())
        return sum(losses), jnp.hypot(*norms), sum(critic_losses) / 2

    policy, norm, critic = by_hand(STATE)
    np.testing.assert_allclose(metrics["policy_loss"], policy, rtol=1e-4)
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-4)
    np.testing.assert_allclose(metrics["critic_loss"], critic, rtol=1e-4)
    assert after.time == 4


@jax.jit
def entropies(state):
    unroll = per_agent(lambda net, x, h: net.unroll(x, h), (0, 2, 1), 2)
    logits = unroll(state.actor, STEPS.observation.view, STEPS.memory[0])
    return entropy(policy_logits(logits, STEPS.observation.available, jnp.float32(0.8)))


@pytest.mark.parametrize("bonus", [0.3, -0.3])
def test_entropy_bonus_is_a_reward_of_either_sign(bonus):
    paid = bonus * jnp.where(STEPS.valid[..., None], entropies(STATE), 0)
    rewarded = STEPS._replace(reward=STEPS.reward + paid)
    with_bonus = update({**floats(SMALL), "entropy_bonus": bonus}, STATE, STEPS)
    close(with_bonus, update(floats(SMALL), STATE, rewarded))
    plain = update(floats(SMALL), STATE, STEPS)
    assert abs(with_bonus[1]["critic_loss"] - plain[1]["critic_loss"]) > 1e-3


def test_renaming_agents_renames_results():
    def swap(tree, axis):
        return jax.tree.map(lambda x: jnp.flip(x, axis), tree)

    values = {**floats(SMALL), "entropy_bonus": 0.1}
    networks = lambda state: (state.actor, state.critic)  # noqa: E731
    swapped_steps = STEPS._replace(
        observation=swap(STEPS.observation._replace(state=()), 2)._replace(state=STEPS.observation.state),
        action=swap(STEPS.action, 2),
        reward=swap(STEPS.reward, 2),
    )
    swapped = STATE._replace(actor=swap(STATE.actor, 0), critic=swap(STATE.critic, 0))
    after, metrics = update(values, STATE, STEPS)
    after_swapped, metrics_swapped = update(values, swapped, swapped_steps)
    close(swap(networks(after), 0), networks(after_swapped))
    close(metrics, metrics_swapped)


def test_agents_do_not_learn_from_each_other_nor_from_padding():
    """Agent 1 learns the same whatever agent 0 sees, does and earns; padding teaches nobody anything."""
    other = made_up_steps(4, 4, seed=1)
    mix = lambda a, b: a.at[:, :, 0].set(b[:, :, 0])  # noqa: E731
    mixed = STEPS._replace(
        observation=STEPS.observation._replace(view=mix(STEPS.observation.view, other.observation.view)),
        reward=mix(STEPS.reward, other.reward),
    )
    garbled = lambda x, y: jnp.where(STEPS.valid.reshape(4, 4, *(1,) * (x.ndim - 2)), x, y)  # noqa: E731
    padded = STEPS._replace(
        observation=STEPS.observation._replace(view=garbled(STEPS.observation.view, 7.0)),
        action=garbled(STEPS.action, 0),
    )
    agent = lambda state, n: jax.tree.map(lambda x: x[n], (state.actor, state.critic))  # noqa: E731
    plain, mixed, padded = (update(floats(SMALL), STATE, steps)[0] for steps in (STEPS, mixed, padded))
    close(agent(plain, 1), agent(mixed, 1))
    assert not np.allclose(plain.actor.head.weight[0], mixed.actor.head.weight[0], atol=1e-5)
    close((plain.actor, plain.critic), (padded.actor, padded.critic))


def test_agents_batched_are_agents_in_turn(monkeypatch):
    turn = update(floats(SMALL), STATE, STEPS)
    used = []

    def batched(f, in_axes, out_axes=0):
        used.append(f)
        return per_agent(f, in_axes, out_axes, batched=True)

    monkeypatch.setattr(teams, "per_agent", batched)
    close(turn, jax.jit(pg.make(SMALL, ENV).update)(KEY, STATE, STEPS))
    assert used


def test_released_shared_actor_update():
    """One actor, mean of both agents' losses on clean returns; only the critic's targets have an end value."""
    config = pg.Config(**{**pg.PRESETS["released"], "hidden": 4, "activation": "relu", "critic_schedule": "batch"})
    algorithm = pg.make(config, ENV)
    alone = jax.tree.map(lambda x: x[0], STATE.actor)
    opt_states = jax.eval_shape(algorithm.init, KEY)
    zeros = lambda tree: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), tree)  # noqa: E731
    state = STATE._replace(
        actor=alone,
        first_critic=STATE.critic,
        actor_opt_state=zeros(opt_states.actor_opt_state),
        critic_opt_state=zeros(opt_states.critic_opt_state),
    )
    _, metrics = jax.jit(algorithm.update)(KEY, state, STEPS)

    @jax.jit
    def expected():
        values = per_agent(lambda net, x: net(x)[..., 0], (0, 2), 2)(state.critic, STEPS.observation.view[..., :4])
        following = per_agent(lambda net, x: net(x)[..., 0], (0, 1), 1)(
            state.critic, STEPS.next_observation.view[-1, ..., :4]
        )
        last = -(~STEPS.valid).sum(0)[:, None] * following
        target = discounted_returns(STEPS.reward, jnp.zeros((4, 4), bool), 0.99, last)
        returns = discounted_returns(STEPS.reward, STEPS.ended, 0.99)

        def loss(actor):
            z = actor.unroll(STEPS.observation.view, jnp.zeros((4, 2, 4)))
            chosen = log_prob(policy_logits(z, STEPS.observation.available, jnp.float32(0.8)), STEPS.action)
            return -(STEPS.valid[..., None] * (returns - values) * chosen).sum() / STEPS.valid.sum() / 2

        error = (STEPS.valid[..., None] * jnp.square(values - target)).sum() / STEPS.valid.sum() / 2
        return error, optax.tree.norm(jax.grad(loss)(alone))

    error, norm = expected()
    np.testing.assert_allclose(metrics["critic_loss"], error, rtol=1e-4)
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-4)


@pytest.mark.parametrize("preset", pg.PRESETS)
def test_presets_construct(preset):
    config = pg.Config(**pg.PRESETS[preset])
    state = jax.eval_shape(pg.make(replace(config, correction="none"), ENV).init, KEY)
    shared = config.actors == "shared"
    assert state.actor.head.weight.shape == ((64, 3) if shared else (2, 64, 3))
    assert state.critic.layers[0].weight.shape == (2, 4, 64)  # without the own last action
    assert (state.first_critic is not None) == preset.startswith("released")


def test_critic_may_read_the_whole_view():
    state = jax.eval_shape(pg.make(pg.Config(critic_reads="view"), ENV).init, KEY)
    assert state.critic.layers[0].weight.shape == (2, 5, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.5}, "gamma 1.5 is above 1: give a number from 0 to 1"),
        ({"learning_rate": 0.0}, "learning_rate 0.0 is not above 0: give a number above 0"),
        ({"hidden": 0}, "hidden 0 is below 1: give a whole number of 1 or more"),
        ({"hidden": 2.5}, "hidden 2.5 is not a whole number"),
        ({"entropy_bonus": float("nan")}, "entropy_bonus nan is not a finite number"),
        ({"actors": "share"}, "actors 'share' is not one of separate, shared; did you mean"),
        ({"exploration": "flor"}, "did you mean floor"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        pg.Config(**settings)
    assert message in str(error.value)


def test_acts_do_not_read_the_state():
    algorithm = pg.make(SMALL, ENV)
    observation = Observation(STEPS.observation.view[0], STEPS.observation.state[0], STEPS.observation.available[0])
    act = jax.jit(lambda observation: algorithm.act(KEY, STATE, STEPS.memory[0], observation))
    close(act(observation), act(observation._replace(state=observation.state + 100.0)), 0)


def prisoners_dilemma():
    """Paid at both steps. The known answer of naive learners: defect, action 1."""
    table = np.array([[[3.0, 3.0], [0.0, 4.0]], [[4.0, 0.0], [1.0, 1.0]]])
    return table, np.stack([table, table])


def credit():
    """Paid at the second step only: 1 to both, if both take action 1 and agent 0 began with it too."""
    return ZERO, np.stack([ZERO, np.eye(2)[1][:, None, None] * np.eye(2)[1][None, :, None] * np.ones(2)])


@jax.jit
def learn(first, second):
    """80 updates of 32 games; returns actions and rewards [80, T, B, N]. One program for all tables."""
    env = TwoSteps(first, second)
    algorithm = pg.make(
        replace(SMALL, hidden=8, exploration="none", learning_rate=0.02, critic_learning_rate=0.02), env
    )
    return training(algorithm, env, 80, 32, lambda steps, _: (steps.action, steps.reward))(KEY)[1]


@pytest.mark.learn
def test_learns_to_defect_and_to_give_credit_over_time():
    action, _ = jax.device_get(learn(*prisoners_dilemma()))
    assert (action[-20:] == 1).mean() > 0.95
    assert 0.3 < (action[:1] == 1).mean() < 0.7
    action_credit, reward = jax.device_get(learn(*credit()))
    assert reward[-20:].sum(1).mean() > 0.9
    assert reward[0].sum(0).mean() < 0.5
    assert (action < 2).all()  # the third is never available
    assert (action_credit < 2).all()
