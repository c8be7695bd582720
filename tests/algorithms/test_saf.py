"""SAF: which parts have gradients, which agents hear each other, its loss by hand, and a game that needs messages."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from comity import rollout
from comity.algorithms.ppo import saf
from comity.algorithms.ppo import saf_networks as networks
from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.learning import gaussian_kl, log_prob, masked
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep
from tests.tiny.learning import trained
from tests.tiny.noise import Noise
from tests.tiny.pictures import Pictures

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest


class State(NamedTuple):
    bit: Array  # [] int32
    time: Array  # [] int32


@dataclass(frozen=True)
class Whisper:
    """Agent 0 is shown a bit, agent 1 must name it; both are paid. A new bit at every step, three steps.

    view [2, 4]: the bit as one-hot (agent 1: zeros), id. What agent 0 does changes nothing, so that without messages
    half of all names are right at best. The third action is never available.
    """

    spec = Spec(agents=2, view=Vector(4), action=Discrete(3), length=3, state=Vector(1))

    def reset(self, key):
        state = State(jax.random.randint(key, (), 0, 2), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key, state, action):
        right = jnp.where(action[1] == state.bit, 1.0, 0.0)
        after = State(jax.random.randint(key, (), 0, 2), state.time + 1)
        return after, Timestep(self.observe(after), jnp.full(2, right), after.time >= 3, jnp.bool_(False), {})

    def observe(self, state):
        shown = jnp.stack([jax.nn.one_hot(state.bit, 2), jnp.zeros(2)])
        available = jnp.ones((2, 3), bool).at[:, 2].set(False)
        return Observation(jnp.concatenate([shown, jnp.eye(2)], -1), jnp.zeros(1), available)


ENV = Whisper()
SMALL = saf.Config(
    width=8, encoder=(8,), policy_hidden=(8,), critic_hidden=(8,), slots=2, policies=3, latent=2, epochs=3,
    minibatches=1, learning_rate=0.003, last_learning_rate=0.003,
)  # fmt: skip
ALGORITHM = saf.make(SMALL, ENV)
act = jax.jit(ALGORITHM.act, static_argnames="explore")


@jax.jit
def begin(key):
    state = ALGORITHM.init(key)
    play = rollout.start(key, ENV, ALGORITHM.memory, 32)
    return state, rollout.collect(key, ENV, ALGORITHM, state, play)[1]


STATE, STEPS = begin(KEY)
update = jax.jit(ALGORITHM.update)
look, choose, policy_outputs, values = (
    jax.jit(f) for f in (networks.look, networks.choose, networks.policy_outputs, networks.values)
)
LOUD = STATE.params._replace(pool=jax.tree.map(lambda x: 10 * x, STATE.params.pool))  # at first all are nearly uniform


def test_every_network_carries_gradient():
    """After one update each parameter moved: encoder, message, slots, reading, keys, pool, latent, prior and critic."""
    after, metrics = update(KEY, STATE, STEPS)
    for name, (old, new) in {
        k: (getattr(STATE.params, k), getattr(after.params, k)) for k in networks.Params._fields
    }.items():
        for (path, x), y in zip(jax.tree.leaves_with_path(old), jax.tree.leaves(new), strict=True):
            assert jnp.abs(x - y).max() > 1e-4, f"{name}{jax.tree_util.keystr(path)}"
    assert after.count == 3
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_policy_gradient_alone_reaches_messages_slots_and_keys():
    """Without critic and latents: through what agents read, and through the choice of a policy."""

    @jax.jit
    def gradient(params):
        def loss(params):
            seen = networks.look(params, STEPS.observation.view)
            chosen = networks.choose(params, seen.exchanged, STEPS.notes["gumbel"])
            logits = masked(networks.policy_outputs(params, seen.exchanged, chosen), STEPS.observation.available)
            return (log_prob(logits, STEPS.action) * STEPS.reward).sum()

        return jax.grad(loss)(params)

    found = gradient(LOUD)
    for part in (found.message, found.slots, found.read, found.join, found.query, found.keys, found.pool):
        assert all(jnp.abs(leaf).max() > 1e-5 for leaf in jax.tree.leaves(part))


def test_a_message_changes_another_agents_policy_unless_policies_read_only_their_own():
    observation = jax.tree.map(lambda x: x[0], STEPS.observation)
    told = observation._replace(view=observation.view.at[:, 0, :2].set(observation.view[:, 0, 1::-1]))
    memory = jnp.zeros((32, 2, 4))
    plain, other = (act(KEY, STATE._replace(params=LOUD), memory, o)[2] for o in (observation, told))
    assert (jnp.abs(plain["probabilities"] - other["probabilities"])[:, 1].max(-1) > 1e-4).mean() > 0.9
    deaf = jax.jit(saf.make(replace(SMALL, policies_read="own"), ENV).act)
    plain, other = (deaf(KEY, STATE._replace(params=LOUD), memory, o)[2] for o in (observation, told))
    np.testing.assert_array_equal(plain["probabilities"][:, 1], other["probabilities"][:, 1])
    assert (plain["value"] != other["value"])[:, 1].all()  # the critic still hears


def test_each_agent_plays_by_exactly_one_policy():
    seen = look(STATE.params, STEPS.observation.view)
    chosen = choose(STATE.params, seen.exchanged, STEPS.notes["gumbel"])
    np.testing.assert_array_equal(chosen.sum(-1), 1)
    np.testing.assert_array_equal((chosen == 1).sum(-1), 1)
    np.testing.assert_array_equal(chosen.argmax(-1), STEPS.notes["policy"])
    assert len(np.unique(STEPS.notes["policy"])) == 3
    every = jnp.stack([jax.tree.map(lambda x, k=k: x[k], STATE.params.pool)(seen.exchanged) for k in range(3)])
    expected = jnp.take_along_axis(every, STEPS.notes["policy"][None, ..., None], 0)[0]
    np.testing.assert_allclose(policy_outputs(STATE.params, seen.exchanged, chosen), expected, rtol=1e-4, atol=1e-6)


def test_the_mask_holds_at_play_or_only_in_learning():
    assert (STEPS.action < 2).all()
    loose = jax.jit(saf.make(replace(SMALL, mask="learning"), ENV).act)
    observation = jax.tree.map(lambda x: x[0], STEPS.observation)
    actions = [loose(jax.random.fold_in(KEY, k), STATE, jnp.zeros((32, 2, 4)), observation)[0] for k in range(3)]
    assert 0.2 < np.mean(np.stack(actions) == 2) < 0.5


def test_memory_is_the_view_before():
    np.testing.assert_array_equal(STEPS.memory[0], 0)
    np.testing.assert_array_equal(STEPS.memory[1:], STEPS.observation.view[:-1])


def test_first_epoch_by_hand():
    """One epoch: the ratio is 1, values are those of play, so the losses are plain ones."""
    one = jax.jit(saf.make(replace(SMALL, epochs=1, lambda_=1.0), ENV).update)
    _, metrics = one(KEY, STATE, STEPS)
    returns = jnp.cumsum((STEPS.reward * 0.99 ** jnp.arange(3)[:, None, None])[::-1], 0)[::-1]
    returns /= 0.99 ** jnp.arange(3)[:, None, None]
    value = STEPS.notes["value"]
    away = returns - value
    advantage = (away - away.mean()) / away.std()
    np.testing.assert_allclose(metrics["policy_loss"], -advantage.mean(), atol=1e-5)
    np.testing.assert_allclose(metrics["critic_loss"], 0.5 * jnp.square(away).mean(), rtol=1e-4)
    seen = look(STATE.params, STEPS.observation.view)
    before = jnp.tanh(STATE.params.encoder(STEPS.memory))
    outputs = STATE.params.latent(seen.exchanged), STATE.params.prior(before)
    posterior, prior = map(networks.gaussian, outputs)
    np.testing.assert_allclose(metrics["latent_kl"], gaussian_kl(*posterior, *prior).mean(), rtol=1e-4)
    entropy = -(STEPS.notes["probabilities"] * jnp.log(STEPS.notes["probabilities"].clip(1e-20))).sum(-1)
    np.testing.assert_allclose(metrics["entropy"], entropy.mean(), rtol=1e-4)


def test_what_the_code_does_otherwise_trains():
    """Scales of either sign, next to 0 too, hidden layers, one value for all: finite, and all agents have agent 0's."""
    hidden = {"projector_hidden": (4,), "latent_hidden": (4,), "prior_hidden": (4,)}
    slips = {"encoding": "linear", "critic_encoding": "first", "choice": "probabilities", "latent_scale": "raw"}
    algorithm = saf.make(replace(SMALL, **hidden, **slips), ENV)

    @jax.jit
    def once(key):
        state = algorithm.init(key)
        steps = rollout.collect(key, ENV, algorithm, state, rollout.start(key, ENV, algorithm.memory, 32))[1]
        return steps.notes["value"], algorithm.update(key, state, steps)

    value, (state, metrics) = once(KEY)
    np.testing.assert_array_equal(value[..., 0], value[..., 1])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.params, metrics)))
    assert networks.gaussian(jnp.zeros(2), raw=True)[1] == 1e-3


def test_the_critic_knows_others_by_their_latents_only():
    """Others' latents stand after the own, in a circle; with the same latents their views change nothing."""
    seen = look(STATE.params, STEPS.observation.view)
    noise = STEPS.notes["noise"]
    value, (mean, scale) = values(STATE.params, seen, noise)
    latent = mean + scale * noise
    inputs = jnp.concatenate([seen.own[..., 1, :], latent[..., 1, :], latent[..., 0, :]], -1)
    np.testing.assert_allclose(value[..., 1], STATE.params.critic(inputs)[..., 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policies": 0}, "policies 0 is below 1: give a whole number of 1 or more"),
        ({"kl_coefficient": -1.0}, "kl_coefficient -1.0 is below 0: give a number of 0 or more"),
        ({"policies_read": "all"}, "policies_read 'all' is not one of exchanged, own"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        saf.Config(**settings)
    assert message in str(error.value)


@pytest.mark.learn
def test_agents_learn_to_tell():
    """Without messages half of the names are right."""

    _, reward = trained(KEY, ALGORITHM, ENV, 100, 32)
    assert 0.4 < reward[:3].mean() < 0.6
    assert reward[-10:].mean() > 0.9


# What else it plays ---------------------------------------------------------------------------------------------------


class Played(NamedTuple):
    settings: dict[str, Any]
    env: Any


BUDDY = PrisonersBuddy(agents=3, length=6, period=2, identity_size=2)  # two heads
NAVIGATION = CooperativeNavigation(agents=2, actions="continuous", length=5)
KINDS = {
    "images": Played({"last_action": True, "agent_id": True}, Pictures()),
    "images alone": Played({"encoding": "linear", "critic_encoding": "first"}, Pictures(state="empty")),
    "heads": Played({"last_action": True, "mask": "learning"}, BUDDY),
    "numbers": Played({"agent_id": True}, NAVIGATION),
    "numbers by view": Played({"last_action": True, "numbers": "tanh-normal", "policies_read": "own"}, NAVIGATION),
    "vectors": Played({"last_action": True, "agent_id": True}, Noise()),
}


def once(config, env, key):
    algorithm = saf.make(config, env)
    state = algorithm.init(key)
    play = rollout.start(key, env, algorithm.memory, 4)
    steps = rollout.collect(key, env, algorithm, state, play)[1]
    return algorithm.memory, state, steps, *algorithm.update(key, state, steps)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_plays_it_learns_from(kind):
    """Traced: states and memories keep shapes and dtypes, images are remembered in bytes."""
    settings, env = KINDS[kind]
    config = replace(SMALL, **settings)
    memory, before, steps, after, metrics = jax.eval_shape(lambda key: once(config, env, key), KEY)
    form = lambda x: (x.shape, x.dtype)  # noqa: E731
    assert jax.tree.map(form, before) == jax.tree.map(form, after)
    assert [x.shape[2:] for x in jax.tree.leaves(steps.next_memory)] == [x.shape for x in jax.tree.leaves(memory)]
    assert all(x.shape == () for x in metrics.values())
    if isinstance(env, Pictures):
        assert any(x.dtype == jnp.uint8 for x in jax.tree.leaves(memory))


def test_memory_is_what_was_read_and_what_was_done():
    """On images; and every convolution and every policy's ratio: before the first step it is 1, so losses are plain."""
    config = replace(SMALL, **KINDS["images"].settings, epochs=1)
    memory, before, steps, after, metrics = jax.jit(lambda key: once(config, KINDS["images"].env, key))(KEY)
    ended = np.asarray(steps.ended)[:-1, :, None]
    kept = lambda x: np.where(ended.reshape(*ended.shape, *(1,) * (x.ndim - 3)), 0, x)  # noqa: E731
    np.testing.assert_array_equal(steps.memory.core.view[1:], kept(steps.observation.view[:-1]))
    np.testing.assert_array_equal(steps.memory.last[1:], kept(np.asarray(jax.nn.one_hot(steps.action, 3)[:-1])))
    np.testing.assert_array_equal(steps.memory.core.beside[1:, ..., :3], kept(steps.memory.last[:-1]))
    np.testing.assert_array_equal(steps.next_memory.core.beside[..., 3:], np.broadcast_to(np.eye(2), (4, 4, 2, 2)))
    assert (memory.core.beside == 0).all()
    eyes = before.params.encoder.eyes.layers[0].weight, after.params.encoder.eyes.layers[0].weight
    assert (eyes[0] != eyes[1]).any()
    away = steps.notes["value"]  # the same read in play and in learning: values have not moved, nor has the ratio
    assert np.isfinite(away).all()
    np.testing.assert_allclose(metrics["policy_loss"], 0, atol=1e-5)


def test_the_codes_mask_is_for_choices():
    with pytest.raises(ValueError, match=r"^saf's mask 'learning' chooses among discrete actions"):
        saf.make(replace(SMALL, mask="learning"), NAVIGATION)
