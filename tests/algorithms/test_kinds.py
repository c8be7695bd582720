"""Every policy learner on every kind of view and action that it plays, traced row by row, and what it refuses.

A new learner adds its line to `LEARNERS`, rows for its other settings, and lines to `REFUSED`. test_learns_kinds.py
tests that kinds are also learned; test_value_kinds.py tests value learners.
"""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.off_policy import ddpg, deterministic, deterministic_nets, maddpg, sqddpg
from comity.recipes import find_algorithm
from tests.tiny.kinds import KINDS, LENGTH, A, N
from tests.tiny.updates import kinds_of, once

KEY, GAMES = jax.random.key(0), 3
PPO = {"hidden": 6, "encoder": (5,), "epochs": 2, "minibatches": 1, "chunk": 2, "steps": 4}
STEPWISE = {"hidden": 6, "steps": 4, "every": 6, "capacity": 24, "batch": 8, "warmup": 12, "learning_rate": 0.01}
CENTRAL = {"hidden": 6, "critic_hidden": 5}
ACKTR = {"hidden": 6, "steps": 4, "critic_steps": 2}
LEARNERS: dict[str, dict[str, Any]] = {  # small settings of those that play all of KINDS
    "pg": {"hidden": 6},
    "ippo": PPO,
    "mappo": PPO,
    "trpo": {"hidden": 6, "steps": 4, "value_minibatches": 2},
    "reinforce": {"hidden": 6},
    "actor-critic": {"hidden": 6, "steps": 4},
    "a2c": {"width": 6},
    **dict.fromkeys(("maddpg", "ddpg", "iddpg", "sqddpg", "td3", "sac", "tac"), STEPWISE),
}
CHOOSERS: dict[str, dict[str, Any]] = {  # of those that choose one action
    "coma": {**CENTRAL, "capacity": 6, "batch": 3},
    "lica": {"hidden": 6, "critic_width": 4},
    "liir": CENTRAL,
}
WHOLE = ("pg", "mappo", "a2c", "maddpg")  # one of each family on all of KINDS, the others on these:
BOTH = ("image-heads", "numbers")  # a view and an action of each sort
EVERYTHING = {"last_action": True, "agent_id": True, "actors": "shared"}
LONG = {"core": "attention", "context_heads": 2, "steps": 0}
Rows = list[tuple[str, str, dict[str, Any]]]
ROWS: Rows = [  # (learner, kind, settings): each setting once in a family
    *((name, kind, {}) for name in LEARNERS for kind in (KINDS if name in WHOLE else BOTH)),
    ("pg", "image", {**EVERYTHING, "core": "lstm", "convolutions": "dilemma"}),
    ("pg", "heads", {"core": "none", "last_action": True, "exploration": "floor"}),
    (
        "pg",
        "image-numbers",
        {"core": "attention", "context_heads": 2, "numbers": "normal-by-view"},
    ),
    ("pg", "image", {"predict": "others", "critic_reads": "view"}),
    ("ippo", "image-heads", {**EVERYTHING, "core": "none"}),
    ("ippo", "image-numbers", {**EVERYTHING, "core": "lstm", "numbers": "tanh-normal", "minibatches": 2}),
    ("ippo", "image", {**LONG, "predict": "others"}),
    ("ippo", "numbers", {**LONG, "agent_id": True}),
    ("mappo", "image", {"critic_reads": "views", "actor_reads": "views", "critic_gives": "one"}),
    ("mappo", "image-state", {"core": "lstm", "last_action": True}),
    ("mappo", "numbers", {"core": "none", "numbers": "normal-by-view", "actor_reads": "views"}),
    ("trpo", "image-heads", {**EVERYTHING, "core": "gru"}),
    ("trpo", "numbers", {"core": "lstm", "numbers": "tanh-normal", "last_action": True, "normalise_views": True}),
    *(("acktr", kind, ACKTR) for kind in ("vector", "heads", "numbers")),
    ("acktr", "heads", {**ACKTR, **EVERYTHING}),
    ("acktr", "numbers", {**ACKTR, "numbers": "tanh-normal", "last_action": True, "normalise_views": True}),
    ("ippo", "heads", {"normalise_views": True}),
    ("reinforce", "numbers", {"normalise_views": True}),
    ("reinforce", "image-numbers", {**EVERYTHING, "core": "lstm", "baseline": "mean"}),
    ("actor-critic", "image", {**EVERYTHING, "core": "gru"}),
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
MOVED: Rows = [
    ("pg", "image", {**EVERYTHING, "core": "lstm"}),
    ("ippo", "image-heads", {"core": "gru", "last_action": True}),
    ("mappo", "image-state", {**EVERYTHING, "core": "none"}),
    ("mappo", "numbers", {**EVERYTHING, "numbers": "tanh-normal"}),
    ("trpo", "image-heads", {"core": "gru", "last_action": True}),
    ("acktr", "numbers", {**ACKTR, **EVERYTHING}),
    ("actor-critic", "image-numbers", {"core": "lstm"}),
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
    ("pg", "numbers", {"exploration": "floor"}, f"pg's exploration 'floor' {CHOICES}"),
    ("pg", "numbers", {"predict": "others"}, f"predict 'others' {CHOICES}"),
    ("pg", "heads", {"predict": "others"}, "predict 'others' has one head, Named asks for 2: take another"),
    ("pg", "image", {"correction": "mixed"}, "needs a game that says who gave and what is collective"),
    ("ippo", "heads", {"predict": "others"}, "predict 'others' has one head, Named asks for 2: take another"),
    ("ippo", "numbers", {"rows": "transposed"}, f"ippo as released {CHOICES}"),
    ("mappo", "heads", {"misread_actions": True}, "mappo as released has one head, Named asks for 2: take another"),
    ("mappo", "image", {"misread_actions": True}, "mappo as released reads vectors, Named shows images (3, 4, 2)"),
    ("acktr", "image", {}, "acktr reads vectors, Named shows images (3, 4, 2)"),
    ("trpo", "image", {"normalise_views": True}, "normalise_views reads vectors, Named shows images (3, 4, 2)"),
    *((name, "numbers", {}, f"{name} {CHOICES}") for name in CHOOSERS),
    *((name, "heads", {}, f"{name} {HEADS}") for name in CHOOSERS),
    ("a2c", "image", {"core": "table"}, "a2c's core 'table' reads vectors, Named shows images (3, 4, 2)"),
]


def parametrized(rows: list) -> Any:
    names = ["-".join([n, k, *map(str, s.values())]) for n, k, s, *_ in rows]
    return pytest.mark.parametrize(("name", "kind", "settings", "line")[: len(rows[0])], rows, ids=names)


def made(name: str, kind: str, settings: dict[str, Any]):
    thing = find_algorithm(name).thing
    return thing.make(thing.Config(**{**(LEARNERS | CHOOSERS).get(name, {}), **settings}), KINDS[kind])


@parametrized(ROWS)
def test_it_acts_and_learns(name, kind, settings):
    """Traced: any leading axes; an update keeps structure, shapes and dtypes; pictures stay bytes in rollout and
    replay, and choices small numbers there."""
    env, algorithm = KINDS[kind], made(name, kind, settings)
    before, steps, after, metrics = jax.eval_shape(partial(once, algorithm, env, games=GAMES), KEY)
    assert kinds_of(before) == kinds_of(after)
    assert kinds_of(steps.memory) == kinds_of(steps.next_memory)
    assert all(x.shape == () for x in metrics.values())
    if env.view == "image":
        assert steps.observation.view.dtype == jnp.uint8
        if jax.tree.leaves(getattr(before, "replay", ())):
            rows = before.replay.rows
            assert rows.observation.view.dtype == jnp.uint8
            assert env.action == "numbers" or all(x.dtype == jnp.int8 for x in jax.tree.leaves(rows.action))
    observation = jax.eval_shape(lambda: env.reset(KEY)[1])
    one = {"one": (), "unequal": (), "heads": ((), ()), "numbers": (2,)}[env.action]
    for lead, explore in (((), True), ((GAMES,), False), ((LENGTH, GAMES), True)):
        spread = partial(jax.tree.map, lambda x, lead=lead: jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype))
        memory = jax.eval_shape(lambda: algorithm.memory)
        act = partial(algorithm.act, explore=explore)
        action, next_memory, _ = jax.eval_shape(act, KEY, before, spread(memory), spread(observation))
        assert kinds_of(next_memory) == kinds_of(spread(memory))
        shapes = tuple(x.shape for x in action) if env.action == "heads" else action.shape
        wanted = tuple((*lead, N) for _ in one) if env.action == "heads" else (*lead, N, *one)
        assert shapes == wanted


@parametrized(MOVED)
def test_games_side_by_side_are_games_apart(name, kind, settings):
    """What is done in [T, B] games is what each does alone; an update is finite and moves every network."""
    env, algorithm = KINDS[kind], made(name, kind, settings)

    @jax.jit
    def run(key):
        state, steps, after, metrics = once(algorithm, env, key, GAMES)
        act = lambda o, m: algorithm.act(key, state, m, o, explore=False)[:2]  # noqa: E731
        together = act(steps.observation, steps.memory)
        alone = partial(jax.lax.map, lambda xs: act(*xs))
        return together, jax.lax.map(alone, (steps.observation, steps.memory)), state, after, metrics

    together, apart, state, after, metrics = run(KEY)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), together, apart)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((after, metrics)))
    networks = [n for n in ("actor", "actors", "net", "critic", "critics") if jax.tree.leaves(getattr(state, n, ()))]
    assert networks
    for n in networks:
        old, new = getattr(state, n), getattr(after, n)
        for (path, x), y in zip(jax.tree.leaves_with_path(new), jax.tree.leaves(old), strict=True):
            assert (x != y).any(), (n, jax.tree_util.keystr(path))


def test_who_is_padded_is_never_asked_for_what_it_lacks():
    """Agent 1 takes none of the actions, and gives none of the numbers, that only agent 0 has."""
    for kind in ("unequal", "numbers"):
        action = jax.jit(partial(once, made("pg", kind, {}), KINDS[kind], games=GAMES))(KEY)[1].action
        assert (action[..., 1, 1] == 0).all() if kind == "numbers" else (action[..., 1] < A - 1).all()
        assert (action[..., 0, 1] != 0).all() if kind == "numbers" else (action[..., 0] == A - 1).any()


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
