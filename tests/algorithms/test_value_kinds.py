"""Value decomposition on every kind of view and memory: images, last actions, agent ids, and refusals."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.values import dqn, iql, maven, qmix, qtran, vdn
from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_networks as networks
from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.learning import replay
from comity.networks import LatentNet
from tests.tiny.noise import Noise
from tests.tiny.pictures import STATE, VIEW, Pictures
from tests.tiny.updates import kinds_of, once

KEY, GAMES = jax.random.key(1), 4
PICTURES, EMPTY, NOISE = Pictures(), Pictures(state="empty"), Noise()
MODULES: dict[str, Any] = {"dqn": dqn, "iql": iql, "vdn": vdn, "qmix": qmix, "qtran": qtran, "maven": maven}
SIZES = {
    **dict.fromkeys(("hidden", "encoder_width", "mixer_width", "mixer_hidden", "bias_hidden", "joint_hidden"), 6),
    **dict.fromkeys(("chooser_hidden", "discriminator_hidden"), 5),
    **{"latents": 3, "capacity": 8, "batch": 4, "warmup": 4, "updates": 1},
}
MORE = {"last_action": True, "agent_id": True}
VIEWS = {"mixer_reads": "views"}
ROWS = [  # (algorithm, settings, game)
    ("dqn", {}, PICTURES),
    ("dqn", {**MORE, "agents": "shared", "core": "gru"}, PICTURES),
    ("iql", {**MORE, "agents": "separate"}, PICTURES),
    ("vdn", {"core": "none", "convolutions": "dilemma"}, EMPTY),
    ("qmix", {"core": "lstm"}, PICTURES),
    ("qmix", {**VIEWS, "last_action": True, "agents": "separate"}, EMPTY),
    ("qtran", {"core": "lstm", "variant": "alt", "agent_id": True}, PICTURES),
    ("qtran", {**VIEWS, **MORE, "core": "none"}, NOISE),
    ("maven", MORE, PICTURES),
    ("maven", {**VIEWS, "core": "lstm", "agents": "separate"}, EMPTY),
    ("maven", {"core": "none", "last_action": True}, NOISE),
    ("vdn", {"core": "lstm", "last_action": True, "explore_together": True, "views_mixed": True}, PICTURES),
]


def config_of(name: str, **settings) -> Any:
    known = MODULES[name].Config.__dataclass_fields__
    return MODULES[name].Config(**{k: v for k, v in SIZES.items() if k in known}, **settings)


@pytest.mark.parametrize(("name", "settings", "env"), ROWS, ids=str)
def test_what_it_plays_it_learns_from(name, settings, env):
    """Traced: states keep shapes and dtypes, pictures are kept in bytes."""
    algorithm = MODULES[name].make(config_of(name, **settings), env)
    before, steps, after, metrics = jax.eval_shape(partial(once, algorithm, env, games=GAMES), KEY)
    assert kinds_of(before) == kinds_of(after)
    assert all(x.shape == () for x in metrics.values())
    kept = (before.learned if name == "maven" else before).replay.rows.observation
    assert kept.view.dtype == steps.observation.view.dtype
    if env is not NOISE:
        assert kept.view.dtype == jnp.uint8


def test_every_convolution_learns():
    """Agents', those before mixer and discriminator, the chooser's."""
    algorithm = maven.make(config_of("maven", **MORE), PICTURES)
    before, _, after, metrics = jax.jit(partial(once, algorithm, PICTURES, games=GAMES))(KEY)

    def eyes(state):
        params = state.learned.params
        return params.agents.eyes, params.reader.eyes[0], state.chooser.eyes[0]

    channels = VIEW.channels, STATE.channels, VIEW.channels
    for old, new, count in zip(eyes(before), eyes(after), channels, strict=True):
        assert old.layers[0].weight.shape[2] == count
        assert (old.layers[0].weight != new.layers[0].weight).any()
    assert all(np.isfinite(x) for x in metrics.values())


def seen_again(config, env, team, params, steps, q_of=networks.as_given):
    """`StepValues` of a rollout that was kept and drawn."""
    episodes = replay.episodes_of(env, replay.stored(env, steps))
    return networks.episode_values(config, env, team, params, episodes, 1, q_of)


def check(steps, seen, end):
    """Values in learning are those of play; end: what would have been played behind the last step."""
    valid = np.asarray(steps.valid)
    assert valid[-1].any()
    assert not valid.all()
    np.testing.assert_allclose(seen.before.q[valid], steps.notes["values"][valid], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(seen.after.q[-1][valid[-1]], end[valid[-1]], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "env"),
    [({**MORE, "core": "lstm"}, PICTURES), ({"last_action": True, "agents": "separate"}, NOISE)],
    ids=["pictures", "vectors"],
)
def test_a_replay_says_what_was_seen_in_play(settings, env):
    """Last actions in learning are those of the episode."""
    config = config_of("vdn", **settings)
    algorithm = vdn.make(config, env)
    team = networks.team_of(config, env, "vdn", partial(family.new_agent, config, env.spec.action.n))

    @jax.jit
    def both(key):
        state, steps, _, _ = once(algorithm, env, key, GAMES)
        view, memory = jax.tree.map(lambda x: x[-1], (steps.next_observation.view, steps.next_memory))
        seen = seen_again(config, env, team, state.params, steps)
        return steps, seen, team.step(state.params.agents, view, memory)[0]

    check(*both(KEY))


def test_a_replay_says_what_was_seen_with_a_latent():
    """The same of MAVEN, where the z of the episode picks."""
    config = config_of("maven", **MORE)
    algorithm = maven.make(config, NOISE)
    new = partial(LatentNet, hidden=config.hidden, latents=config.latents, actions=3, names=2)
    team = networks.team_of(config, NOISE, "maven", new)

    @jax.jit
    def both(key):
        state, steps, _, _ = once(algorithm, NOISE, key, GAMES)
        params, z = state.learned.params, jax.nn.one_hot(maven.latent_of(steps), config.latents)
        pick = partial(maven.of_latent, z=z[:, None])
        view, memory = jax.tree.map(lambda x: x[-1], (steps.next_observation.view, steps.next_memory))
        end = pick(team.step(params.agents, view, memory.hidden)[0])
        return steps, seen_again(config, NOISE, team, params, steps, pick), end

    check(*both(KEY))


def test_who_explores_together_still_remembers_what_was_done():
    """A random step leaves the network's memory as it is, but not what was done last."""
    config = config_of("vdn", last_action=True, explore_together=True, explore_start=1.0, explore_end=1.0)
    algorithm = vdn.make(config, NOISE)
    _, steps, _, _ = jax.jit(partial(once, algorithm, NOISE, games=GAMES))(KEY)
    valid = np.asarray(steps.valid)
    assert (steps.next_memory.core == 0).all()
    done = jax.nn.one_hot(steps.action, 3)
    np.testing.assert_array_equal(steps.next_memory.last[:-1][valid[:-1]], done[:-1][valid[:-1]])


BUDDY, NAVIGATION = PrisonersBuddy(agents=3), CooperativeNavigation(agents=2, actions="continuous", length=5)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(
    ("env", "line"),
    [
        (NAVIGATION, "NAME chooses among discrete actions, CooperativeNavigation has continuous ones: take another"),
        (BUDDY, "NAME has one head, PrisonersBuddy asks for 2: start from --profile one-head, or take another"),
        (EMPTY, "NAME's mixer reads the state, Pictures's is empty: set mixer_reads to 'views', or take vdn"),
    ],
    ids=["continuous", "heads", "state"],
)
def test_what_is_refused(name, env, line):
    if env is EMPTY and name in ("dqn", "iql", "vdn"):
        MODULES[name].make(config_of(name), env)
        return
    with pytest.raises(ValueError, match=re.escape(line.replace("NAME", name))) as error:
        MODULES[name].make(config_of(name), env)
    assert "\n" not in str(error.value)
