"""Every learner on every kind of view and action that it plays: traced row by row, and what it refuses in one line.

A new learner gives its line of `LEARNERS`, rows of what else it can be set to, and lines of `REFUSED`. That kinds are
not only played but learned is in test_learns_kinds.py.
"""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.recipes import find_algorithm
from tests.tiny.kinds import KINDS, LENGTH, A, N

KEY, GAMES = jax.random.key(0), 3
PPO = {"hidden": 6, "encoder": (5,), "epochs": 2, "minibatches": 1, "chunk": 2, "steps": 4}
LEARNERS: dict[str, dict[str, Any]] = {  # small settings of those that play all of KINDS
    "pg": {"hidden": 6},
    "ippo": PPO,
    "mappo": PPO,
    "trpo": {"hidden": 6, "steps": 4, "value_minibatches": 2},
    "reinforce": {"hidden": 6},
    "actor-critic": {"hidden": 6, "steps": 4},
}
ACKTR = {"hidden": 6, "steps": 4, "critic_steps": 2}
BOTH = ("image-heads", "numbers")  # a view and an action of each sort: families play all, their members these
EVERYTHING = {"last_action": True, "agent_id": True, "actors": "shared"}
LONG = {"core": "attention", "context_heads": 2, "steps": 0}
ROWS: list[tuple[str, str, dict[str, Any]]] = [  # (learner, kind, settings): each setting once in a family
    *((name, kind, {}) for name in ("pg", "mappo") for kind in KINDS),
    *((name, kind, {}) for name in LEARNERS if name not in ("pg", "mappo") for kind in BOTH),
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
]
of_rows = pytest.mark.parametrize(
    ("name", "kind", "settings"), ROWS, ids=["-".join([n, k, *map(str, s.values())]) for n, k, s in ROWS]
)


def made(name: str, kind: str, settings: dict[str, Any]):
    thing = find_algorithm(name).thing
    return thing.make(thing.Config(**{**LEARNERS.get(name, {}), **settings}), KINDS[kind])


def once(algorithm, env, key):
    """(state at the start, a rollout, state and metrics after an update)."""
    key_init, key_start, key_play, key_learn = jax.random.split(key, 4)
    state = algorithm.init(key_init)
    play = rollout.start(key_start, env, algorithm.memory, GAMES)
    steps = rollout.collect(key_play, env, algorithm, state, play)[1]
    return state, steps, *algorithm.update(key_learn, state, steps)


def kinds_of(tree) -> Any:
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@of_rows
def test_it_acts_and_learns(name, kind, settings):
    """Traced: any leading axes; an update keeps structure, shapes and dtypes; pictures stay bytes in the rollout."""
    env, algorithm = KINDS[kind], made(name, kind, settings)
    before, steps, after, metrics = jax.eval_shape(partial(once, algorithm, env), KEY)
    assert kinds_of(before) == kinds_of(after)
    assert all(x.shape == () for x in metrics.values())
    if env.view == "image":
        assert steps.observation.view.dtype == jnp.uint8
    observation = jax.eval_shape(lambda: env.reset(KEY)[1])
    one = {"one": (), "unequal": (), "heads": ((), ()), "numbers": (2,)}[env.action]
    for lead in ((), (GAMES,), (LENGTH, GAMES)):
        spread = partial(jax.tree.map, lambda x, lead=lead: jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype))
        memory = jax.eval_shape(lambda: algorithm.memory)
        for explore in (True, False):
            act = partial(algorithm.act, explore=explore)
            action, next_memory, _ = jax.eval_shape(act, KEY, before, spread(memory), spread(observation))
            assert kinds_of(next_memory) == kinds_of(spread(memory))
            shapes = tuple(x.shape for x in action) if env.action == "heads" else action.shape
            wanted = tuple((*lead, N) for _ in one) if env.action == "heads" else (*lead, N, *one)
            assert shapes == wanted


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("pg", "image", {**EVERYTHING, "core": "lstm"}),
        ("ippo", "image-heads", {"core": "gru", "last_action": True}),
        ("mappo", "image-state", {**EVERYTHING, "core": "none"}),
        ("mappo", "numbers", {**EVERYTHING, "numbers": "tanh-normal"}),
        ("trpo", "image-heads", {"core": "gru", "last_action": True}),
        ("acktr", "numbers", {**ACKTR, **EVERYTHING}),
        ("actor-critic", "image-numbers", {"core": "lstm"}),
    ],
)
def test_games_side_by_side_are_games_apart(name, kind, settings):
    """What is done in [T, B] games is what each does alone; an update is finite and moves every network."""
    env, algorithm = KINDS[kind], made(name, kind, settings)

    @jax.jit
    def run(key):
        state, steps, after, metrics = once(algorithm, env, key)
        act = lambda o, m: algorithm.act(key, state, m, o, explore=False)[:2]  # noqa: E731
        together = act(steps.observation, steps.memory)
        alone = partial(jax.lax.map, lambda xs: act(*xs))
        return together, jax.lax.map(alone, (steps.observation, steps.memory)), state, after, metrics

    together, apart, state, after, metrics = run(KEY)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), together, apart)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((after, metrics)))
    for (path, x), y in zip(jax.tree.leaves_with_path(after.actor), jax.tree.leaves(state.actor), strict=True):
        assert (x != y).any(), jax.tree_util.keystr(path)


def test_who_is_padded_is_never_asked_for_what_it_lacks():
    """Agent 1 takes none of the actions, and gives none of the numbers, that only agent 0 has."""
    for kind in ("unequal", "numbers"):
        action = jax.jit(partial(once, made("pg", kind, {}), KINDS[kind]))(KEY)[1].action
        assert (action[..., 1, 1] == 0).all() if kind == "numbers" else (action[..., 1] < A - 1).all()
        assert (action[..., 0, 1] != 0).all() if kind == "numbers" else (action[..., 0] == A - 1).any()


CHOICES = "chooses among discrete actions, Named has continuous ones: take another"
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
]


@pytest.mark.parametrize(("name", "kind", "settings", "line"), REFUSED, ids=[f"{r[0]}-{r[1]}-{r[2]}" for r in REFUSED])
def test_what_is_refused_gives_one_line(name, kind, settings, line):
    with pytest.raises(ValueError, match=re.escape(line)) as error:
        jax.eval_shape(made(name, kind, settings).init, KEY)
    assert "\n" not in str(error.value)
