"""Finds the problems of an algorithm, one line each."""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from comity import rollout
from comity.checking import words
from comity.checking.games import GAMES, action_shape, reset_of
from comity.checking.tiny import Tiny
from comity.checking.tracing import (
    NO_MEMORY,
    UNKNOWN_VALUE,
    change_problems,
    close,
    equal,
    error_of,
    hidden_state_problems,
    run,
    trace,
)
from comity.checking.words import is_array, is_number
from comity.runs import keys
from comity.settings import floats, with_floats
from comity.spec import Box, functions
from comity.types import Algorithm, PyTree, Transition


def algorithm_problems(make: Any, config: Any, env: Any, play: bool) -> list[str]:
    """Lists problems of an algorithm. env None: a tiny game, of continuous actions if `make` refuses discrete ones."""
    try:
        algorithm = make(config, env or Tiny())
    except Exception as error:
        if env is not None:
            return [str(error) if isinstance(error, ValueError) else f"make fails on the game: {words.reason(error)}"]
        try:
            algorithm = make(config, Tiny(continuous=True))
        except Exception:
            return [f"make fails on a small game of two agents and three actions: {words.reason(error)}"]
        env = Tiny(continuous=True)
    env = env or Tiny()
    problems = _member_problems(algorithm)
    if problems:
        return problems
    problems = _traced_algorithm_problems(env, algorithm)
    problems += _float_problems(make, config, env) if not problems else []
    if play and not problems:
        problems += _played_algorithm_problems(env, algorithm)
    return problems


def _member_problems(algorithm: Any) -> list[str]:
    if not isinstance(algorithm, Algorithm):
        return [f"make returns {words.kind(algorithm)}: it must return an Algorithm(init, act, update, ...)"]
    problems = []
    calls = {
        "init": ("init(key)", (0,), {}),
        "act": ("act(key, state, memory, observation, explore=True)", (0, 0, 0, 0), {"explore": True}),
        "update": ("update(key, state, steps)", (0, 0, 0), {}),
    }
    for name, (form, positional, named) in calls.items():
        f = getattr(algorithm, name)
        if not callable(f):
            problems.append(f"{name} is {f!r}, not a function {form}")
            continue
        try:
            inspect.signature(f).bind(*positional, **named)
        except TypeError as error:
            problems.append(f"{name}{inspect.signature(f)} cannot be called as {form}: {error}")
        except ValueError:  # a builtin without signature
            pass
    if algorithm.steps is not None and not (isinstance(algorithm.steps, int) and algorithm.steps > 0):
        problems.append(
            f"steps is {algorithm.steps!r}: give a whole number of at least 1, or None for the game's length"
        )
    return problems


def _traced_algorithm_problems(env: Any, algorithm: Algorithm) -> list[str]:
    key, agents = jax.random.key(0), env.spec.agents
    state, problems = trace("init", algorithm.init, key)
    if problems:
        return problems
    for path, leaf in jax.tree.leaves_with_path(algorithm.memory):
        if jnp.ndim(leaf) < 1 or jnp.shape(leaf)[0] != agents:
            problems.append(
                f"memory{words.path(path)} is {words.shape(leaf)}: its first axis must be the {agents} agents"
            )
    if problems:
        return problems
    memory = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), algorithm.memory)
    observation = jax.eval_shape(lambda k: reset_of(env)(k)[1], key)
    for lead in ((GAMES,), (), (3, GAMES)):
        for explore in (True, False):
            found = _act_problems(env, algorithm, state, memory, observation, lead, explore)
            if found:
                return found

    def update(key, state):
        play = rollout.start(key, env, algorithm.memory, GAMES)
        return rollout.collect(key, env, algorithm, state, play)[1]

    steps, problems = trace("act, in play,", update, key, state)
    if problems:
        return problems
    result, problems = trace("update", algorithm.update, key, state, steps)
    if problems:
        return problems
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
        return [f"update returns {words.kind(result)}: it must return (state, metrics), metrics a dict"]
    problems = change_problems("state", state, result[0], "init", "update")
    for name, value in result[1].items():
        if name != "extra_steps" and (taken := keys.problem(name)):
            taken = "that every run's metrics use: choose another" if name in keys.RESERVED else taken[len("which ") :]
            problems.append(f"update's metric {name!r} has a name {taken}")
        elif not is_array(value) or value.shape != () or not is_number(value):
            problems.append(f"update's metric {name!r} is {words.shape(value)}: it must be one number []")
    for name in keys.shared(_statistics(env, steps), result[1], agents):
        problems.append(
            f"info or summary has the name {name!r}, which the algorithm's metrics use, too: choose another"
        )
    if not problems:
        problems += hidden_state_problems("act", lambda: _jaxpr_of_act(env, algorithm, state, memory, observation))
        call = lambda: jax.make_jaxpr(lambda *xs: algorithm.update(*xs))(key, state, steps)  # noqa: E731
        problems += hidden_state_problems("update", call)
    return problems


def _statistics(env: Any, steps: Transition) -> set[str]:
    """Names of the game's statistics, in whole episodes and in continuing play."""
    summary = functions(env).summary
    own = jax.eval_shape(summary, steps.reward, steps.info, steps.valid) if summary else {}
    return {*steps.info, *own}


def _jaxpr_of_act(env: Any, algorithm: Algorithm, state: PyTree, memory: PyTree, observation: PyTree):
    return jax.make_jaxpr(lambda *xs: algorithm.act(*xs))(jax.random.key(0), state, memory, observation)


def _act_problems(
    env: Any, algorithm: Algorithm, state: PyTree, memory: PyTree, observation: PyTree, lead: tuple, explore: bool
) -> list[str]:
    memory, observation = (
        jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype), tree) for tree in (memory, observation)
    )
    axes = f"act on leaves [{', '.join([*map(str, lead), 'N'])}, ...]{'' if explore else ' with explore=False'}"
    call = lambda *xs: algorithm.act(*xs, explore=explore)  # noqa: E731
    result, problems = trace(axes, call, jax.random.key(0), state, memory, observation)
    if problems:
        return problems
    if not isinstance(result, tuple) or len(result) != 3:
        return [f"{axes} returns {words.kind(result)}: it must return (action, memory, notes)"]
    action, after, notes = result
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype), action_shape(env))
    continuous = isinstance(env.spec.action, Box)
    same = jax.tree.structure(action) == jax.tree.structure(wanted) and all(
        x.shape == y.shape and jnp.issubdtype(x.dtype, jnp.floating if continuous else jnp.integer)
        for x, y in zip(jax.tree.leaves(action), jax.tree.leaves(wanted), strict=True)
    )
    if not same:
        return [f"{axes} gives actions {words.shape(action)}: this game takes {words.shape(wanted)}"]
    problems = change_problems("memory", memory, after, "Algorithm.memory", axes)
    if not isinstance(notes, dict):
        return [*problems, f"{axes} gives notes {words.kind(notes)}: they must be a dict, {{}} for none"]
    for path, leaf in jax.tree.leaves_with_path(notes):
        if leaf.shape[: len(lead)] != lead:
            problems.append(
                f"{axes} notes{words.path(path)} as {words.shape(leaf)}: it must begin with the axes {list(lead)}"
            )
    return problems


def _float_problems(make: Any, config: Any, env: Any) -> list[str]:
    """Lists the float settings that cannot be traced values. Traces all at once; if that fails, each of them alone."""
    values, key = floats(config), jax.random.key(0)

    def train(traced: dict[str, Any]):
        algorithm = make(with_floats(config, {**values, **traced}), env)
        state = algorithm.init(key)
        play = rollout.start(key, env, algorithm.memory, 2)
        return algorithm.update(key, state, rollout.collect(key, env, algorithm, state, play)[1])

    if not values or error_of(train, values) is None:
        return []
    problems = []
    for name, value in values.items():
        error = error_of(train, {name: value})
        if isinstance(error, UNKNOWN_VALUE):
            problems.append(
                f"setting {name} is declared float, so it is traced, but Python asks for its "
                f"value{words.place(error)}: use jnp.where, or make the choice an int, a bool or a Literal"
            )
        elif error is not None:
            problems.append(f"setting {name} is declared float, so it is traced, and that fails: {words.reason(error)}")
    return problems


class _Acts(NamedTuple):
    """Actions of one policy, [T, B, N, ...] except `alone`."""

    action: PyTree
    same_views: PyTree  # for the same key and views, but another state of the game
    other_key: PyTree
    alone: PyTree  # [N, ...], for game 1 at time 0 without the other games


def _played_algorithm_problems(env: Any, algorithm: Algorithm) -> list[str]:
    """Plays and updates, compiled. Lists forbidden actions, wrong dependencies of actions, NaN, hidden state."""

    @jax.jit
    def play(key):
        key_init, key_start, key_play, key_update, key_act, key_noise = jax.random.split(key, 6)
        state = algorithm.init(key_init)
        start = rollout.start(key_start, env, algorithm.memory, GAMES)
        steps = rollout.collect(key_play, env, algorithm, state, start)[1]
        new, metrics = algorithm.update(key_update, state, steps)
        seen = steps.observation
        noise = 3 * jax.random.normal(key_noise, seen.state.shape)
        other = seen._replace(state=(seen.state + noise).astype(seen.state.dtype))
        alone = jax.tree.map(lambda x: x[0, 1], (steps.memory, seen))

        def acts(explore: bool) -> _Acts:
            act = lambda key, memory, seen: algorithm.act(key, state, memory, seen, explore=explore)[0]  # noqa: E731
            return _Acts(
                act(key_act, steps.memory, seen),
                act(key_act, steps.memory, other),
                act(key_noise, steps.memory, seen),
                act(key_act, *alone),
            )

        return state, new, metrics, seen.available, acts(True), acts(False)

    result = run(play, jax.random.key(2))
    if isinstance(result, str):
        return [f"play and update fail: {result}"]
    state, new, _, available, sampled, greedy = result
    problems, continuous = [], isinstance(env.spec.action, Box)
    for acts, how in ((sampled, "act"), (greedy, "act with explore=False")):
        if continuous and not all(np.isfinite(x).all() for x in jax.tree.leaves(acts.action)):  # games get them clipped
            problems.append(f"{how} gives numbers that are not finite")
        if not continuous and not all(map(_all_legal, *_entries(acts.action, available))):
            problems.append(f"{how} chooses an action that is not available: use comity.learning.masked")
        if not equal(acts.action, acts.same_views):
            problems.append(f"{how} reads observation.state: an action may depend on view and available alone")
    # Random draws depend on the shape of the batch. A choice without draws must not.
    first = jax.tree.map(lambda x: x[0, 1], greedy.action)
    if equal(greedy.action, greedy.other_key) and not close(first, greedy.alone):
        problems.append("act chooses another action for a game in a batch than for the same game alone")
    problems += _finite_problems("init: state", state) or _finite_problems("after one update: state", new)
    again = run(play, jax.random.key(2))
    if isinstance(again, str) or not equal(result, again):
        problems.append("the same keys and states give another result the second time: " + NO_MEMORY)
    return problems


def _entries(action: PyTree, available: PyTree) -> tuple[tuple, tuple]:
    return (action, available) if isinstance(available, tuple) else ((action,), (available,))


def _all_legal(action: Any, available: Any) -> bool:
    action, available = np.asarray(action), np.asarray(available)
    inside = (action >= 0) & (action < available.shape[-1])
    return bool((inside & np.take_along_axis(available, np.where(inside, action, 0)[..., None], -1)[..., 0]).all())


def _finite_problems(what: str, tree: PyTree) -> list[str]:
    names = [
        f"{what}{words.path(path)} is NaN or infinite"
        for path, x in jax.tree.leaves_with_path(tree)
        if jnp.issubdtype(x.dtype, jnp.floating) and not np.isfinite(np.asarray(x, np.float32)).all()
    ]
    return names[:1]
