"""ALITA with memory: episodes flattened into steps, sets D_t among them, memories that matter, influence by hand."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.off_policy import alita, alita_episodes, alita_recurrent, alita_rewards
from comity.algorithms.off_policy.deterministic_nets import values
from comity.learning import replay
from comity.spec import Discrete, Spec, Vector
from comity.types import Experience, Observation, Timestep
from tests.tiny.noise import LENGTH, Noise

KEY, GAMES = jax.random.key(0), 4
TINY: dict[str, Any] = {"hidden": 8, "memory": 6, "capacity": 32, "batch": 4, "warmup": 4, "every": 16,
                        "novelty_hidden": (4, 2, 4), "novelty_batch": 4, "influence_batch": 5, "influence_updates": 3,
                        "searched": 4}  # fmt: skip


@dataclass(frozen=True)
class Recall:
    """Two steps. The first shows each agent a sign, the second nothing: who then does what the sign said earns 1."""

    spec = Spec(2, Vector(2), Discrete(2), 2, state=Vector(2))

    def reset(self, key):
        sign = jax.random.randint(key, (), 0, 2)
        return (sign, jnp.int32(0)), self.seen(sign, True)

    def step(self, key, state, action):
        sign, time = state
        reward = jnp.where((time == 1) & (action == sign), 1.0, 0.0)
        over = time == 1
        return (sign, time + 1), Timestep(self.seen(sign, False), reward, over, ~over & False, {})

    def seen(self, sign, shown):
        view = jnp.broadcast_to(jax.nn.one_hot(sign, 2) * shown, (2, 2))
        return Observation(view, jax.nn.one_hot(sign, 2), jnp.ones((2, 2), bool))


@pytest.fixture(scope="module")
def learned():
    """(config, state, episodes [T, 16 games], key) after four rollouts of noise."""
    config, env = alita_recurrent.Config(**TINY), Noise()
    learner = alita_recurrent.make(config, env)

    @jax.jit
    def run(key):
        carry = learner.init(key), rollout.start(key, env, learner.memory, GAMES)

        def iterate(carry, key):
            play, steps = rollout.collect(key, env, learner, *carry)
            return (learner.update(key, carry[0], steps)[0], play), steps

        return lax.scan(iterate, carry, jax.random.split(key, 4))

    (state, _), steps = run(KEY)
    assert int(state.updates) == 4
    rows = jax.tree.map(lambda x: x[:16], state.replay.rows)
    return config, env, learner, state, replay.episodes_of(env, rows), jax.tree.map(lambda x: x[-1], steps)


def parts_of(config, env):
    nets, team = alita_recurrent.networks(config, env)
    return alita_rewards.parts_of(config, env, nets), team


def test_what_was_played_is_what_is_learned_from(learned):
    """Unrolled over an episode, actors say what they said step by step, padding aside."""
    config, env, _, state, episodes, _ = learned
    _, team = parts_of(config, env)
    outputs = alita_recurrent.outputs_of(team, state.actors, episodes)
    memory = team.begin(16)
    for t in range(LENGTH):
        seen = jax.tree.map(lambda x, t=t: x[t], episodes.observation)
        said, memory = team.step(state.actors, seen.view, memory)
        memory = team.acted(memory, episodes.action[t])
        np.testing.assert_allclose(outputs[t], said, rtol=1e-4, atol=1e-5)


def test_steps_hold_state_next_step_rewards_and_bonuses(learned):
    config, env, _, state, episodes, _ = learned
    parts, team = parts_of(config, env)
    flat = alita_recurrent.current_steps(parts, team, KEY, state, episodes, None)
    lead = (LENGTH, 16)
    wide = lambda x: x.reshape(*lead, *x.shape[1:])  # noqa: E731
    np.testing.assert_array_equal(wide(flat.now.view)[..., 1, :], episodes.observation.state[:-1])
    np.testing.assert_array_equal(wide(flat.after.view)[..., 0, :], episodes.observation.state[1:])
    np.testing.assert_array_equal(wide(flat.counts), episodes.valid)
    np.testing.assert_array_equal(wide(flat.terminated), episodes.terminated)
    assert 0 < float(flat.counts.mean()) < 1
    before = jax.tree.map(lambda x: x[:-1], episodes.observation)
    outputs = alita_recurrent.outputs_of(team, state.actors, episodes)[:-1]
    meant = parts.nets.acts(outputs, before.available).probabilities
    assert parts.bonus is not None
    psi = parts.bonus.reward(state.added.novelty, alita_experience(episodes))
    away = jnp.square(meant - jax.nn.one_hot(episodes.action, 3)).sum(-1)
    of_team = jnp.broadcast_to(episodes.reward.mean(-1, keepdims=True), episodes.reward.shape)
    expected = of_team.at[..., 0].add(0.1 * psi[..., 0])
    expected = expected.at[..., 1].add(-0.1 * jnp.exp(-0.1 * psi[..., 0]) * away[..., 1])
    assert float(jnp.abs(expected[..., 0] - expected[..., 1]).max()) > 1e-3  # ALITA's own rewards are not shared
    np.testing.assert_allclose(wide(flat.reward), expected, rtol=1e-4, atol=1e-5)


def alita_experience(episodes):
    cut = lambda part: jax.tree.map(lambda x: x[part], episodes.observation)  # noqa: E731
    judged = cut(slice(-1)), episodes.action, cut(slice(1, None)), episodes.valid, episodes.reward, episodes.terminated
    return Experience(*judged, {})


@pytest.mark.parametrize("sharing", ["separate", "shared"])
def test_separate_critics_know_which_agent_acted(sharing):
    """Critic 0's value if only agent 0 acts is not critic 1's value if only agent 1 does; for a shared critic it is."""
    parts, _ = parts_of(alita_recurrent.Config(**TINY, critics=sharing), Noise())
    idle, acts = jnp.eye(3)[jnp.array([0, 1])]
    joint = jnp.stack([jnp.stack([acts, idle]), jnp.stack([idle, acts])])  # [who acts, N, A]
    view = jnp.ones((2, 2, *alita_episodes.read_by(Noise()).view.shape))
    q = values(parts.nets, KEY, parts.nets.critics.init(KEY), view, joint, joint)
    assert (abs(float(q[0, 0] - q[1, 1])) < 1e-6) == (sharing == "shared")


def test_sets_of_steps_alike_never_hold_padding():
    config = alita_recurrent.Config(**{**TINY, "influence_updates": 200})
    known = jnp.array([[0.0, 1.0], [0.0, 1.0], [5.0, 1.0], [0.0, 1.0], [5.0, 0.0], [0.0, 1.0], [9.0, 9.0]])
    counts = jnp.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    rows, weights = alita_episodes.alike_steps(config, True, KEY, known, counts)
    assert rows.shape == weights.shape == (200, 5)
    assert not set(np.unique(rows[:, 0])) & {3, 6}  # of which the set is asked for
    for found, weight in zip(np.asarray(rows), np.asarray(weights), strict=True):
        same = {i for i in range(7) if (known[i] == known[found[0]]).all() and counts[i] > 0}
        assert set(found[weight > 0]) == same
    nearest = alita_episodes.alike_steps(config, False, KEY, known, counts)
    assert float(nearest[1].min()) == 1.0  # five steps count, and five are wanted
    assert not set(np.unique(nearest[0])) & {3, 6}


def test_the_gradient_of_the_influence_goes_back_through_the_influencers_memory(learned):
    """Of F alone, by critics without a slope of their own: agent 0's parameters move, agent 1's do not."""
    _, env, _, _, episodes, _ = learned
    alone = alita_recurrent.Config(**{**TINY, "agents": "separate", "agent_id": False, "influence_batch": 40})
    parts, team = parts_of(alone, env)
    fresh = alita_recurrent.make(alone, env).init(KEY)
    flat = alita_recurrent.current_steps(parts, team, KEY, fresh, episodes, None)

    def term(net):
        outputs = alita_recurrent.outputs_of(team, net, episodes)[:-1].reshape(-1, 2, 3)
        mine = parts.nets.acts(outputs, flat.now.available).relaxed(KEY, "softmax")
        few = lambda x: x[16:]  # noqa: E731  # not the first steps of episodes
        now, after, taken, own = jax.tree.map(few, (flat.now, flat.after, flat.taken, mine))
        return alita.influence(parts, KEY, fresh, now, after, taken, own)[0].sum()

    cell = jax.jit(jax.grad(term))(fresh.actors).cell
    for leaf in jax.tree.leaves(cell):
        assert float(jnp.abs(leaf[1]).max()) == 0
    assert max(float(jnp.abs(leaf[0]).max()) for leaf in jax.tree.leaves(cell)) > 0


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="leave influence_of at all"):
        alita_recurrent.make(alita_recurrent.Config(alike="substitute"), Noise())


@pytest.mark.parametrize("core", ["gru", pytest.param("none", marks=pytest.mark.slow)])
@pytest.mark.learn
def test_who_remembers_earns_what_was_shown(core):
    """With a memory both agents do; without one nobody can earn more than half."""
    env = Recall()
    settings: dict[str, Any] = {**TINY, "hidden": 32, "memory": 16, "batch": 32, "capacity": 500, "core": core}
    settings |= {"last_action": False, "learning_rate": 1e-3, "critic_learning_rate": 6e-3, "novelty_by": "none"}
    settings |= {"influence_updates": 1, "every": 32, "tau": 0.05, "credit": "own"}
    learner = alita_recurrent.make(alita_recurrent.Config(**settings), env)

    @jax.jit
    def run(key):
        carry = learner.init(key), rollout.start(key, env, learner.memory, 16)

        def iterate(carry, key):
            play, steps = rollout.collect(key, env, learner, *carry)
            return (learner.update(key, carry[0], steps)[0], play), steps.reward.sum(0).mean()

        return lax.scan(iterate, carry, jax.random.split(key, 400))[1]

    late = float(run(KEY)[-50:].mean())
    assert late > 0.85 if core == "gru" else 0.4 < late < 0.6
