"""COMA: the counterfactual advantage by enumeration, targets by hand, and the one-step traffic junction."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.policy_gradient import coma
from comity.algorithms.released import critics
from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction
from comity.learning import chosen, lambda_returns, log_prob, masked, replay
from comity.networks import JointNet
from comity.settings import floats, with_floats
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation
from tests.tiny.learning import training
from tiny.signals import Signals

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
ENV = Signals(length=3)  # two agents, three actions; ends early when both are right
SMALL = coma.Config(hidden=4, critic_hidden=4, critic_schedule="batch", target_period=2)
PAYOFF = jnp.array([[1.0, 5.0, -2.0], [0.5, -1.0, 3.0], [4.0, 0.0, 2.0]])  # of both, rows agent 0


def close(a, b, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


def joint_actions(logits):
    """Of two independent policies of a one-step game: all joint actions [9, 2], their probabilities [9], and
    Q(s, (b, a_-i)) [9, 2, 3]."""
    action = jnp.stack(jnp.meshgrid(jnp.arange(3), jnp.arange(3), indexing="ij"), -1).reshape(9, 2)
    q = jnp.stack([PAYOFF[:, action[:, 1]].T, PAYOFF[action[:, 0]]], 1)
    return action, jnp.exp(log_prob(jnp.broadcast_to(logits, (9, 2, 3)), action).sum(-1)), q


def test_the_expected_gradient_is_that_of_the_expected_reward_and_the_baseline_adds_nothing():
    """Summed over all joint actions with their probabilities; against finite differences of p_0 PAYOFF p_1."""
    logits = jnp.array([[0.3, -1.0, 0.5], [1.2, 0.1, -0.4]])
    action, p, q = joint_actions(logits)

    def expected(weight):
        """Gradient of sum_a p(a) sum_i weight_i(a) log pi_i(a_i)."""
        chosen = lambda z: log_prob(jnp.broadcast_to(z, (9, 2, 3)), action)  # noqa: E731
        return jax.grad(lambda z: (p[:, None] * weight * chosen(z)).sum())(logits)

    baseline = coma.counterfactual_baseline(q, logits)
    np.testing.assert_allclose(expected(baseline), 0.0, atol=1e-6)
    assert jnp.abs(expected(jnp.roll(baseline, 1, 0))).max() > 0.1  # the zero is not for nothing

    def value(z):
        p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
        return p[0] @ np.asarray(PAYOFF, np.float64) @ p[1]

    z, step = np.asarray(logits, np.float64), 1e-6 * np.eye(6).reshape(6, 2, 3)
    differences = np.array([(value(z + s) - value(z - s)) / 2e-6 for s in step]).reshape(2, 3)
    close(expected(coma.advantages(q, logits, action)), differences)


def test_advantages_of_all_own_actions_average_to_zero_and_unavailable_ones_do_not_count():
    logits = masked(
        jnp.array([[0.3, -1.0, 0.5], [1.2, 0.1, -0.4]]), jnp.array([[True, True, True], [True, False, True]])
    )
    _, _, q = joint_actions(logits)
    every = jnp.stack([coma.advantages(q, logits, jnp.full((9, 2), b)) for b in range(3)], -1)
    np.testing.assert_allclose((jax.nn.softmax(logits) * every).sum(-1), 0.0, atol=1e-6)
    other = q.at[:, 1, 1].set(1e6)
    close(coma.counterfactual_baseline(other, logits), coma.counterfactual_baseline(q, logits), 0)


def test_targets_by_hand():
    """gamma = lambda = 1/2, three steps: a game that terminates early, one cut early, one cut by the clock."""
    reward = jnp.array([[1.0, 2.0, 0.0], [1.0, 2.0, 0.0], [1.0, 2.0, 4.0]]).T[..., None]
    following = jnp.array([[8.0, 16.0, 32.0]] * 3).T[..., None]
    terminated = jnp.array([[False, True, False], [False] * 3, [False] * 3]).T
    ended = jnp.array([[False, True, False], [False, True, False], [False, False, True]]).T
    targets = lambda_returns(reward, following, terminated, ended, 0.5, 0.5)[..., 0]
    np.testing.assert_allclose(targets[:2, 0], [1 + 4 / 2 + 2 / 4, 2])
    np.testing.assert_allclose(targets[:2, 1], [1 + 4 / 2 + 10 / 4, 2 + 16 / 2])
    np.testing.assert_allclose(targets[:, 2], [1 + 4 / 2 + 11 / 4, 2 + 16 / 4 + 20 / 4, 4 + 32 / 2])


def test_released_targets_are_those_of_the_authors_recursion():
    """G_T = Q_T (1 - steps marked done), G_t = l gamma G_{t+1} + m_t (r_t + (1 - l) gamma Q_{t+1} (1 - end_t)).

    The game that ends at its last step has one mark, the one that ends one step earlier two. The third was played in a
    rollout of two steps and ended at its first: two marks, and Q of zeros, since the rollout is shorter than the batch.
    """
    random = np.random.default_rng(0)
    following = random.normal(size=(5, 3, 2)).astype(np.float32)  # one step more than the longest rollout has
    lengths = np.array([4, 3, 1])
    valid, ended = np.arange(5)[:, None] < lengths, np.arange(5)[:, None] == lengths - 1
    reward = random.normal(size=(5, 3, 2)).astype(np.float32) * valid[..., None]
    view = jnp.arange(1.0, 19).reshape(6, 3, 1, 1) + jnp.zeros((2, 1))
    observation = Observation(view, jnp.ones((6, 3, 1)), jnp.ones((6, 3, 2, 1), bool))
    ending = critics.Ending(jnp.array([4, 4, 2]), jnp.ones((3, 2), jnp.int32))
    rewards, over, present = map(jnp.asarray, (reward, ended, valid))
    action = jnp.zeros((5, 3, 2), jnp.int32)
    episodes = replay.Episodes(observation, action, rewards, over, over, present, ending)

    def target_critic(seen, action):
        np.testing.assert_array_equal(seen.view[..., 0], [[13, 13], [14, 14], [0, 0]])
        np.testing.assert_array_equal(action, [[1, 1], [1, 1], [0, 0]])
        assert not seen.state[2].any()
        return jnp.array([[2.0, 3.0], [5.0, 7.0], [11.0, 13.0]])

    for lambda_ in (1.0, 0.6):
        targets = critics.marked_targets(
            target_critic, jnp.asarray(reward), jnp.asarray(following), episodes, 0.9, lambda_
        )
        after = np.array([[0.0, 0.0], [-5.0, -7.0], [-11.0, -13.0]])
        for t in reversed(range(4)):
            q = 0.9 * (1 - lambda_) * following[t] * ~ended[t][:, None]
            after = lambda_ * 0.9 * after + valid[t][:, None] * (reward[t] + q)
            np.testing.assert_allclose(targets[t], after, rtol=1e-5, atol=1e-6)


def test_the_critic_reads_all_but_the_own_action():
    """Three agents: state, own view, the actions of the two that follow in a circle, id."""
    view = jnp.arange(3 * 2).reshape(1, 3, 2).astype(jnp.int8)
    observation = Observation(view, jnp.array([[7, 8]], jnp.int8), jnp.ones((1, 3, 2), bool))
    spec = Spec(agents=3, view=Vector(2), action=Discrete(2), length=1, state=Vector(2))
    critic = coma.new_critic(SMALL, spec, KEY)
    parts = lambda *action: coma.critic_reads(SMALL, spec, observation, jnp.array([action]))  # noqa: E731
    read = lambda *action: critic.encode(*parts(*action))[0]  # noqa: E731
    np.testing.assert_array_equal(
        read(0, 1, 1),
        [
            [7, 8, 0, 1, 0, 1, 0, 1, 1, 0, 0],
            [7, 8, 2, 3, 0, 1, 1, 0, 0, 1, 0],
            [7, 8, 4, 5, 1, 0, 0, 1, 0, 0, 1],
        ],
    )
    changed = (read(0, 1, 1) != read(1, 1, 1)).any(-1)
    np.testing.assert_array_equal(changed, [False, True, True])


def programs(config):
    """(init, collect, update with other floats) of a config on ENV, each compiled once."""
    algorithm = coma.make(config, ENV)

    @jax.jit
    def collect(key, state):
        play = rollout.start(key, ENV, algorithm.memory, 8)
        return rollout.collect(key, ENV, algorithm, state, play)[1]

    @jax.jit
    def update(values, state, steps):
        return coma.make(with_floats(config, values), ENV).update(KEY, state, steps)

    return jax.jit(algorithm.init), collect, update


init, collect, update = programs(SMALL)
STATE = init(KEY)
STEPS = collect(KEY, STATE)._replace(notes={})


def test_the_rollout_has_both_kinds_of_end():
    assert STEPS.terminated.any()
    assert STEPS.truncated.any()
    assert not STEPS.valid.all()


def test_update_by_hand():
    """The same update for each agent apart, where the clock's end is an end."""
    steps = STEPS._replace(terminated=STEPS.ended, truncated=jnp.zeros_like(STEPS.ended))
    target = jax.tree.map(lambda x: 2 * x, STATE.critic)
    after, metrics = update(floats(SMALL), STATE._replace(target_critic=target), steps)

    @jax.jit
    def by_hand(state):
        losses, norms, errors = [], [], []
        for n in range(2):
            actor = jax.tree.map(lambda leaf, n=n: leaf[n], state.actor)
            name = jnp.broadcast_to(jnp.eye(2)[n], (3, 8, 2))
            other = jax.nn.one_hot(steps.action[..., 1 - n], 3)
            x = jnp.concatenate([steps.observation.state, steps.observation.view[:, :, n], other, name], -1)
            q = state.critic.net(x)
            following = jnp.roll(chosen(target.net(x), steps.action[..., n]), -1, 0)[..., None]
            reward = steps.reward.mean(-1, keepdims=True)
            targets = lambda_returns(reward, following, steps.ended, steps.ended, 0.99, 0.8)[..., 0]
            weight = steps.valid / steps.valid.sum()
            errors.append((weight * (chosen(q, steps.action[..., n]) - targets) ** 2).sum())

            def loss(actor, n=n, q=q, weight=weight):
                logits = actor.unroll(steps.observation.view[:, :, n], jnp.zeros((8, 4)))
                p = jax.nn.softmax(logits)
                advantage = lax.stop_gradient(chosen(q, steps.action[..., n]) - (p * q).sum(-1))
                return -(weight * advantage * log_prob(logits, steps.action[..., n])).sum()

            value, gradient = jax.value_and_grad(loss)(actor)
            losses.append(value)
            norms.append(optax.tree.norm(gradient))
        return sum(losses), jnp.hypot(*norms), sum(errors) / 2

    policy, norm, error = by_hand(STATE)
    np.testing.assert_allclose(metrics["policy_loss"], policy, rtol=1e-4)
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-4)
    np.testing.assert_allclose(metrics["critic_loss"], error, rtol=1e-4)
    assert after.time == 3


def test_the_target_is_copied_after_its_period():
    one, _ = update(floats(SMALL), STATE, STEPS)
    two, _ = update(floats(SMALL), one, STEPS)
    close(one.target_critic, STATE.critic, 0)
    assert (one.critic.net.layers[0].weight != STATE.critic.net.layers[0].weight).any()
    close(two.target_critic, two.critic, 0)
    assert (one.since, two.since) == (1, 0)


def test_renaming_agents_renames_results():
    """Where the state names no agent, and no episode is cut, so that no action after it is drawn."""
    steps = STEPS._replace(terminated=STEPS.ended, truncated=jnp.zeros_like(STEPS.ended))
    nameless = jnp.tile(steps.observation.state.reshape(3, 8, 2, 3).sum(2), 2)
    steps = steps._replace(observation=steps.observation._replace(state=nameless))

    def swap(tree, axis):
        return jax.tree.map(lambda x: jnp.flip(x, axis), tree)

    def renamed(critic: JointNet) -> JointNet:
        """Its last two inputs are the id."""
        weight = critic.net.layers[0].weight
        weight = jnp.concatenate([weight[:-2], weight[-2:][::-1]])
        return eqx.tree_at(lambda critic: critic.net.layers[0].weight, critic, weight)

    swapped_steps = steps._replace(
        observation=steps.observation._replace(view=swap(steps.observation.view, 2)),
        action=swap(steps.action, 2),
        reward=swap(steps.reward, 2),
    )
    critic = renamed(STATE.critic)
    swapped = STATE._replace(actor=swap(STATE.actor, 0), critic=critic, target_critic=critic)
    after, metrics = update(floats(SMALL), STATE, steps)
    after_swapped, metrics_swapped = update(floats(SMALL), swapped, swapped_steps)
    close(swap(after.actor, 0), after_swapped.actor)
    close(renamed(after.critic), after_swapped.critic, 1e-4)  # RMSprop divides by small numbers
    close(metrics, metrics_swapped)


def test_a_replay_of_one_game_gives_what_the_rollout_gives():
    """Eight times the same game: whatever is drawn, it is that one."""
    same = jax.tree.map(lambda x: jnp.repeat(x[:, :1], 8, 1), STEPS._replace(truncated=STEPS.truncated & False))
    same = same._replace(terminated=(jnp.arange(3) == 2)[:, None] & jnp.ones((1, 8), bool), valid=same.valid | True)
    init, _, from_replay = programs(replace(SMALL, learns_from="replay", capacity=16, batch=8))
    state = init(KEY)._replace(actor=STATE.actor, critic=STATE.critic, target_critic=STATE.critic)
    after, metrics = from_replay(floats(SMALL), state, same)
    expected, metrics_expected = update(floats(SMALL), STATE, same)
    close((after.actor, after.critic, metrics), (expected.actor, expected.critic, metrics_expected))
    assert after.replay.filled == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_": 1.5}, "lambda_ 1.5 is above 1: give a number from 0 to 1"),
        ({"target_period": 0}, "target_period 0 is below 1: give a whole number of 1 or more"),
        ({"critic_reads": "joined"}, "did you mean joint"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        coma.Config(**settings)
    assert message in str(error.value)


def test_the_released_critic_sees_only_the_present_view():
    for preset in ("paper", "released"):
        state = jax.eval_shape(coma.make(coma.Config(**coma.PRESETS[preset]), ENV).init, KEY)
        assert state.critic.net.layers[0].weight.shape[0] == ENV.spec.view.size
        assert state.replay.rows.action.shape == ((320 if preset == "paper" else 1000), 3, 2)


SEEDS = 200


@pytest.mark.learn
def test_two_cars_part_ways():
    """One-step traffic junction: of 200 seeds, after 60 updates of 32 games, in 98 of 100 exactly one car passes."""
    env = OneStepTrafficJunction()
    config = replace(SMALL, critic_hidden=32, learning_rate=0.02, critic_learning_rate=0.01)
    algorithm = coma.make(config, env)

    def train(key):
        state, reward = training(algorithm, env, 60, 32)(key)
        action, _, _ = algorithm.act(key, state, algorithm.memory, env.observation(), explore=False)
        return reward, action

    reward, action = jax.jit(jax.vmap(train))(jax.random.split(KEY, SEEDS))
    assert 0.4 < reward[:, 0].mean() < 0.6
    solved = action.sum(-1) == 1
    assert solved.mean() >= 0.98
    assert reward[solved, -10:].mean() > 0.95
    first = action[solved, 0].mean()
    assert 0.2 < first < 0.8  # both answers are found
