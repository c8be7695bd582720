"""MAVEN: the latent is drawn once and changes play; the discriminator and the chooser learn what they should."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.values import maven, qmix
from comity.environments.matrix.n_step import NStep
from comity.learning import take_step
from tiny.learning import played as played_by
from tiny.learning import trained_seeds

KEY = jax.random.key(1)
ENV = NStep(n=4)
CONFIG = maven.Config(
    hidden=8, latents=3, mixer_width=4, mixer_hidden=8, chooser_hidden=8, capacity=64, batch=32, agents="separate"
)


def built(**more):
    algorithm = maven.make(replace(CONFIG, **more), ENV)
    return algorithm, jax.jit(algorithm.init)(KEY)


def played(algorithm, state, explore=True, games=32):
    play = rollout.start(KEY, ENV, algorithm.memory, games)
    act = lambda key, memory, observation: algorithm.act(key, state, memory, observation, explore)  # noqa: E731
    return jax.jit(lambda play: rollout.collect_episodes(KEY, ENV, act, play))(play)


def test_the_latent_is_drawn_once_per_episode_for_all_agents():
    steps = played(*built(chooser="uniform"))
    latent = np.asarray(steps.next_memory.latent)  # [T, B, N]
    assert (steps.memory.latent[0] == 0).all()
    assert (latent == latent[:1, :, :1]).all()
    assert set(latent.reshape(-1).tolist()) == {1, 2, 3}


def test_a_uniform_latent_is_drawn_in_greedy_play_too():
    latent = np.asarray(played(*built(chooser="uniform"), explore=False, games=300).next_memory.latent)[0, :, 0]
    np.testing.assert_allclose(np.bincount(latent, minlength=4)[1:] / 300, 1 / 3, atol=0.1)


def test_the_layer_before_the_memory_is_as_wide_as_asked():
    def shapes(**more):
        algorithm = maven.make(replace(CONFIG, agents="shared", **more), ENV)
        agents = jax.eval_shape(algorithm.init, KEY).learned.params.agents
        return {size for x in jax.tree.leaves((agents.encoder, agents.cell)) for size in x.shape}

    assert shapes(encoder_width=5) - shapes() == {5}


def test_greedy_play_takes_the_latent_that_promises_most():
    algorithm, state = built()
    steps = played(algorithm, state, explore=False)
    first = steps.observation.view[0]
    assert (steps.next_memory.latent[0, :, 0] - 1 == state.chooser(first).argmax(-1)).all()


@pytest.mark.parametrize("agents", ["separate", "shared"])
def test_the_latent_picks_the_last_layer(agents):
    """Q_i = h W(z, id), W the output of a linear hypernetwork without bias; nothing else depends on z."""
    algorithm, state = built(agents=agents)
    observation = ENV.reset(KEY)[1]
    net = state.learned.params.agents
    for z in range(3):
        memory = maven.Memory(jnp.ones((2, 8)), jnp.full(2, z + 1))
        _, after, notes = algorithm.act(KEY, state, memory, observation)
        assert (after.latent == z + 1).all()
        for k in range(2):
            weight = (net.head[k] if agents == "separate" else net.head).reshape(8, 3, 2)[:, z]
            weight = weight if agents == "separate" else weight + net.names[k]
            np.testing.assert_allclose(notes["values"][k], after.hidden[k] @ weight, atol=1e-5)


def test_the_latent_changes_behaviour_and_the_discriminator_tells():
    """With the information term alone to learn from, each z comes to play in its own way, and is recognised."""
    algorithm, state = built(chooser="uniform", information_weight=1.0, updates=40, learning_rate=1e-2)
    steps = played(algorithm, state)
    steps = steps._replace(reward=jnp.zeros_like(steps.reward))
    update = jax.jit(algorithm.update)
    losses = []
    for key in jax.random.split(KEY, 5):
        state, metrics = update(key, state, steps)
        losses.append(float(metrics["information_loss"]))
    assert losses[-1] < 0.5 * np.log(3)  # log 3: nothing is told apart
    observation = ENV.reset(KEY)[1]
    play = lambda z: algorithm.act(KEY, state, maven.Memory(jnp.zeros((2, 8)), jnp.full(2, z)), observation, False)[2]  # noqa: E731
    policies = [jax.nn.softmax(play(z)["values"]) for z in (1, 2, 3)]
    apart = [float(jnp.abs(policies[a] - policies[b]).max()) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(apart) > 0.2


def test_the_information_term_reaches_the_agents():
    def moved(weight):
        algorithm, state = built(chooser="uniform", information_weight=weight, updates=1, td_lambda=0.0)
        steps = played(algorithm, state)
        return jax.jit(algorithm.update)(KEY, state, steps)[0].learned.params.agents.head

    assert jnp.abs(moved(0.0) - moved(5.0)).max() > 1e-5


@pytest.mark.learn
def test_commitment_finds_what_step_by_step_exploration_misses():
    """n-step game, n = 4: QMIX stays with n in 8 of 8 seeds, MAVEN gets n + 3 in most of them."""
    family: dict[str, Any] = {
        "hidden": 16,
        "mixer_width": 8,
        "learning_rate_steps": 1_000.0,
        "explore_end": 0.1,
        "explore_steps": 1_000.0,
        "capacity": 1_024,
        "batch": 64,
        "updates": 1,
        "agents": "separate",
    }
    configs = {
        qmix: qmix.Config(**family),
        maven: maven.Config(**family, latents=8, chooser_hidden=32, chooser_temperature=1.0),
    }
    best = {}
    for module, config in configs.items():
        algorithm = module.make(config, ENV)
        states, _ = trained_seeds(KEY, algorithm, ENV, 1_000, 32, 8)

        def earns(state, algorithm=algorithm):
            return played_by(KEY, algorithm, state, ENV, 1, explore=False).reward[..., 0].sum()

        best[module] = np.asarray(jax.jit(jax.vmap(earns))(states))
    assert (best[qmix] == 4).sum() >= 7
    assert (best[maven] == 7).sum() >= 5


def test_information_loss_by_hand():
    np.testing.assert_allclose(maven.information_loss(jnp.zeros((2, 4)), jnp.array([0, 3])), np.log(4), rtol=1e-6)
    logits = jnp.log(jnp.array([[0.7, 0.2, 0.1]]))
    np.testing.assert_allclose(maven.information_loss(logits, jnp.array([1])), -np.log(0.2), rtol=1e-6)


def test_how_latents_are_drawn():
    scores = jnp.array([1.0, 0.0, -1.0])
    bandit = maven.latent_logits(replace(CONFIG, chooser_temperature=0.5, chooser_uniform=0.1), scores)
    np.testing.assert_allclose(jnp.exp(bandit), 0.9 * jax.nn.softmax(scores / 0.5) + 0.1 / 3, rtol=1e-5)
    policy = maven.latent_logits(replace(CONFIG, chooser="policy"), scores)
    np.testing.assert_allclose(jnp.exp(policy), jax.nn.softmax(scores), rtol=1e-5)
    uniform = maven.latent_logits(replace(CONFIG, chooser="uniform"), scores)
    np.testing.assert_allclose(jax.nn.softmax(uniform), 1 / 3, rtol=1e-6)


def test_chooser_losses_by_hand():
    scores = jnp.array([[1.0, 0.0], [0.5, -0.5]])
    z, returns = jnp.array([0, 1]), jnp.array([3.0, 1.0])
    np.testing.assert_allclose(maven.chooser_loss(CONFIG, scores, z, returns), (2.0**2 + 1.5**2) / 2)
    policy = replace(CONFIG, chooser="policy", chooser_entropy=0.0)
    log_probs = jax.nn.log_softmax(scores)
    np.testing.assert_allclose(
        maven.chooser_loss(policy, scores, z, returns), -(1.0 * log_probs[0, 0] - 1.0 * log_probs[1, 1]) / 2, rtol=1e-6
    )


@pytest.mark.parametrize("chooser", ["bandit", "policy"])
def test_the_chooser_finds_the_better_latent(chooser):
    """A bandit whose arm 1 pays: its probability grows from a third to more than four fifths."""
    import optax

    config = replace(CONFIG, chooser=chooser, chooser_entropy=0.0)
    optimizer = optax.adam(0.05)

    @jax.jit
    def step(key, scores, opt_state):
        logits = jnp.broadcast_to(maven.latent_logits(config, scores), (64, 3))
        z = jax.random.categorical(key, logits)
        loss = lambda scores: maven.chooser_loss(config, jnp.broadcast_to(scores, (64, 3)), z, 1.0 * (z == 1))  # noqa: E731
        return take_step(optimizer, scores, opt_state, jax.grad(loss)(scores))

    scores = jnp.zeros(3)
    opt_state = optimizer.init(scores)
    for key in jax.random.split(KEY, 150):
        scores, opt_state = step(key, scores, opt_state)
    assert jnp.exp(maven.latent_logits(config, scores))[1] > 0.8


def test_the_released_chooser_never_learns_and_sees_nothing():
    algorithm, state = built(chooser="released")
    after, _ = jax.jit(algorithm.update)(KEY, state, played(algorithm, state))
    jax.tree.map(np.testing.assert_array_equal, state.chooser, after.chooser)
    other = state._replace(learned=after.learned)
    for s in (state, other):  # the preference does not depend on what is seen
        latents = {int(algorithm.act(KEY, s, algorithm.memory, ENV.reset(k)[1], False)[1].latent[0]) for k in (KEY,)}
        assert latents == {int(state.chooser(jnp.zeros((2, 9))).argmax()) + 1}
    learning, state = built()
    after, _ = jax.jit(learning.update)(KEY, state, played(learning, state))
    assert jnp.abs(after.chooser.net.layers[-1].bias - state.chooser.net.layers[-1].bias).max() > 0
