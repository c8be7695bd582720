"""`check(game)` and `check(algorithm)`: what does not fit the interface of `comity.types`, one line each.

Most problems show without compiling anything: `jax.eval_shape` traces a function and tells the shapes and dtypes of
its results. `check` then also plays, compiled: episodes that never end, forbidden actions, hidden state. `refuse` is
the part without play, for the start of a training.
"""

import dataclasses
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity import rollout
from comity.learning import masked, sample
from comity.settings import floats, with_floats
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Timestep, Transition

GAMES = 8  # parallel games that `check` plays
RESERVED_INFO = ("return", "length", "game")  # statistics of every game, and the film's
RESERVED_METRICS = ("return", "length", "env_steps", "seed", "iteration")
BROKEN = "cannot be traced by jax"


def check(thing: Any, env: Environment | None = None) -> None:
    """Returns if a game or an algorithm fits; else raises ValueError with all problems, one line each.

    thing: a game (an instance), or an algorithm: an `Algorithm`, a Config of a module with `make(config, env)`, or such
    a module. env: the game an algorithm is to play; None: a tiny one of two agents and six steps.
    """
    if _is_algorithm(thing):
        config, make = _maker(thing)
        problems = _algorithm_problems(make, config, env, play=True)
    else:
        problems = _game_problems(thing, play=True)
    if problems:
        raise ValueError("\n".join(problems))


def refuse(make: Callable[[Any, Environment], Algorithm], config: Any, env: Environment) -> None:
    """Raises ValueError, one line, if game or algorithm do not fit. Traces them, compiles and plays nothing."""
    problems = _game_problems(env, play=False)
    asks = "comity.check(game)" if problems else "comity.check(algorithm, game)"
    problems = problems or _algorithm_problems(make, config, env, play=False)
    if problems:
        more = f" (and {len(problems) - 1} more: {asks} lists them)" if len(problems) > 1 else ""
        raise ValueError(problems[0] + more)


# Games ---------------------------------------------------------------------------------------------------------------


def _game_problems(env: Any, play: bool) -> list[str]:
    if inspect.isclass(env):
        return [f"{env.__name__} is a class: give an instance, {env.__name__}()"]
    problems = _attribute_problems(env)
    if problems:
        return problems
    traced, problems = _traced_game(env)
    if traced is None:
        return problems
    problems += _extras_problems(env, traced)
    if play and not problems:
        problems += _played_game_problems(env)
    return problems


def _attribute_problems(env: Any) -> list[str]:
    kinds: dict[str, Any] = {"num_agents": int, "num_actions": int, "view_size": int, "state_size": int, "length": int}
    kinds |= {"continuous": bool, "reset": Callable, "step": Callable}
    problems = []
    for name, kind in kinds.items():
        if not hasattr(env, name):
            problems.append(f"{_name(env)} has no `{name}`: {_MEANING[name]}")
            continue
        value = getattr(env, name)
        if name == "view_size" and isinstance(value, tuple) and len(value) == 3:  # images
            continue
        if kind is Callable and not callable(value):
            problems.append(f"`{name}` is {value!r}, not a method: {_MEANING[name]}")
        elif kind is bool and not isinstance(value, bool):
            problems.append(f"`{name}` is {value!r}, neither True nor False: {_MEANING[name]}")
        elif kind is int:
            least = 0 if name in ("view_size", "state_size") else 1
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
                problems.append(f"`{name}` is {value!r}, not a whole number of at least {least}: {_MEANING[name]}")
    heads = getattr(env, "heads", None)
    if heads is not None and not problems and (not isinstance(heads, tuple) or sum(heads) != env.num_actions):
        problems.append(
            f"`heads` is {heads!r}: it must be a tuple of action counts whose sum is num_actions {env.num_actions}"
        )
    past = getattr(env, "history_size", 0)
    if not problems and past and not (isinstance(past, int) and 0 <= past <= _size(_view_shape(env))):
        problems.append(
            f"`history_size` is {past!r}: it must be a whole number from 0 to view_size {_size(_view_shape(env))}"
        )
    if dataclasses.is_dataclass(env) and not env.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
        problems.append(
            f"{_name(env)} is a dataclass that can be changed: write @dataclass(frozen=True), since a compiled program "
            "would not see the change"
        )
    return problems


_MEANING = {
    "num_agents": "how many agents play",
    "num_actions": "how many actions an agent has (continuous: how many numbers)",
    "view_size": "how many numbers an agent sees",
    "state_size": "how many numbers a central critic may read",
    "length": "the most steps of an episode",
    "continuous": "whether actions are numbers in [-1, 1]",
    "reset": "reset(key) -> (state, observation)",
    "step": "step(key, state, action) -> (state, timestep)",
}


class _Game(NamedTuple):
    """Shapes of a game that was traced."""

    state: PyTree
    observation: Observation
    timestep: Timestep


def _traced_game(env: Any) -> tuple[_Game | None, list[str]]:
    """(shapes, problems); None if they are too wrong to go on."""
    reset, key = _reset_of(env), jax.random.key(0)
    result, problems = _trace("reset", reset, key)
    if problems:
        return None, problems
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Observation):
        return None, [f"reset returns {_kind(result)}: it must return (state, Observation)"]
    state, observation = result
    problems = _observation_problems(env, observation, "reset")
    if problems:
        return None, problems

    result, problems = _trace("step", env.step, key, state, _action_shape(env))
    if problems:
        return None, problems
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Timestep):
        return None, [f"step returns {_kind(result)}: it must return (state, Timestep)"]
    after, timestep = result
    problems = _change_problems("state", state, after, "reset", "step")
    if isinstance(timestep.observation, Observation):
        own = _observation_problems(env, timestep.observation, "step")
        problems += own or _change_problems("observation", observation, timestep.observation, "reset", "step")
    else:
        problems.append(f"step's timestep.observation is {_kind(timestep.observation)}: it must be an Observation")
    problems += _timestep_problems(env, timestep)
    if problems:
        return None, problems
    for name, call in (
        ("reset", lambda: jax.make_jaxpr(lambda k: reset(k))(key)),
        ("step", lambda: jax.make_jaxpr(lambda *xs: env.step(*xs))(key, state, _action_shape(env))),
    ):
        problems += _hidden_state_problems(name, call)
    return _Game(state, observation, timestep), problems


def _observation_problems(env: Any, observation: Observation, where: str) -> list[str]:
    problems = [
        f"{where}'s observation.{name} is {_kind(value)}, not an array"
        for name, value in zip(("view", "state"), observation[:2], strict=True)
        if not _is_array(value)
    ]
    if problems:
        return problems
    agents, view, heads = env.num_agents, observation.view, getattr(env, "heads", None)
    wanted = (agents, *_view_shape(env))
    if view.shape != wanted:
        problems.append(
            f"{where}'s observation.view is {_shape(view)}: num_agents {agents} and view_size {env.view_size} ask for "
            f"{list(wanted)}"
        )
    if _size(observation.state.shape) != env.state_size:
        problems.append(
            f"{where}'s observation.state is {_shape(observation.state)}, {_size(observation.state.shape)} numbers: "
            f"state_size is {env.state_size}"
        )
    for name, value in (("view", view), ("state", observation.state)):
        if not _is_number(value):
            problems.append(f"{where}'s observation.{name} is {_shape(value)}: networks read numbers")
    available = observation.available
    if isinstance(available, tuple) != (heads is not None):
        what = "a tuple, but the game has no `heads`" if heads is None else "no tuple, but the game has `heads`"
        return [*problems, f"{where}'s observation.available is {what}: several action heads need both"]
    counts: tuple[int, ...] = heads or (env.num_actions,)
    entries = available if isinstance(available, tuple) else (available,)
    if len(counts) != len(entries):
        return [*problems, f"{where}'s observation.available has {len(entries)} entries, `heads` {len(counts)}"]
    for count, entry in zip(counts, entries, strict=True):
        if not _is_array(entry) or entry.shape != (agents, count) or entry.dtype != bool:
            problems.append(f"{where}'s observation.available is {_shape(entry)}: it must be bool[{agents}, {count}]")
    return problems


def _timestep_problems(env: Any, timestep: Timestep) -> list[str]:
    agents, problems = env.num_agents, []
    reward = timestep.reward
    if not _is_array(reward) or reward.shape != (agents,) or reward.dtype != jnp.float32:
        problems.append(
            f"reward is {_shape(reward)}: it must be float32[{agents}], one for each agent (a team repeats its one)"
        )
    for name in ("terminated", "truncated"):
        value = getattr(timestep, name)
        if not _is_array(value) or value.shape != () or value.dtype != bool:
            problems.append(f"{name} is {_shape(value)}: it must be bool[]; write jnp.bool_(False) for never")
    if not isinstance(timestep.info, dict):
        return [*problems, f"info is {_kind(timestep.info)}: it must be a dict of names and amounts, {{}} for none"]
    for name, value in timestep.info.items():
        if name in RESERVED_INFO:
            problems.append(f"info has the name {name!r}, which every game's statistics use: choose another")
        elif not _is_array(value) or value.shape not in ((), (agents,)) or not _is_number(value):
            problems.append(f"info[{name!r}] is {_shape(value)}: it must be one number [] or one per agent [{agents}]")
    return problems


def _extras_problems(env: Any, game: _Game) -> list[str]:
    """What is optional: summary, headline, training_reward, draw, action_names."""
    names, problems = {"return", "length", *game.timestep.info}, []
    steps = lambda x: jax.ShapeDtypeStruct((env.length, GAMES, *x.shape), x.dtype)  # noqa: E731
    reward, info = steps(game.timestep.reward), jax.tree.map(steps, game.timestep.info)
    if hasattr(env, "summary"):
        valid = jax.ShapeDtypeStruct((env.length, GAMES), bool)
        result, problems = _trace("summary", env.summary, reward, info, valid)
        if not problems and not isinstance(result, dict):
            problems = [f"summary returns {_kind(result)}: it must return a dict of statistics"]
        for name, value in (result or {}).items() if not problems else ():
            if not _is_array(value) or value.shape not in ((GAMES,), (GAMES, env.num_agents)):
                problems.append(f"summary's {name!r} is {_shape(value)} for {GAMES} games: it must be [B] or [B, N]")
        names = {"return", "length", *(result or {})}
    headline = getattr(env, "headline", "return")
    if not problems and headline not in names:
        problems.append(f"headline is {headline!r}, which is no statistic: there are {', '.join(sorted(names))}")
    counts = {"action_names": "num_actions", "agent_names": "num_agents", "agent_colours": "num_agents"}
    for name, number in counts.items():
        words, count = getattr(env, name, None), getattr(env, number)
        if words is not None and len(words) != count and not (name == "action_names" and hasattr(env, "heads")):
            entries = "1 entry" if len(words) == 1 else f"{len(words)} entries"
            problems.append(f"{name} has {entries}, {number} is {count}")
    if not problems and hasattr(env, "training_reward"):
        problems += _training_reward_problems(env)
    if not problems and hasattr(env, "step_games"):
        problems += _step_games_problems(env, game)
    if not problems and hasattr(env, "pack") != hasattr(env, "unpack"):
        problems.append("pack and unpack belong together: give both, or neither")
    if not problems and hasattr(env, "pack"):
        result, problems = _trace("unpack", lambda seen: env.unpack(env.pack(seen)), game.observation)
        problems += _change_problems("observation", game.observation, result, "pack", "unpack") if not problems else []
    if hasattr(env, "draw") and not problems:
        problems += _draw_problems(env)
    return problems


def _draw_problems(env: Any) -> list[str]:
    state = jax.tree.map(np.asarray, jax.jit(lambda key: _reset_of(env)(key)[0])(jax.random.key(0)))
    try:
        picture = env.draw(state)
    except Exception as error:
        return [f"draw fails on the state after reset: {_reason(error)}"]
    fits = isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[-1] == 3
    if not fits or picture.dtype != np.uint8:
        return [f"draw returns {_shape(picture)}: it must return a numpy array uint8 [H, W, 3]"]
    return []


def _training_reward_problems(env: Any) -> list[str]:
    def shaped(key):
        steps = _random_steps(env, key)
        return steps.reward, env.training_reward(key, steps, jnp.int32(0))

    result, problems = _trace("training_reward", shaped, jax.random.key(0))
    if problems or _shape(result[0]) == _shape(result[1]):
        return problems
    return [f"training_reward gives {_shape(result[1])} for rewards {_shape(result[0])}"]


def _step_games_problems(env: Any, game: _Game) -> list[str]:
    keys = jax.eval_shape(lambda key: jax.random.split(key, GAMES), jax.random.key(0))
    several = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct((GAMES, *x.shape), x.dtype), tree)  # noqa: E731
    state, action = several(game.state), several(_action_shape(env))
    result, problems = _trace("step_games", env.step_games, keys, state, action)
    return problems or _change_problems("result", several((game.state, game.timestep)), result, "step", "step_games")


class _Played(NamedTuple):
    """What random play showed."""

    endless: Array  # [] bool, a game went on after `length` steps
    stuck: Array  # [] bool, an agent had no available action
    infinite: dict[str, Array]  # [] bool each, NaN or infinity
    trace: PyTree  # everything seen, for comparison


def _played_game_problems(env: Any) -> list[str]:
    play = jax.jit(partial(_random_play, env))
    played = _run(play, jax.random.key(1))
    if isinstance(played, str):
        return [f"random play fails: {played}"]
    problems = []
    if played.endless:
        problems.append(
            f"an episode lasts longer than length {env.length}: end it, terminated or truncated, with step {env.length}"
        )
    if played.stuck:
        problems.append("an agent has no available action in a running game: leave it one, such as doing nothing")
    problems += [f"{name} becomes NaN or infinite in random play" for name, bad in played.infinite.items() if bad]
    again = _run(play, jax.random.key(1))
    if isinstance(again, str) or not _equal(played.trace, again.trace):
        problems.append("the same keys, states and actions give another result the second time: " + _NO_MEMORY)
    if hasattr(env, "step_games") and not _equal(*_run(jax.jit(partial(_both_steps, env)), jax.random.key(1))):
        problems.append("step_games gives another result than step of each game")
    if hasattr(env, "pack") and not _equal(*_run(jax.jit(partial(_packed_too, env)), jax.random.key(1))):
        problems.append("unpack gives another observation than pack was given: a replay would show what never was")
    return problems


_NO_MEMORY = "what changes belongs in the state, and randomness comes from the key"


def _random_play(env: Any, key: Key) -> _Played:
    """GAMES games of random actions, as long as an episode may last."""

    steps = _random_steps(env, key)
    running = steps.valid[..., None]
    entries = steps.observation.available
    none = jnp.stack([~a.any(-1) for a in (entries if isinstance(entries, tuple) else (entries,))]).any(0)  # [T, B, N]
    view, state = steps.observation.view, steps.observation.state
    seen = {"reward": steps.reward, "observation.view": view, "observation.state": state}
    seen |= {f"info[{name!r}]": value for name, value in steps.info.items()}
    infinite = {name: ~jnp.isfinite(x.astype(jnp.float32)).all() for name, x in seen.items()}
    trace = steps.observation, steps.reward, steps.info, steps.ended
    return _Played(~steps.ended.any(0).all(), (none & running).any(), infinite, trace)


def _random_steps(env: Any, key: Key) -> Transition:
    def act(key, memory, observation):
        return _random_action(key, env, observation), memory, {}

    key_start, key = jax.random.split(key)
    return rollout.collect_episodes(key, env, act, rollout.start(key_start, env, (), GAMES, jnp.arange(GAMES)))


def _both_steps(env: Any, key: Key) -> tuple[PyTree, PyTree]:
    """Results of one random step of GAMES games: of `step_games`, and of `step` for each."""
    start = rollout.start(key, env, (), GAMES, jnp.arange(GAMES))
    action, keys = _random_action(key, env, start.observation), jax.random.split(key, GAMES)
    return env.step_games(keys, start.game, action), jax.vmap(env.step)(keys, start.game, action)


def _packed_too(env: Any, key: Key) -> tuple[PyTree, PyTree]:
    """Observations of random play, and what comes back of them from a replay."""
    seen = _random_steps(env, key).observation
    return seen, jax.vmap(jax.vmap(lambda one: env.unpack(env.pack(one))))(seen)


def _random_action(key: Key, env: Any, observation: Observation) -> PyTree:
    entries = observation.available
    if env.continuous:
        return jnp.where(entries, jax.random.uniform(key, entries.shape, minval=-1.0, maxval=1.0), 0.0)
    if not isinstance(entries, tuple):
        return sample(key, masked(jnp.zeros(entries.shape), entries))
    keys = jax.random.split(key, len(entries))
    return tuple(sample(k, masked(jnp.zeros(x.shape), x)) for k, x in zip(keys, entries, strict=True))


# Algorithms ----------------------------------------------------------------------------------------------------------


def _algorithm_problems(make: Any, config: Any, env: Any, play: bool) -> list[str]:
    """env None: a tiny game, of continuous actions if `make` refuses the other one."""
    try:
        algorithm = make(config, env or _Tiny())
    except Exception as error:
        if env is not None:
            return [str(error) if isinstance(error, ValueError) else f"make fails on the game: {_reason(error)}"]
        try:
            algorithm = make(config, _Tiny(continuous=True))
        except Exception:
            return [f"make fails on a small game of two agents and three actions: {_reason(error)}"]
        env = _Tiny(continuous=True)
    env = env or _Tiny()
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
        return [f"make returns {_kind(algorithm)}: it must return an Algorithm(init, act, update, ...)"]
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
    key, agents = jax.random.key(0), env.num_agents
    state, problems = _trace("init", algorithm.init, key)
    if problems:
        return problems
    for path, leaf in jax.tree.leaves_with_path(algorithm.memory):
        if jnp.ndim(leaf) < 1 or jnp.shape(leaf)[0] != agents:
            problems.append(f"memory{_path(path)} is {_shape(leaf)}: its first axis must be the {agents} agents")
    if problems:
        return problems
    memory = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), algorithm.memory)
    observation = jax.eval_shape(lambda k: _reset_of(env)(k)[1], key)
    for lead in ((GAMES,), (), (3, GAMES)):
        for explore in (True, False):
            found = _act_problems(env, algorithm, state, memory, observation, lead, explore)
            if found:
                return found

    def update(key, state):
        play = rollout.start(key, env, algorithm.memory, GAMES)
        return rollout.collect(key, env, algorithm, state, play)[1]

    steps, problems = _trace("act, in play,", update, key, state)
    if problems:
        return problems
    result, problems = _trace("update", algorithm.update, key, state, steps)
    if problems:
        return problems
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
        return [f"update returns {_kind(result)}: it must return (state, metrics), metrics a dict"]
    problems = _change_problems("state", state, result[0], "init", "update")
    for name, value in result[1].items():
        if name in RESERVED_METRICS:
            problems.append(f"update's metric {name!r} has a name that every run's metrics use: choose another")
        elif not _is_array(value) or value.shape != () or not _is_number(value):
            problems.append(f"update's metric {name!r} is {_shape(value)}: it must be one number []")
    if not problems:
        problems += _hidden_state_problems("act", lambda: _jaxpr_of_act(env, algorithm, state, memory, observation))
        call = lambda: jax.make_jaxpr(lambda *xs: algorithm.update(*xs))(key, state, steps)  # noqa: E731
        problems += _hidden_state_problems("update", call)
    return problems


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
    result, problems = _trace(axes, call, jax.random.key(0), state, memory, observation)
    if problems:
        return problems
    if not isinstance(result, tuple) or len(result) != 3:
        return [f"{axes} returns {_kind(result)}: it must return (action, memory, notes)"]
    action, after, notes = result
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype), _action_shape(env))
    same = jax.tree.structure(action) == jax.tree.structure(wanted) and all(
        x.shape == y.shape and jnp.issubdtype(x.dtype, jnp.floating if env.continuous else jnp.integer)
        for x, y in zip(jax.tree.leaves(action), jax.tree.leaves(wanted), strict=True)
    )
    if not same:
        return [f"{axes} gives actions {_shape(action)}: this game takes {_shape(wanted)}"]
    problems = _change_problems("memory", memory, after, "Algorithm.memory", axes)
    if not isinstance(notes, dict):
        return [*problems, f"{axes} gives notes {_kind(notes)}: they must be a dict, {{}} for none"]
    for path, leaf in jax.tree.leaves_with_path(notes):
        if leaf.shape[: len(lead)] != lead:
            problems.append(f"{axes} notes{_path(path)} as {_shape(leaf)}: it must begin with the axes {list(lead)}")
    return problems


def _float_problems(make: Any, config: Any, env: Any) -> list[str]:
    """Settings declared float enter the program as traced values. If that fails, each alone, to name the one."""
    values, key = floats(config), jax.random.key(0)

    def train(traced: dict[str, Any]):
        algorithm = make(with_floats(config, {**values, **traced}), env)
        state = algorithm.init(key)
        play = rollout.start(key, env, algorithm.memory, 2)
        return algorithm.update(key, state, rollout.collect(key, env, algorithm, state, play)[1])

    if not values or _error(train, values) is None:
        return []
    problems = []
    for name, value in values.items():
        error = _error(train, {name: value})
        if isinstance(error, _UNKNOWN_VALUE):
            problems.append(
                f"setting {name} is declared float, so it is traced, but Python asks for its value{_place(error)}: use "
                "jnp.where, or make the choice an int, a bool or a Literal"
            )
        elif error is not None:
            problems.append(f"setting {name} is declared float, so it is traced, and that fails: {_reason(error)}")
    return problems


class _Acts(NamedTuple):
    """Actions of the same policy, [T, B, N, ...] except `alone`."""

    action: PyTree
    same_views: PyTree  # with the same key, on the same views, of another state of the game
    other_key: PyTree
    alone: PyTree  # [N, ...], of game 1 at time 0 without the others


def _played_algorithm_problems(env: Any, algorithm: Algorithm) -> list[str]:
    """Plays and updates, compiled: forbidden actions, what an action depends on, NaN, hidden state."""

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

    result = _run(play, jax.random.key(2))
    if isinstance(result, str):
        return [f"play and update fail: {result}"]
    state, new, _, available, sampled, greedy = result
    problems = []
    for acts, how in ((sampled, "act"), (greedy, "act with explore=False")):
        if env.continuous and not all(np.abs(x).max() <= 1 + 1e-6 for x in jax.tree.leaves(acts.action)):
            problems.append(f"{how} gives numbers outside [-1, 1]: clip them, or use tanh")
        if not env.continuous and not all(map(_all_legal, *_entries(acts.action, available))):
            problems.append(f"{how} chooses an action that is not available: use comity.learning.masked")
        if not _equal(acts.action, acts.same_views):
            problems.append(f"{how} reads observation.state: an action may depend on view and available alone")
    # Draws depend on the shape of the batch; a choice without any does not.
    first = jax.tree.map(lambda x: x[0, 1], greedy.action)
    if _equal(greedy.action, greedy.other_key) and not _close(first, greedy.alone):
        problems.append("act chooses otherwise for a game among others than for the same game alone")
    problems += _finite_problems("init: state", state) or _finite_problems("after one update: state", new)
    again = _run(play, jax.random.key(2))
    if isinstance(again, str) or not _equal(result, again):
        problems.append("the same keys and states give another result the second time: " + _NO_MEMORY)
    return problems


def _entries(action: PyTree, available: PyTree) -> tuple[tuple, tuple]:
    return (action, available) if isinstance(available, tuple) else ((action,), (available,))


def _all_legal(action: Any, available: Any) -> bool:
    action, available = np.asarray(action), np.asarray(available)
    inside = (action >= 0) & (action < available.shape[-1])
    return bool((inside & np.take_along_axis(available, np.where(inside, action, 0)[..., None], -1)[..., 0]).all())


def _finite_problems(what: str, tree: PyTree) -> list[str]:
    names = [
        f"{what}{_path(path)} is NaN or infinite"
        for path, x in jax.tree.leaves_with_path(tree)
        if jnp.issubdtype(x.dtype, jnp.floating) and not np.isfinite(np.asarray(x, np.float32)).all()
    ]
    return names[:1]


class _TinyState(NamedTuple):
    time: Array  # [] int32
    end: Array  # [] int32, drawn: episodes of unequal length
    forbidden: Array  # [N] int32, changes in every step


@dataclasses.dataclass(frozen=True)
class _Tiny:
    """Two agents, three actions of which one is forbidden, up to six steps: what an algorithm is tried on."""

    continuous: bool = False
    num_agents, num_actions, view_size, state_size, length = 2, 3, 4, 5, 6

    def reset(self, key: Key) -> tuple[_TinyState, Observation]:
        end, forbidden = jax.random.split(key)
        state = _TinyState(
            jnp.zeros((), jnp.int32),
            jax.random.randint(end, (), 2, self.length + 1),
            jax.random.randint(forbidden, (2,), 0, 3),
        )
        return state, self._observe(state)

    def step(self, key: Key, state: _TinyState, action: Array) -> tuple[_TinyState, Timestep]:
        reward = (action == state.time % 3).astype(jnp.float32) if not self.continuous else action.sum(-1)
        state = _TinyState(state.time + 1, state.end, jax.random.randint(key, (2,), 0, 3))
        late = state.time >= self.length
        over = (state.time >= state.end) & ~late
        return state, Timestep(self._observe(state), reward, over, late, {})

    def _observe(self, state: _TinyState) -> Observation:
        free = jnp.arange(3) != state.forbidden[:, None]
        available = jnp.ones((2, 3), bool) if self.continuous else free
        view = jnp.concatenate([free, jnp.broadcast_to(state.time / self.length, (2, 1))], -1)
        full = jnp.stack([state.time, state.end, *state.forbidden, state.time % 3]).astype(jnp.float32)
        return Observation(view, full, available)


# Words and small things ----------------------------------------------------------------------------------------------


def _is_algorithm(thing: Any) -> bool:
    if isinstance(thing, Algorithm) or inspect.ismodule(thing):
        return True
    if inspect.isclass(thing) or not dataclasses.is_dataclass(thing) or hasattr(thing, "step"):
        return False
    return hasattr(sys.modules[type(thing).__module__], "make")


def _maker(thing: Any) -> tuple[Any, Callable[[Any, Environment], Algorithm]]:
    """(config, make)."""
    if isinstance(thing, Algorithm):
        return None, lambda config, env: thing
    module = thing if inspect.ismodule(thing) else sys.modules[type(thing).__module__]
    if not callable(getattr(module, "make", None)):
        raise ValueError(f"{module.__name__} has no make(config, env)")
    if not inspect.ismodule(thing):
        return thing, module.make
    return module.Config() if hasattr(module, "Config") else None, module.make


def _reset_of(env: Any) -> Callable[[Key], Any]:
    """reset(key), also of games that ask for the number of the episode."""
    if len(inspect.signature(env.reset).parameters) > 1:
        return lambda key: env.reset(key, jnp.zeros((), jnp.int32))
    return lambda key: env.reset(key)


def _view_shape(env: Any) -> tuple[int, ...]:
    return env.view_size if isinstance(env.view_size, tuple) else (env.view_size,)


def _action_shape(env: Any) -> PyTree:
    if env.continuous:
        return jax.ShapeDtypeStruct((env.num_agents, env.num_actions), jnp.float32)
    one = jax.ShapeDtypeStruct((env.num_agents,), jnp.int32)
    heads = getattr(env, "heads", None)
    return one if heads is None else tuple(one for _ in heads)


_UNKNOWN_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerArrayConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def _error(f: Callable, *arguments: Any) -> Exception | None:
    try:
        jax.eval_shape(lambda *xs: f(*xs), *arguments)  # a new function each time: jax remembers old ones
    except Exception as error:
        return error
    return None


def _trace(name: str, f: Callable, *arguments: Any) -> tuple[Any, list[str]]:
    """(shapes that `f` returns, problems)."""
    try:
        return jax.eval_shape(lambda *xs: f(*xs), *arguments), []
    except _UNKNOWN_VALUE as error:
        return None, [
            f"{name} {BROKEN}: it asks for the value of an array{_place(error)}; use jnp and lax, jnp.where for if"
        ]
    except jax.errors.UnexpectedTracerError as error:
        return None, [f"{name} keeps arrays of an earlier call{_place(error)}: {_NO_MEMORY}"]
    except Exception as error:
        return None, [f"{name} {BROKEN}: {_reason(error)}"]


def _hidden_state_problems(name: str, jaxpr: Callable[[], Any]) -> list[str]:
    """Traces twice: a counter or a random number that Python keeps makes another program the second time."""
    try:
        first, second = jaxpr(), jaxpr()
        same = str(first.jaxpr) == str(second.jaxpr) and _equal(tuple(first.consts), tuple(second.consts))
    except (jax.errors.UnexpectedTracerError, jax.errors.TracerArrayConversionError):
        return [f"{name} keeps arrays of an earlier call: {_NO_MEMORY}"]
    return [] if same else [f"{name} does something else when it is called again: {_NO_MEMORY}"]


def _run(f: Callable, *arguments: Any) -> Any:
    """The results as numpy arrays, or in words why there are none."""
    try:
        return jax.tree.map(_plain, f(*arguments))
    except Exception as error:
        return _reason(error)


def _plain(x: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)


def _equal(first: PyTree, second: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f") for x, y in pairs)


def _close(first: PyTree, second: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.allclose(x, y, atol=1e-4) for x, y in pairs)


def _change_problems(what: str, before: PyTree, after: PyTree, first: str, second: str) -> list[str]:
    """A tree that goes through a scan keeps its structure, shapes and dtypes."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        names = [{_path(path) for path, _ in jax.tree.leaves_with_path(tree)} for tree in (before, after)]
        gone, new = sorted(names[0] - names[1]), sorted(names[1] - names[0])
        how = f"{what}{gone[0]} is gone" if gone else f"{what}{new[0]} is new" if new else f"it is {_kind(after)}"
        return [f"the structure of {what} differs between {first} and {second}: {how}"]
    pairs = zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True)
    return [
        f"{what}{_path(path)} is {_shape(x)} from {first} and {_shape(y)} from {second}: it must stay the same"
        for (path, x), y in pairs
        if x.shape != y.shape or x.dtype != y.dtype
    ]


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _is_number(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.number) or x.dtype == bool


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))


def _shape(x: Any) -> str:
    """float32[2, 4], a tuple of such, or the type of what is no array."""
    if isinstance(x, tuple):
        return f"({', '.join(map(_shape, x))})"
    return f"{x.dtype}{list(x.shape)}" if _is_array(x) else _kind(x)


def _kind(x: Any) -> str:
    if isinstance(x, tuple) and not hasattr(x, "_fields"):
        return f"a tuple of {len(x)}"
    return "None" if x is None else f"{'an' if type(x).__name__[0] in 'AEIOUaeiou' else 'a'} {type(x).__name__}"


def _name(env: Any) -> str:
    return type(env).__name__


def _path(path: Any) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return f".{name}" if name else ""


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = lines[0] if len(lines[0]) <= 200 else lines[0][:197] + "..."
    return (text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}") + _place(error)


def _place(error: Exception) -> str:
    """' (my_game.py, line 31)': the last line outside of jax's own packages that led to the error."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not {"jax", "jaxlib", "equinox", "optax"} & set(Path(frame.filename).parts) and frame.filename != __file__
    ]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
