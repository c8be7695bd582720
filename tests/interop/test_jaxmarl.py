"""JaxMARL's environments as games of comity. Skipped without jaxmarl; docs/interop.md names the tested versions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

jaxmarl = pytest.importorskip("jaxmarl")

import comity  # noqa: E402
from comity import interop, rollout  # noqa: E402
from comity.environments.particle.cooperative_navigation import CooperativeNavigation, State  # noqa: E402
from comity.spec import Box  # noqa: E402

KINDS = {
    "team": ("MPE_simple_spread_v3", {}),
    "continuous": ("MPE_simple_spread_v3", {"action_type": "Continuous"}),
    "unequal": ("MPE_simple_speaker_listener_v4", {}),
    "masks": ("HeuristicEnemySMAX", {}),
    "legal moves": ("hanabi", {}),
}


@functools.cache
def both(kind: str, length: int = 6):
    """(JaxMARL's environment, the game)."""
    name, options = KINDS[kind]
    return jaxmarl.make(name, **options), interop.from_jaxmarl(name, length, **options)


def drawn(key, game, available):
    """An action of each agent [N], or [N, A], that it may take."""
    if isinstance(game.spec.action, Box):
        return jax.random.uniform(key, available.shape, minval=-1.0, maxval=1.0)
    return jax.random.categorical(key, jnp.where(available, 0.0, -1e9)).astype(jnp.int32)


@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_the_numbers_of_the_environment(kind):
    """The same keys and actions by `step_env`; padding is zero, and no action that a mask forbids is available."""
    env, game = both(kind)
    step, its_step = jax.jit(game.step), jax.jit(env.step_env)
    key = jax.random.key(3)
    state, seen = jax.jit(game.reset)(key)
    views, inner = env.reset(key)
    for t in range(4):
        for k, name in enumerate(env.agents):
            size = game.view_sizes[k]
            np.testing.assert_allclose(seen.view[k, :size], np.ravel(views[name]), rtol=1e-6)
            assert not seen.view[k, size:].any()
            assert not seen.available[k, game.action_sizes[k] :].any()
        if kind in ("masks", "legal moves"):
            masks = env.get_avail_actions(inner) if kind == "masks" else env.get_legal_moves(inner)
            np.testing.assert_array_equal(seen.available, np.stack([masks[name] for name in env.agents]) > 0)
            assert not seen.available.all()
        key_act, key_step = jax.random.split(jax.random.fold_in(key, t))
        action = drawn(key_act, game, seen.available)
        unit = (lambda a: (a + 1) / 2) if isinstance(game.spec.action, Box) else (lambda a: a)
        views, inner, rewards, done, _ = its_step(
            key_step, inner, {n: unit(action[k]) for k, n in enumerate(env.agents)}
        )
        state, timestep = step(key_step, state, action)
        seen = timestep.observation
        np.testing.assert_allclose(timestep.reward, [float(rewards[n]) for n in env.agents], rtol=1e-6)
        assert bool(timestep.terminated) == bool(done["__all__"])
        assert not timestep.truncated


def test_jit_vmap_and_one_game_agree():
    _, game = both("team")
    keys = jax.random.split(jax.random.key(1), 3)
    states, _ = jax.vmap(game.reset)(keys)
    actions = jnp.array([[0, 1, 2], [3, 4, 0], [2, 2, 1]])
    _, many = jax.jit(jax.vmap(game.step))(keys, states, actions)
    for k in range(3):
        state, _ = game.reset(keys[k])
        _, one = game.step(keys[k], state, actions[k])
        np.testing.assert_allclose(many.observation.view[k], one.observation.view, rtol=1e-6)
        np.testing.assert_allclose(many.reward[k], one.reward, rtol=1e-6)


@pytest.mark.parametrize("truncates", [True, False])
def test_the_clock_is_a_cut_or_an_end(truncates):
    """JaxMARL's `max_steps` of 25 ends an episode with its 26th step. Ours may come before it, with it, not after."""
    env, _ = both("team")
    stay = lambda key, memory, seen: (jnp.zeros(seen.available.shape[:-1], jnp.int32), memory, {})  # noqa: E731

    @functools.partial(jax.jit, static_argnums=0)
    def ends(length):
        game = interop.from_jaxmarl(env, length, truncates)
        start = rollout.start(jax.random.key(1), game, (), 1)
        steps = rollout.collect_steps(jax.random.key(0), game, stay, start, (), 60)[1]
        return steps.terminated[:, 0], steps.truncated[:, 0]

    def seen(length):
        terminated, truncated = ends(length)
        return np.flatnonzero(terminated).tolist(), np.flatnonzero(truncated).tolist()

    assert seen(25) == ([], [24, 49])
    assert seen(26) == (([], [25, 51]) if truncates else ([25, 51], []))
    assert seen(40) == ([25, 51], [])


def test_simple_spread_is_cooperative_navigation():
    """Ten steps from the same places: views, rewards of the farama rules."""
    env = jaxmarl.make("MPE_simple_spread_v3")
    ours = CooperativeNavigation(physics="farama", reward="farama", length=26)
    key = jax.random.key(5)
    views, inner = env.reset(key)
    # Near each other, so that discs push.
    inner = inner.replace(p_pos=inner.p_pos * jnp.array([0.2, 0.2, 0.2, 1, 1, 1])[:, None])
    state = State(inner.p_pos[:3], inner.p_vel[:3], inner.p_pos[3:], jnp.int32(0))
    step, its_step = jax.jit(ours.step), jax.jit(env.step_env)
    bumped = 0
    for t in range(10):
        action = jax.random.randint(jax.random.fold_in(key, t), (3,), 0, 5)
        state, timestep = step(key, state, action)
        views, inner, rewards, _, _ = its_step(key, inner, {name: action[k] for k, name in enumerate(env.agents)})
        np.testing.assert_allclose(timestep.observation.view, np.stack([views[n] for n in env.agents]), atol=2e-5)
        np.testing.assert_allclose(timestep.reward, [float(rewards[n]) for n in env.agents], atol=2e-5)
        bumped += int(timestep.info["collisions"])
    assert bumped


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match="coin_game has no max_steps: give length"):
        interop.from_jaxmarl("coin_game")
    with pytest.raises(ValueError, match="options local_ratio are for an environment's name"):
        interop.from_jaxmarl(both("team")[0], local_ratio=0.0)


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("vdn", "team"), ("pg", "unequal"), ("iddpg", "continuous"), ("pg", "masks")]
)
def test_it_is_trained_like_any_game(algorithm, kind, tmp_path):
    _, game = both(kind)
    small = {"vdn": {"hidden": 8, "capacity": 16, "batch": 4, "warmup": 4}, "pg": {"hidden": 8}, "iddpg": {}}[algorithm]
    run = comity.train(
        game, comity.algorithm(algorithm, **small), out=tmp_path, progress=False, seeds=1, envs=2, iterations=3,
        evaluations=1, evaluation_episodes=2, final_episodes=2,
    )  # fmt: skip
    again = comity.load(run.path)  # made anew from what the run's directory says
    assert all(np.isfinite(row["mean"]["return"]) for row in again.play(2))


def test_an_environment_as_an_object(tmp_path):
    game = interop.from_jaxmarl(both("team")[0], 3)
    run = comity.train(
        game, "random", out=tmp_path, progress=False, seeds=1, envs=2, iterations=1, evaluations=0,
        evaluation_episodes=1, final_episodes=1,
    )  # fmt: skip
    assert np.isfinite(run.play(1)[0]["mean"]["return"])
