"""LICA: the mixing critic by hand, entropy terms and their gradients, an update written out, the traffic junction."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.policy_gradient import lica
from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction
from comity.learning import entropy, lambda_returns, masked
from comity.networks import MLP, FlatCritic, MixingCritic, matched_width
from comity.settings import floats, with_floats
from tests.tiny.learning import training
from tiny.signals import Signals

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
ENV = Signals(length=3)  # two agents, three actions; ends early when both are right
SMALL = lica.Config(hidden=4, critic_width=4, target_period=2)
S, K, E = 3, 4, 5  # numbers of the state, of actions, hidden units of the critic below
relu = lambda x: np.maximum(x, 0)  # noqa: E731


def close(a, b, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


# The critic -----------------------------------------------------------------------------------------------------------


def doubles(net: MLP, x):
    for layer in net.layers[:-1]:
        x = relu(x @ np.asarray(layer.weight, np.float64) + np.asarray(layer.bias, np.float64))
    return x @ np.asarray(net.layers[-1].weight, np.float64) + np.asarray(net.layers[-1].bias, np.float64)


def by_hand(critic: MixingCritic, state, u):
    """Q, and W_1 [K, E], w_2 [E] of one state, in doubles."""
    first, out = doubles(critic.weights, state).reshape(K, E), doubles(critic.out_weights, state)
    q = relu(u @ first + doubles(critic.bias, state)) @ out + doubles(critic.out_bias, state)[0]
    return q, first, out


@pytest.mark.parametrize("layers", [1, 2])
def test_the_mixing_critic_by_hand_on_any_leading_axes(layers):
    critic = MixingCritic(KEY, S, K, E, layers)
    random = np.random.default_rng(0)
    state, u = (jnp.asarray(random.uniform(-1, 1, (2, 3, size)), jnp.float32) for size in (S, K))
    expected = [[by_hand(critic, np.asarray(state)[i, j], np.asarray(u)[i, j])[0] for j in range(3)] for i in range(2)]
    close(critic(state, u), np.array(expected))
    wanted = [(S, K * E)] if layers == 1 else [(S, K * E), (K * E, K * E)]
    assert [layer.weight.shape for layer in critic.weights.layers] == wanted
    assert [len(net.layers) for net in (critic.bias, critic.out_weights, critic.out_bias)] == [1, layers, 2]


def test_with_one_hidden_unit_active_the_gradient_is_its_row():
    """dQ/du = W_1 w_2 of that unit: against finite differences of the critic in doubles."""
    critic = MixingCritic(KEY, S, K, E)
    critic = eqx.tree_at(lambda c: c.bias.layers[0].bias, critic, jnp.array([-90.0, 90.0, -90.0, -90.0, -90.0]))
    state, u = np.array([0.3, -1.0, 2.0]), np.array([0.2, 0.8, 0.5, 0.5])
    _, first, out = by_hand(critic, state, u)
    found = jax.grad(lambda u: critic(jnp.asarray(state, jnp.float32), u))(jnp.asarray(u, jnp.float32))
    close(found, first[:, 1] * out[1])
    step = 1e-4 * np.eye(K)
    differences = [(by_hand(critic, state, u + d)[0] - by_hand(critic, state, u - d)[0]) / 2e-4 for d in step]
    close(found, np.array(differences))
    assert np.abs(found).max() > 1e-3


def test_a_critic_whose_weights_do_not_depend_on_the_state_is_an_mlp_of_actions():
    critic = MixingCritic(KEY, S, K, E)
    heads = lambda c: [net.layers[-1].weight for net in (c.weights, c.bias, c.out_weights, c.out_bias)]  # noqa: E731
    critic = eqx.tree_at(heads, critic, [jnp.zeros_like(x) for x in heads(critic)])
    weights, bias, out, out_bias = (
        net.layers[-1].bias for net in (critic.weights, critic.bias, critic.out_weights, critic.out_bias)
    )
    plain = MLP(KEY, K, (E,), 1)
    leaves = lambda net: [x for layer in net.layers for x in (layer.weight, layer.bias)]  # noqa: E731
    plain = eqx.tree_at(leaves, plain, [weights.reshape(K, E), bias, out[:, None], out_bias])
    u = jax.random.uniform(KEY, (7, K))
    close(critic(jax.random.normal(KEY, (7, S)), u), plain(u)[:, 0])


def test_a_plain_critic_has_as_many_parameters_as_it_should():
    count = lambda net: sum(x.size for x in jax.tree.leaves(net))  # noqa: E731
    wanted = count(jax.eval_shape(lambda: MixingCritic(KEY, 30, 15)))
    width = matched_width(45, wanted)
    found = [count(jax.eval_shape(lambda w=w: FlatCritic(KEY, 30, 15, w))) for w in (width - 1, width, width + 1)]
    assert np.abs(np.array(found) - wanted).argmin() == 1
    made = jax.eval_shape(lica.make(replace(SMALL, critic="mlp-matched"), ENV).init, KEY).critic
    mixing = jax.eval_shape(lica.make(SMALL, ENV).init, KEY).critic
    assert abs(count(made) - count(mixing)) < 0.1 * count(mixing)
    small = jax.eval_shape(lica.make(replace(SMALL, critic="mlp"), ENV).init, KEY).critic
    assert small.net.net.layers[1].weight.shape == (4, 4)


# Entropy --------------------------------------------------------------------------------------------------------------

AVAILABLE = jnp.ones((2, 3, 2, 4), bool).at[0, 0, 0, 3].set(False).at[1, 1, 1, 1:].set(False)  # [T, B, N, A]
VALID = jnp.ones((2, 3), bool).at[1, 2].set(False)
LOGITS = masked(jax.random.normal(KEY, (2, 3, 2, 4)), AVAILABLE)
CHOICES = np.asarray(VALID[..., None] & (AVAILABLE.sum(-1) > 1))


def gradient(kind):
    return jax.value_and_grad(lica.entropy_term)(LOGITS, AVAILABLE, VALID, kind)


def wanted(divided):
    """Gradient of mean H(p) / divided over choices with respect to logits, from dH/dp_k = -(log p_k + 1); doubles."""
    p = np.asarray(jax.nn.softmax(LOGITS), np.float64)
    by_p = np.where(p > 0, -(np.log(np.where(p > 0, p, 1)) + 1), 0) / divided[..., None]
    by_logits = p * (by_p - (p * by_p).sum(-1, keepdims=True))
    return np.where(CHOICES[..., None], by_logits, 0) / CHOICES.sum()


def test_gradients_of_all_entropy_terms():
    each = np.asarray(entropy(LOGITS), np.float64)
    mean = each[CHOICES].mean()
    uniform = np.asarray(AVAILABLE) / np.asarray(AVAILABLE.sum(-1, keepdims=True))
    away = np.linalg.norm(np.asarray(jax.nn.softmax(LOGITS)) - uniform, axis=-1)
    some = np.where(CHOICES, each, 1.0)
    for kind, value, divided in (
        ("batch", 1.0, np.full_like(each, mean)),
        ("per_agent", 1.0, some),
        ("l2", (each * away)[CHOICES].mean(), 1 / np.where(CHOICES, away, 1.0)),
        ("fixed", mean, np.ones_like(each)),
    ):
        found = gradient(kind)
        close(found[0], value)
        close(found[1], wanted(divided))
    logarithm = jax.grad(lambda z: jnp.log(lica.mean_choice(entropy(z), AVAILABLE, VALID)))(LOGITS)
    close(gradient("batch")[1], logarithm)


def test_who_has_no_choice_and_padding_are_in_no_mean():
    other = LOGITS.at[1, 2].set(7.0 * jnp.arange(4)).at[1, 1, 1, 0].set(5.0)
    for kind in ("batch", "per_agent", "l2", "fixed"):
        close(lica.entropy_term(other, AVAILABLE, VALID, kind), gradient(kind)[0])
        assert not np.asarray(gradient(kind)[1])[~CHOICES].any()


def test_the_entropy_term_of_the_batch_adds_minus_its_weight_to_the_loss():
    q, weight = jnp.arange(6.0).reshape(2, 3), 0.3
    loss = lica.policy_loss(q, VALID, lica.entropy_term(LOGITS, AVAILABLE, VALID, "batch"), weight)
    assert float(loss) == pytest.approx(-2.0 - weight)


def test_policies_settle_at_more_entropy_if_the_weight_is_doubled():
    """Q = q u is linear. Fixed: softmax(q / beta); batch, per agent: softmax(q H / xi), H being its own entropy."""
    q, available, valid = jnp.array([0.0, 0.1, 0.4]), jnp.ones((1, 1, 1, 3), bool), jnp.ones((1, 1), bool)

    def settled(kind, weight):
        def loss(logits):
            term = lica.entropy_term(logits, available, valid, kind)
            return lica.policy_loss((jax.nn.softmax(logits) * q).sum((-1, -2)), valid, term, weight)

        def step(logits, _):
            return logits - 2.0 * jax.grad(loss)(logits), None

        return jax.nn.softmax(lax.scan(step, jnp.zeros((1, 1, 1, 3)), None, 2_000)[0])[0, 0, 0]

    for kind in ("batch", "per_agent", "l2", "fixed"):
        ends = jax.jit(jax.vmap(lambda weight, kind=kind: settled(kind, weight)))(jnp.array([0.1, 0.2]))
        heights = entropy(jnp.log(ends))
        assert heights[1] > heights[0] + 0.02, kind
        for p, height, weight in zip(ends, heights, (0.1, 0.2), strict=True):
            if kind != "l2":
                divided = 1.0 if kind == "fixed" else height
                close(p, jax.nn.softmax(q * divided / weight), 1e-3)


# Targets and updates --------------------------------------------------------------------------------------------------


def test_targets_by_hand():
    """gamma = lambda = 1/2, three steps: a game that terminates early, one cut early, one cut by the clock."""
    reward = jnp.array([[1.0, 2.0, 0.0], [1.0, 2.0, 0.0], [1.0, 2.0, 4.0]]).T
    reward = jnp.stack([2 * reward, 0 * reward], -1)  # the team's mean is that above
    following = jnp.array([[8.0, 16.0, 32.0]] * 3).T
    terminated = jnp.array([[False, True, False], [False] * 3, [False] * 3]).T
    ended = jnp.array([[False, True, False], [False, True, False], [False, False, True]]).T
    config = replace(SMALL, gamma=0.5, lambda_=0.5)
    targets = lica.critic_targets(config, reward, following, terminated, ended)
    close(targets[:2, 0], jnp.array([1 + 4 / 2 + 2 / 4, 2]))
    close(targets[:2, 1], jnp.array([1 + 4 / 2 + 10 / 4, 2 + 16 / 2]))
    close(targets[:, 2], jnp.array([1 + 4 / 2 + 11 / 4, 2 + 16 / 4 + 20 / 4, 4 + 32 / 2]))
    one_step = lica.critic_targets(replace(config, lambda_=0.0), reward, following, terminated, ended)
    close(one_step[:, 2], jnp.array([1 + 8 / 2, 2 + 16 / 2, 4 + 32 / 2]))
    monte_carlo = lica.critic_targets(replace(config, lambda_=1.0), reward, following, terminated, ended)
    close(monte_carlo[:2, 0], jnp.array([1 + 2 / 2, 2]))
    total = lica.critic_targets(replace(config, credit="sum"), reward, 2 * following, terminated, ended)
    close(total, 2 * targets)


def test_what_goes_into_the_critic():
    """Gumbel: one-hot draws with the policy's frequencies; and what is not available is exactly 0."""
    logits, config = jnp.tile(LOGITS[0, 0], (2_000, 1, 1)), replace(SMALL, temperature=0.5)
    plain = lica.climbed(config, KEY, logits)
    close(plain, jax.nn.softmax(logits))
    drawn, back = jax.vjp(lambda z: lica.climbed(replace(config, climbs="gumbel"), KEY, z), logits)
    assert ((drawn == 0) | (drawn == 1)).all()
    assert (drawn.sum(-1) == 1).all()
    assert not plain[..., 0, 3].any()
    assert not drawn[..., 0, 3].any()
    np.testing.assert_allclose(drawn.mean(0), plain[0], atol=0.05)
    (grads,) = back(jnp.broadcast_to(jnp.arange(4.0), drawn.shape))
    assert not grads[..., 0, 3].any()
    assert (jnp.abs(grads).sum((0, 2)) > 0).all()


def programs(config):
    """(init, collect, update with other floats) of a config on ENV, each compiled once."""
    algorithm = lica.make(config, ENV)

    @jax.jit
    def collect(key, state):
        play = rollout.start(key, ENV, algorithm.memory, 8)
        return rollout.collect(key, ENV, algorithm, state, play)[1]

    @jax.jit
    def update(values, state, steps):
        return lica.make(with_floats(config, values), ENV).update(KEY, state, steps)

    return jax.jit(algorithm.init), collect, update


NAMED = replace(SMALL, actors="shared", last_action=True)
init, collect, update = programs(NAMED)
STATE = init(KEY)
STEPS = collect(KEY, STATE)


def test_an_update_by_hand():
    """A shared actor that reads its last action and its id; where the clock's end is an end, so that nothing is
    drawn."""
    steps = STEPS._replace(terminated=STEPS.ended, truncated=jnp.zeros_like(STEPS.ended))
    assert not steps.valid.all()
    target = jax.tree.map(lambda x: 2 * x, STATE.critic)
    after, metrics = update(floats(NAMED), STATE._replace(target_critic=target), steps)
    one_hot = jax.nn.one_hot(steps.action, 3)
    weight = steps.valid / steps.valid.sum()

    @jax.jit
    def expected(state, critic):
        seen, taken = steps.observation.state, one_hot.reshape(3, 8, 6)
        following = jnp.roll(target.net(seen, taken), -1, 0)[..., None]
        reward = steps.reward.mean(-1, keepdims=True)
        targets = lambda_returns(reward, following, steps.ended, steps.ended, 0.99, 0.8)[..., 0]
        error = (weight * (state.critic.net(seen, taken) - targets) ** 2).sum()

        def loss(actor):
            each, heights = [], 0.0
            for n in range(2):
                last = jnp.concatenate([jnp.zeros((1, 8, 3)), one_hot[:-1, :, n]])
                name = jnp.broadcast_to(jnp.eye(2)[n], (3, 8, 2))
                x = jnp.concatenate([steps.observation.view[:, :, n], last, name], -1)
                logits = actor.unroll(x, jnp.zeros((8, 4)))
                each.append(jax.nn.softmax(logits))
                heights += (weight * entropy(logits)).sum() / 2
            q = critic.net(seen, jnp.concatenate(each, -1))
            return -(weight * q).sum() - 0.06 * heights / lax.stop_gradient(heights), heights

        (value, height), grads = jax.value_and_grad(loss, has_aux=True)(state.actor)
        return value, height, optax.tree.norm(grads), error

    value, height, norm, error = expected(STATE, after.critic)  # the critic after its step
    for name, wanted in (("policy_loss", value), ("entropy", height), ("gradient_norm", norm), ("critic_loss", error)):
        np.testing.assert_allclose(metrics[name], wanted, rtol=1e-4, err_msg=name)
    assert float(metrics["q"]) == pytest.approx(-float(value) - 0.06, abs=1e-5)
    assert expected(STATE, STATE.critic)[0] != value


def test_updates_recompute_what_was_played():
    """The entropy that an update sees is that of the policies that played; a network without memory too."""
    plain = replace(SMALL, core="none", last_action=True)
    start, gather, learn = programs(plain)
    for config, run, state in ((NAMED, (STEPS, update), STATE), (plain, (None, learn), start(KEY))):
        steps = run[0] or gather(KEY, state)
        heights = entropy(jnp.log(steps.notes["probabilities"]))
        wanted = lica.mean_choice(heights, steps.observation.available, steps.valid)
        np.testing.assert_allclose(run[1](floats(config), state, steps)[1]["entropy"], wanted, rtol=1e-5)
        assert jnp.abs(heights - heights[:, :1]).max() > 1e-4


def test_the_target_is_copied_after_its_period():
    one, _ = update(floats(NAMED), STATE, STEPS)
    two, _ = update(floats(NAMED), one, STEPS)
    close(one.target_critic, STATE.critic, 0)
    assert (one.critic.net.bias.layers[0].weight != STATE.critic.net.bias.layers[0].weight).any()
    close(two.target_critic, two.critic, 0)
    assert (one.since, two.since) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_": 1.5}, "lambda_ 1.5 is above 1"),
        ({"temperature": 0.0}, "temperature 0.0 is not above 0"),
        ({"critic": "mixed"}, "did you mean mixing"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        lica.Config(**settings)
    assert message in str(error.value)


@pytest.mark.learn
def test_two_cars_part_ways():
    """One-step traffic junction, from play: in nearly all of 50 seeds exactly one car passes, and both answers come."""
    env = OneStepTrafficJunction()
    config = replace(SMALL, core="none", critic_width=8, learning_rate=0.02, critic_learning_rate=0.02)
    algorithm = lica.make(config, env)

    def train(key):
        state, reward = training(algorithm, env, 150, 32)(key)
        action, _, _ = algorithm.act(key, state, algorithm.memory, env.observation(), explore=False)
        return reward, action

    reward, action = jax.jit(jax.vmap(train))(jax.random.split(KEY, 50))
    assert 0.4 < reward[:, 0].mean() < 0.6
    solved = action.sum(-1) == 1
    assert solved.mean() >= 0.9
    assert reward[solved, -10:].mean() > 0.8  # the entropy term keeps some of it
    first = action[solved, 0].mean()
    assert 0.2 < first < 0.8
