"""Learners with central critics, and A2C, on every kind of view and action that they play: traced row by row, updated,
and what they refuse in one line."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.off_policy import ddpg, deterministic, deterministic_nets, maddpg, sqddpg
from comity.recipes import find_algorithm
from tests.tiny.kinds import KINDS

KEY, GAMES = jax.random.key(0), 3
STEPWISE = {"hidden": 6, "steps": 4, "every": 6, "capacity": 24, "batch": 8, "warmup": 12, "learning_rate": 0.01}
CENTRAL = {"hidden": 6, "critic_hidden": 5}
ALL: dict[str, dict[str, Any]] = {  # small settings of those that play all of KINDS
    "a2c": {"width": 6},
    **dict.fromkeys(("maddpg", "ddpg", "iddpg", "sqddpg", "td3", "sac", "tac"), STEPWISE),
}
CHOOSERS: dict[str, dict[str, Any]] = {  # of those that choose one action
    "coma": {**CENTRAL, "capacity": 6, "batch": 3},
    "lica": {"hidden": 6, "critic_width": 4},
    "liir": CENTRAL,
}
BOTH = ("image-heads", "numbers")  # a view and an action of each sort: families play all, their members these
EVERYTHING = {"last_action": True, "agent_id": True, "actors": "shared"}
ROWS: list[tuple[str, str, dict[str, Any]]] = [  # (learner, kind, settings): each setting once in a family
    *((name, kind, {}) for name in ("a2c", "maddpg") for kind in KINDS),
    *((name, kind, {}) for name in ALL if name not in ("a2c", "maddpg") for kind in BOTH),
    *((name, kind, {}) for name in CHOOSERS for kind in ("vector", "image", "image-state", "unequal")),
    ("a2c", "image-heads", {**EVERYTHING, "core": "lstm"}),
    ("a2c", "image-numbers", {"core": "hawk", "numbers": "tanh-normal"}),
    ("a2c", "numbers", {"core": "none", "numbers": "normal-by-view", "last_action": True}),
    ("a2c", "vector", {"core": "table"}),
    ("maddpg", "image-heads", {"agents": "shared", "agent_id": True, "relaxed": "softmax"}),
    ("maddpg", "image", {"convolutions": "dilemma", "relaxed": "gumbel"}),
    ("sqddpg", "image", {"agents": "shared", "orders": 0}),
    ("td3", "image-numbers", {"agents": "shared", "agent_id": True, "critics": 1}),
    ("sac", "image-heads", {"agents": "shared", "values": "network", "alpha_moves": False}),
    ("sqddpg", "numbers", {"normalise_views": True}),
    ("tac", "numbers", {"values": "network", "gradient": "likelihood"}),
    ("sac", "numbers", {"normalise_views": True, "layer_norm": True}),
    ("coma", "image-state", {**EVERYTHING, "core": "lstm", "learns_from": "replay", "last_value": "marked"}),
    ("coma", "image", {"critic_reads": "present", "core": "none", "exploration": "floor"}),
    ("lica", "image", {**EVERYTHING, "core": "lstm", "critic_reads": "views"}),
    ("lica", "image-state", {"core": "none", "last_action": True, "critic": "mlp-matched"}),
    ("liir", "image-state", {**EVERYTHING, "core": "lstm"}),
    ("liir", "image", {"actors": "separate", "core": "none", "last_action": True}),
]
UPDATED: list[tuple[str, str, dict[str, Any]]] = [
    ("a2c", "image-numbers", {**EVERYTHING, "core": "lstm"}),
    ("maddpg", "image-heads", {}),
    ("sqddpg", "image-numbers", {"orders": 2}),
    ("ddpg", "image", {"agent_id": True}),
    ("coma", "image-state", {**EVERYTHING, "core": "lstm"}),
    ("lica", "image", {"critic_reads": "views", "last_action": True}),
    ("liir", "image-state", {**EVERYTHING, "critic_learning_rate": 0.01}),
]
CHOICES = "chooses among discrete actions, Named has continuous ones: take another"
HEADS = "has one head, Named asks for 2: take another"
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    *((name, "numbers", {}, f"{name} {CHOICES}") for name in CHOOSERS),
    *((name, "heads", {}, f"{name} {HEADS}") for name in CHOOSERS),
    ("a2c", "image", {"core": "table"}, "a2c's core 'table' reads vectors, Named shows images (3, 4, 2)"),
]


def made(name: str, kind: str, settings: dict[str, Any]):
    thing = find_algorithm(name).thing
    return thing.make(thing.Config(**{**(ALL | CHOOSERS)[name], **settings}), KINDS[kind])


def once(algorithm, env, key):
    """(state at the start, a rollout, state and metrics after an update)."""
    key_init, key_start, key_play, key_learn = jax.random.split(key, 4)
    state = algorithm.init(key_init)
    play = rollout.start(key_start, env, algorithm.memory, GAMES)
    steps = rollout.collect(key_play, env, algorithm, state, play)[1]
    return state, steps, *algorithm.update(key_learn, state, steps)


def kinds_of(tree) -> Any:
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


def parametrized(rows: list) -> Any:
    names = ["-".join([n, k, *map(str, s.values())]) for n, k, s, *_ in rows]
    return pytest.mark.parametrize(("name", "kind", "settings", "line")[: len(rows[0])], rows, ids=names)


@parametrized(ROWS)
def test_it_acts_and_learns(name, kind, settings):
    """Traced: an update keeps structure, shapes and dtypes; so does a memory; kept pictures stay bytes."""
    env, algorithm = KINDS[kind], made(name, kind, settings)
    before, steps, after, metrics = jax.eval_shape(partial(once, algorithm, env), KEY)
    assert kinds_of(before) == kinds_of(after)
    assert kinds_of(steps.memory) == kinds_of(steps.next_memory)
    assert all(x.shape == () for x in metrics.values())
    if env.view == "image" and jax.tree.leaves(getattr(before, "replay", ())):
        rows = before.replay.rows
        assert rows.observation.view.dtype == jnp.uint8
        if env.action != "numbers":
            assert all(x.dtype == jnp.int8 for x in jax.tree.leaves(rows.action))


@parametrized(UPDATED)
def test_an_update_moves_every_network(name, kind, settings):
    """And games side by side are games apart: what is done in [T, B] of them is what each does alone."""
    env, algorithm = KINDS[kind], made(name, kind, settings)

    @jax.jit
    def run(key):
        state, steps, after, metrics = once(algorithm, env, key)
        act = lambda o, m: algorithm.act(key, state, m, o, explore=False)[:2]  # noqa: E731
        alone = partial(jax.lax.map, lambda xs: act(*xs))
        seen = steps.observation, steps.memory
        return act(*seen), jax.lax.map(alone, seen), state, after, metrics

    together, apart, state, after, metrics = run(KEY)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), together, apart)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((after, metrics)))
    names = [n for n in ("actor", "actors", "net", "critic", "critics") if hasattr(state, n)]
    for n in names:
        for (path, x), y in zip(
            jax.tree.leaves_with_path(getattr(after, n)), jax.tree.leaves(getattr(state, n)), strict=True
        ):
            assert (x != y).any(), (n, jax.tree_util.keystr(path))


@pytest.mark.parametrize("sharing", ["separate", "shared"])
def test_a_critic_of_everyone_reads_all_pictures(sharing):
    """MADDPG's value of agent 0 changes with agent 1's picture, SQDDPG's too; DDPG's does not."""
    spec = KINDS["image"].spec
    view = jax.random.randint(KEY, (GAMES, spec.agents, *spec.view.shape), 0, 256).astype(jnp.uint8)
    other = view.at[:, 1].set(255 - view[:, 1])
    actions = jnp.ones((GAMES, spec.agents, spec.action.n)) / spec.action.n
    coalition = partial(sqddpg.coalition_actions, orders=2)
    for member, sees in (
        (deterministic.Member(maddpg.joint_actions), True),
        (deterministic.Member(coalition, adds_up=True), True),
        (deterministic.Member(ddpg.own_action, everyone=False), False),
    ):
        nets = deterministic.nets_of(deterministic.Config(hidden=16, agents=sharing), spec, member)
        critics = nets.critics.init(KEY)
        before, after = (deterministic_nets.values(nets, KEY, critics, x, actions, actions) for x in (view, other))
        assert before.shape == (GAMES, spec.agents)
        assert bool((before[:, 0] != after[:, 0]).all()) == sees
        assert (before[:, 1] != after[:, 1]).all()


@parametrized(REFUSED)
def test_what_is_refused_gives_one_line(name, kind, settings, line):
    with pytest.raises(ValueError, match=re.escape(line)) as error:
        jax.eval_shape(made(name, kind, settings).init, KEY)
    assert "\n" not in str(error.value)
