"""The particle tasks equal mpe2 1.1.1 step by step, and a change of any one rule is noticed.

110 recorded episodes of 25 steps, tests/golden/mpe2.npz: in float64 with the state set to the recorded one at every
step, in float32 running freely from the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.particle import (
    cooperative_communication,
    cooperative_navigation,
    physical_deception,
    predator_prey,
    world,
)

FILE = Path(__file__).parents[2] / "golden" / "mpe2.npz"
KINDS = ("discrete", "continuous")
FARAMA: dict[str, Any] = {"physics": "farama", "reward": "farama", "length": 25}
GAMES: dict[str, tuple[Any, Any, dict[str, Any]]] = {  # name in the file: (module, game, settings)
    "navigation": (cooperative_navigation, cooperative_navigation.CooperativeNavigation, FARAMA),
    "navigation5": (cooperative_navigation, cooperative_navigation.CooperativeNavigation, FARAMA | {"agents": 5}),
    "communication": (cooperative_communication, cooperative_communication.CooperativeCommunication, FARAMA),
    "deception": (physical_deception, physical_deception.PhysicalDeception, FARAMA),
    "tag": (predator_prey, predator_prey.PredatorPrey, predator_prey.PROFILES["farama"]),
}
EPISODES = {"navigation": 14, "navigation5": 3, "communication": 12, "deception": 12, "tag": 14}  # of each kind
ALL = [(task, kind) for task in GAMES for kind in KINDS]
KEY = jax.random.key(0)


@cache
def recorded(task: str, kind: str) -> dict[str, np.ndarray]:
    """Fields [E, T + 1, ...] or [E, T, ...]; actions as comity takes them."""
    with np.load(FILE) as file:
        assert str(file["version"]) == "1.1.1"
        start = f"{task}_{kind}_"
        found = {name.removeprefix(start): file[name] for name in file.files if name.startswith(start)}
    if kind == "continuous":
        found["action"] = 2 * (found["action"] / 1024) - 1  # [0, 1] -> [-1, 1]
    return found


def states(task: str, records: dict[str, np.ndarray], steps: slice) -> Any:
    """States [E, T, ...] of these steps, in the present precision."""
    module, shape = GAMES[task][0], records["position"][:, steps].shape[:2]
    still = lambda x: np.broadcast_to(x[:, None], (*shape, *x.shape[1:]))  # noqa: E731
    number = jnp.result_type(float)
    parts = {
        "position": records["position"][:, steps].astype(number),
        "velocity": records["velocity"][:, steps].astype(number),
        "message": records["message"][:, steps].astype(number),
        "landmarks": still(records["landmarks"]).astype(number),
        "goal": still(records["goal"]).astype(np.int32),
        "time": np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape),
    }
    return jax.tree.map(jnp.asarray, module.State(**{name: parts[name] for name in module.State._fields}))


def differences(state: Any, timestep: Any, records: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest ones over all episodes and steps, [E, T]."""
    theirs = {name: x[:, 1:] for name, x in records.items() if name in ("position", "velocity", "view", "message")}
    view = np.pad(theirs["view"], [(0, 0)] * 3 + [(0, timestep.observation.view.shape[-1] - theirs["view"].shape[-1])])
    pairs = {
        "position": (state.position, theirs["position"]),
        "velocity": (state.velocity, theirs["velocity"]),
        "view": (timestep.observation.view, view),
        "reward": (timestep.reward, records["reward"]),
    }
    if hasattr(state, "message"):
        pairs["message"] = (state.message, theirs["message"])
    return {name: float(np.abs(np.asarray(ours, float) - them).max()) for name, (ours, them) in pairs.items()}


def set_at_each_step(task: str, kind: str, few: int | None = None) -> dict[str, float]:
    """Differences in float64 of single steps from the recorded states."""
    records = {name: x[:few] for name, x in recorded(task, kind).items()}
    game = GAMES[task][1](actions=kind, **GAMES[task][2])
    with jax.enable_x64(True):
        before, action = states(task, records, slice(None, -1)), jnp.asarray(records["action"])
        step = jax.vmap(jax.vmap(partial(game.step, KEY)))
        after, timestep = jax.jit(step)(before, action)
        assert timestep.reward.dtype == after.position.dtype == timestep.observation.view.dtype == jnp.float64
        return differences(after, timestep, records)


def running_freely(task: str, kind: str) -> dict[str, float]:
    """Differences in float32 of whole episodes from the recorded first state."""
    records = recorded(task, kind)
    game = GAMES[task][1](actions=kind, **GAMES[task][2])
    start = jax.tree.map(lambda x: x[:, 0], states(task, records, slice(0, 1)))
    action = jnp.asarray(np.moveaxis(records["action"], 1, 0), jnp.float32 if kind == "continuous" else jnp.int32)

    def step(state, action):
        state, timestep = jax.vmap(partial(game.step, KEY))(state, action)
        return state, (state, timestep)

    _, found = jax.jit(partial(jax.lax.scan, step))(start, action)
    after, timestep = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), found)
    assert timestep.reward.dtype == after.position.dtype == jnp.float32
    assert not timestep.terminated.any()
    assert (timestep.truncated == (jnp.arange(1, 26) == 25)).all()
    return differences(after, timestep, records)


@pytest.mark.parametrize(("task", "kind"), ALL)
def test_every_step_is_equal_in_float64(task, kind):
    found = set_at_each_step(task, kind)
    assert max(found.values()) < 1e-6, found
    # Views were recorded in float32, all else in float64.
    assert max(found[name] for name in ("position", "velocity", "reward")) < 1e-12, found


@pytest.mark.parametrize(("task", "kind"), ALL)
def test_whole_episodes_are_equal_in_float32(task, kind):
    found = running_freely(task, kind)
    assert max(found.values()) < 1e-4, found


def test_first_views_are_equal():
    games = {pair: GAMES[pair[0]][1](actions=pair[1], **GAMES[pair[0]][2]) for pair in ALL}
    starts = {pair: jax.tree.map(lambda x: x[:, 0], states(pair[0], recorded(*pair), slice(0, 1))) for pair in ALL}
    look = lambda: {pair: jax.vmap(games[pair].observation)(starts[pair]).view for pair in ALL}  # noqa: E731
    for pair, found in jax.jit(look)().items():
        view = recorded(*pair)["view"][:, 0]
        np.testing.assert_allclose(found[..., : view.shape[-1]], view, atol=1e-6)
        assert not found[..., view.shape[-1] :].any()


def test_the_records_have_what_matters():
    """Contacts of all kinds, speeds at their limit, goals and words of all kinds."""
    count = 0
    for task, kind in ALL:
        records = recorded(task, kind)
        assert len(records["reward"]) == EPISODES[task]
        count += len(records["reward"])
        position, landmarks = records["position"][:, :-1], records["landmarks"]
        apart = np.linalg.norm(position[:, :, :, None] - position[:, :, None], axis=-1)
        pairs = ~np.eye(position.shape[2], dtype=bool)
        if task.startswith("navigation"):
            assert (apart < 0.3)[..., pairs].any((-1, -2)).mean() > 0.3  # episodes
        if task in ("communication", "deception"):
            assert set(records["goal"].tolist()) == set(range(landmarks.shape[1]))
        if task == "communication":
            assert len(np.unique(records["message"], axis=None)) >= (2 if kind == "discrete" else 100)
        if task == "tag":
            walls = np.linalg.norm(position[:, :, :, None] - landmarks[:, None, None], axis=-1)
            speed = np.linalg.norm(records["velocity"], axis=-1)
            assert (apart[:, :, :3, 3] < 0.125).any((1, 2)).mean() > 0.2
            assert (walls < 0.25).any((1, 2, 3)).mean() > 0.3
            assert (np.abs(speed[..., :3] - 1.0) < 1e-9).any()
            assert (np.abs(speed[..., 3] - 1.3) < 1e-9).any()
            assert (records["reward"][..., 3] < 0).any()
    assert count == 110


# Other rules ----------------------------------------------------------------------------------------------------------

Rule = Callable[..., Any]


def new_velocity_moves(moved: Rule) -> Rule:
    return lambda position, velocity, force, physics, *rest: moved(position, velocity, force, "classic", *rest)


def no_speed_limit(moved: Rule) -> Rule:
    return lambda position, velocity, force, physics, *_: moved(position, velocity, force, physics)


def nothing_collides(contact_forces: Rule) -> Rule:
    return lambda position, *_: jnp.zeros_like(position)


def obstacles_let_through(contact_forces: Rule) -> Rule:
    return lambda position, size, *_: contact_forces(position, size)


def contacts_are_hard(contact_forces: Rule) -> Rule:
    """The penetration without its soft edge."""

    def mutant(position, size, *rest):
        away = position[:, None] - position[None]
        distance = jnp.sqrt(jnp.square(away).sum(-1) + jnp.eye(len(position)))
        depth = jnp.maximum(size[:, None] + size[None] - distance, 0)
        return (world.STIFFNESS * (depth / distance)[..., None] * away).sum(1)

    return mutant


def signs_of_classic(pushes: Rule) -> Rule:
    return lambda action, physics, actions: pushes(action, "classic", actions)


def axes_exchanged(pushes: Rule) -> Rule:
    return lambda *arguments: pushes(*arguments)[:, ::-1]


def others_backwards(without_self: Rule) -> Rule:
    return lambda pairs: without_self(pairs)[:, ::-1]


def seen_from_the_middle(relative: Rule) -> Rule:
    return lambda places, position: relative(places, jnp.zeros_like(position))


def free_to_leave(leaving: Rule) -> Rule:
    return lambda place: jnp.zeros_like(place)


def bumps_into_itself(overlaps: Rule) -> Rule:
    return lambda position: overlaps(position) | jnp.eye(len(position), dtype=bool)


MUTANTS: list[tuple[Any, str, Rule, str, str, str]] = [  # where, rule, its mutant, task, actions, field that notices
    (world, "moved", new_velocity_moves, "navigation", "discrete", "position"),
    (world, "moved", no_speed_limit, "tag", "discrete", "velocity"),
    (world, "contact_forces", nothing_collides, "navigation", "discrete", "velocity"),
    (world, "contact_forces", contacts_are_hard, "navigation", "discrete", "velocity"),
    (world, "contact_forces", obstacles_let_through, "tag", "discrete", "velocity"),
    (world, "pushes", signs_of_classic, "communication", "continuous", "velocity"),
    (world, "pushes", axes_exchanged, "deception", "discrete", "velocity"),
    (world, "without_self", others_backwards, "navigation", "discrete", "view"),
    (world, "relative", seen_from_the_middle, "deception", "discrete", "view"),
    (predator_prey, "leaving", free_to_leave, "tag", "discrete", "reward"),
    (cooperative_navigation, "overlaps", bumps_into_itself, "navigation", "discrete", "reward"),
]


@pytest.mark.parametrize(
    ("where", "rule", "mutant", "task", "kind", "field"), MUTANTS, ids=[m[2].__name__ for m in MUTANTS]
)
def test_another_rule_is_noticed(monkeypatch, where, rule, mutant, task, kind, field):
    monkeypatch.setattr(where, rule, mutant(getattr(where, rule)))
    found = set_at_each_step(task, kind)
    assert found[field] > 1e-4, found


# mpe2 itself ----------------------------------------------------------------------------------------------------------


def test_against_mpe2_itself():
    """The same without records, where mpe2 is installed: one episode of navigation in float32."""
    spread = pytest.importorskip("mpe2.simple_spread_v3")
    theirs = spread.parallel_env(max_cycles=25)
    view, _ = theirs.reset(seed=3)
    game = cooperative_navigation.CooperativeNavigation(**FARAMA)
    position, velocity = (np.stack([x[at : at + 2] for x in view.values()]) for at in (2, 0))
    landmarks = view["agent_0"][4:10].reshape(3, 2) + position[0]
    start = jax.tree.map(jnp.asarray, (position, velocity, landmarks, np.int32(0)))
    state = cooperative_navigation.State(*start)
    step, rng = jax.jit(game.step), np.random.default_rng(0)
    while theirs.agents:
        action = rng.integers(5, size=3)
        view, reward, _, truncated, _ = theirs.step(dict(zip(theirs.agents, action.tolist(), strict=True)))
        state, timestep = step(KEY, state, jnp.asarray(action))
        np.testing.assert_allclose(timestep.observation.view, np.stack(list(view.values())), atol=1e-4)
        np.testing.assert_allclose(timestep.reward, list(reward.values()), atol=1e-4)
        assert bool(timestep.truncated) == all(truncated.values())
