"""Finds the problems of a game, one line each."""

import dataclasses
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity import rollout
from comity.checking import specs, words
from comity.checking.hosted import hosted_problems
from comity.checking.tracing import NO_MEMORY, change_problems, equal, hidden_state_problems, run, trace
from comity.checking.words import is_array, is_number
from comity.learning import masked, sample
from comity.runs import keys
from comity.spec import Box, Image, MultiDiscrete, functions, member
from comity.types import Key, Observation, PyTree, Timestep, Transition, begin

GAMES = 8  # number of parallel games that `check` plays


def game_problems(env: Any, play: bool) -> list[str]:
    if inspect.isclass(env):
        return [f"{env.__name__} is a class: give an instance, {env.__name__}()"]
    if functions(env).host:
        return hosted_problems(env, play)
    problems = _member_problems(env)
    if problems:
        return problems
    traced, problems = _traced_game(env)
    if traced is None:
        return problems
    problems += _extras_problems(env, traced)
    if play and not problems:
        problems += _played_game_problems(env)
    return problems


def _member_problems(env: Any) -> list[str]:
    problems = []
    try:
        spec = env.spec
    except Exception as error:
        missing = isinstance(error, AttributeError) and error.name == "spec" and error.obj is env
        problems.append(_no_spec(env) if missing else f"spec fails: {words.reason(error)}")
    else:
        problems += specs.spec_problems(spec)
    for name, meaning in _METHODS.items():
        value = member(env, name, problems)
        if value is problems:
            problems.append(f"{words.name(env)} has no `{name}`: {meaning}")
        elif not callable(value):
            problems.append(f"`{name}` is {value!r}, not a method: {meaning}")
    if dataclasses.is_dataclass(env):
        if not env.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
            problems.append(
                f"{words.name(env)} is a dataclass that can be changed: write @dataclass(frozen=True), since a "
                "compiled program would not see the change"
            )
        if any(field.name == "spec" for field in dataclasses.fields(env)):
            problems.append("`spec` is a field of the dataclass, as if it were a setting: write it without a type")
    return problems


def _no_spec(env: Any) -> str:
    """The line for a game without `spec`: what to write, with the numbers of a game in the old form."""
    old = {name: member(env, name) for name in ("num_agents", "num_actions", "view_size", "state_size", "length")}
    said = [name for name, value in old.items() if value is not None and name != "length"]
    agents, actions, view, state, length = (
        default if value is None else value for value, default in zip(old.values(), (2, 3, 4, 0, 10), strict=True)
    )
    heads, continuous = member(env, "heads"), member(env, "continuous")
    action = f"MultiDiscrete({heads})" if heads else f"Box({actions})" if continuous else f"Discrete({actions})"
    seen = f"Image{tuple(view)}" if isinstance(view, (tuple, list)) else f"Vector({view})"
    more = f", state=Vector({state})" if state else ""
    now = f"; it takes the place of {', '.join(said)}" if said else ""
    return (
        f"{words.name(env)} has no `spec`: write spec = Spec(agents={agents}, view={seen}, action={action}, "
        f"length={length}{more}), how many play, what each sees, what each does, and the most steps of an episode; "
        f"all are in comity.spec{now}"
    )


_METHODS = {
    "reset": "reset(key) -> (state, observation)",
    "step": "step(key, state, action) -> (state, timestep)",
}


def empty_sizes(env: Any) -> list[str]:
    """Returns a line each about empty views and about an empty state."""
    lines = []
    if not env.spec.view.size:
        lines.append(
            f"agents see nothing (spec.view: {env.spec.view}): they cannot tell each other, or states, apart; "
            "give a view if they are to"
        )
    if not env.spec.state.size:
        lines.append(
            f"the game's state is empty (spec.state: {env.spec.state}): a central critic has nothing to read; give a "
            "state for one, or take an algorithm without it"
        )
    return lines


class _Game(NamedTuple):
    """Shapes of a traced game."""

    state: PyTree
    observation: Observation
    timestep: Timestep


def _traced_game(env: Any) -> tuple[_Game | None, list[str]]:
    """Returns (shapes, problems); shapes are None if problems prevent further checks."""
    reset, key = reset_of(env), jax.random.key(0)
    result, problems = trace("reset", reset, key)
    if problems:
        return None, problems
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Observation):
        return None, [f"reset returns {words.kind(result)}: it must return (state, Observation)"]
    state, observation = result
    problems = _observation_problems(env, observation, "reset")
    if problems:
        return None, problems

    result, problems = trace("step", env.step, key, state, action_shape(env))
    if problems:
        return None, problems
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Timestep):
        return None, [f"step returns {words.kind(result)}: it must return (state, Timestep)"]
    after, timestep = result
    problems = change_problems("state", state, after, "reset", "step")
    if isinstance(timestep.observation, Observation):
        own = _observation_problems(env, timestep.observation, "step")
        problems += own or change_problems("observation", observation, timestep.observation, "reset", "step")
    else:
        problems.append(f"step's timestep.observation is {words.kind(timestep.observation)}: it must be an Observation")
    problems += _timestep_problems(env, timestep)
    if problems:
        return None, problems
    for name, call in (
        ("reset", lambda: jax.make_jaxpr(lambda k: reset(k))(key)),
        ("step", lambda: jax.make_jaxpr(lambda *xs: env.step(*xs))(key, state, action_shape(env))),
    ):
        problems += hidden_state_problems(name, call)
    return _Game(state, observation, timestep), problems


def _observation_problems(env: Any, observation: Observation, where: str) -> list[str]:
    problems = [
        f"{where}'s observation.{name} is {words.kind(value)}, not an array"
        for name, value in zip(("view", "state"), observation[:2], strict=True)
        if not is_array(value)
    ]
    if problems:
        return problems
    spec, view = env.spec, observation.view
    agents, wanted = spec.agents, (spec.agents, *spec.view.shape)
    if view.shape != wanted:
        problems.append(
            f"{where}'s observation.view is {words.shape(view)}: {agents} agents and {spec.view} ask for {list(wanted)}"
        )
    elif isinstance(spec.view, Image) and not jnp.issubdtype(view.dtype, jnp.integer):
        problems.append(
            f"{where}'s observation.view is {words.shape(view)}: a picture holds whole numbers from 0 to "
            f"{spec.view.high}; give uint8"
        )
    if (numbers := math.prod(observation.state.shape)) != spec.state.size:
        problems.append(
            f"{where}'s observation.state is {words.shape(observation.state)}, {numbers} numbers: spec.state has "
            f"{spec.state.size}"
        )
    for name, value in (("view", view), ("state", observation.state)):
        if not is_number(value):
            problems.append(f"{where}'s observation.{name} is {words.shape(value)}: networks read numbers")
    available, several = observation.available, isinstance(spec.action, MultiDiscrete)
    if isinstance(available, tuple) != several:
        what = "no tuple, but spec.action is" if several else "a tuple, but spec.action is no"
        return [*problems, f"{where}'s observation.available is {what} MultiDiscrete: several action heads need both"]
    counts: tuple[int, ...] = spec.action.heads if several else (spec.action.n,)
    entries = available if isinstance(available, tuple) else (available,)
    if len(counts) != len(entries):
        return [*problems, f"{where}'s observation.available has {len(entries)} entries, spec.action {len(counts)}"]
    for count, entry in zip(counts, entries, strict=True):
        if not is_array(entry) or entry.shape != (agents, count) or entry.dtype != bool:
            problems.append(
                f"{where}'s observation.available is {words.shape(entry)}: it must be bool[{agents}, {count}]"
            )
    return problems


def _timestep_problems(env: Any, timestep: Timestep) -> list[str]:
    agents, problems = env.spec.agents, []
    reward = timestep.reward
    if not is_array(reward) or reward.shape != (agents,) or reward.dtype != jnp.float32:
        why = ""
        if is_array(reward) and reward.dtype == jnp.float64:
            why = "; jax_enable_x64 is on, which makes float64: write .astype(jnp.float32), or leave it off"
        problems.append(
            f"reward is {words.shape(reward)}: it must be float32[{agents}], one for each agent (a team repeats its "
            f"one){why}"
        )
    for name in ("terminated", "truncated"):
        value = getattr(timestep, name)
        if not is_array(value) or value.shape != () or value.dtype != bool:
            problems.append(f"{name} is {words.shape(value)}: it must be bool[]; write jnp.bool_(False) for never")
    if not isinstance(timestep.info, dict):
        return [
            *problems,
            f"info is {words.kind(timestep.info)}: it must be a dict of names and amounts, {{}} for none",
        ]
    for name, value in timestep.info.items():
        if taken := keys.problem(name):
            problems.append(f"info has the name {name!r}, {taken}")
        elif not is_array(value) or value.shape not in ((), (agents,)) or not is_number(value):
            problems.append(
                f"info[{name!r}] is {words.shape(value)}: it must be one number [] or one per agent [{agents}]"
            )
    return problems


def _extras_problems(env: Any, game: _Game) -> list[str]:
    """Lists problems of the parts that only some games have: summary, headline, training_reward, draw, scripts."""
    spec, own = env.spec, functions(env)
    names, problems = {"return", "length", *game.timestep.info}, []
    steps = lambda x: jax.ShapeDtypeStruct((spec.length, GAMES, *x.shape), x.dtype)  # noqa: E731
    reward, info = steps(game.timestep.reward), jax.tree.map(steps, game.timestep.info)
    if own.summary:
        valid = jax.ShapeDtypeStruct((spec.length, GAMES), bool)
        result, problems = trace("summary", own.summary, reward, info, valid)
        if not problems and not isinstance(result, dict):
            problems = [f"summary returns {words.kind(result)}: it must return a dict of statistics"]
        for name, value in (result or {}).items() if not problems else ():
            if name not in ("return", "length") and (taken := keys.problem(name)):  # it may return these two itself
                problems.append(f"summary has the name {name!r}, {taken}")
            elif not is_array(value) or value.shape not in ((GAMES,), (GAMES, spec.agents)):
                problems.append(
                    f"summary's {name!r} is {words.shape(value)} for {GAMES} games: it must be [B] or [B, N]"
                )
        names = {"return", "length", *(result or {})}
    if not problems and spec.headline not in names:
        problems.append(
            f"spec.headline is {spec.headline!r}, which is no statistic: there are {', '.join(sorted(names))}"
        )
    if spec.scripts and not (own.script or own.scripted_team):
        problems.append("spec.scripts has names, but the game has no script(name) -> (memory, act)")
    if not problems and own.training_reward:
        problems += _training_reward_problems(env)
    if not problems and own.step_games:
        problems += _step_games_problems(env, game)
    if not problems and (own.pack is None) != (own.unpack is None):
        problems.append("pack and unpack belong together: give both, or neither")
    if not problems and own.pack and own.unpack:
        pack, unpack = own.pack, own.unpack
        result, problems = trace("unpack", lambda seen: unpack(pack(seen)), game.observation)
        problems += change_problems("observation", game.observation, result, "pack", "unpack") if not problems else []
    if own.draw and not problems:
        problems += _draw_problems(env, own.draw)
    return problems


def _draw_problems(env: Any, draw: Callable[..., Any]) -> list[str]:
    state = jax.tree.map(np.asarray, jax.jit(lambda key: reset_of(env)(key)[0])(jax.random.key(0)))
    try:
        picture = draw(state)
    except Exception as error:
        return [f"draw fails on the state after reset: {words.reason(error)}"]
    fits = isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[-1] == 3
    if not fits or picture.dtype != np.uint8:
        return [f"draw returns {words.shape(picture)}: it must return a numpy array uint8 [H, W, 3]"]
    return []


def _training_reward_problems(env: Any) -> list[str]:
    def shaped(key):
        steps = _random_steps(env, key)
        return steps.reward, _sure(functions(env).training_reward)(key, steps, jnp.int32(0))

    result, problems = trace("training_reward", shaped, jax.random.key(0))
    if problems or words.shape(result[0]) == words.shape(result[1]):
        return problems
    return [f"training_reward gives {words.shape(result[1])} for rewards {words.shape(result[0])}"]


def _step_games_problems(env: Any, game: _Game) -> list[str]:
    keys = jax.eval_shape(lambda key: jax.random.split(key, GAMES), jax.random.key(0))
    several = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct((GAMES, *x.shape), x.dtype), tree)  # noqa: E731
    state, action = several(game.state), several(action_shape(env))
    result, problems = trace("step_games", _sure(functions(env).step_games), keys, state, action)
    return problems or change_problems("result", several((game.state, game.timestep)), result, "step", "step_games")


class _Played(NamedTuple):
    """Findings of random play."""

    endless: Array  # [] bool, a game goes on after `length` steps
    stuck: Array  # [] bool, an agent has no available action
    infinite: dict[str, Array]  # [] bool each, has NaN or infinity
    everything: PyTree  # all results, for comparison


def _played_game_problems(env: Any) -> list[str]:
    play = jax.jit(partial(_random_play, env))
    played = run(play, jax.random.key(1))
    if isinstance(played, str):
        return [f"random play fails: {played}"]
    problems = []
    if played.endless:
        problems.append(
            f"an episode lasts longer than length {env.spec.length}: end it, terminated or truncated, with step "
            f"{env.spec.length}"
        )
    if played.stuck:
        problems.append("an agent has no available action in a running game: leave it one, such as doing nothing")
    problems += [f"{name} becomes NaN or infinite in random play" for name, bad in played.infinite.items() if bad]
    again = run(play, jax.random.key(1))
    if isinstance(again, str) or not equal(played.everything, again.everything):
        problems.append("the same keys, states and actions give another result the second time: " + NO_MEMORY)
    own = functions(env)
    if own.step_games and not equal(*run(jax.jit(partial(_both_steps, env)), jax.random.key(1))):
        problems.append("step_games gives another result than step of each game")
    if own.pack and not equal(*run(jax.jit(partial(_packed_too, env)), jax.random.key(1))):
        problems.append(
            "unpack gives another observation than pack was given: a replay would return false observations"
        )
    return problems


def _random_play(env: Any, key: Key) -> _Played:
    """Plays GAMES games with random actions, for the most steps of an episode."""

    steps = _random_steps(env, key)
    running = steps.valid[..., None]
    entries = steps.observation.available
    none = jnp.stack([~a.any(-1) for a in (entries if isinstance(entries, tuple) else (entries,))]).any(0)  # [T, B, N]
    view, state = steps.observation.view, steps.observation.state
    seen = {"reward": steps.reward, "observation.view": view, "observation.state": state}
    seen |= {f"info[{name!r}]": value for name, value in steps.info.items()}
    infinite = {name: ~jnp.isfinite(x.astype(jnp.float32)).all() for name, x in seen.items()}
    everything = steps.observation, steps.reward, steps.info, steps.ended
    return _Played(~steps.ended.any(0).all(), (none & running).any(), infinite, everything)


def _random_steps(env: Any, key: Key) -> Transition:
    def act(key, memory, observation):
        return _random_action(key, env, observation), memory, {}

    key_start, key = jax.random.split(key)
    return rollout.collect_episodes(key, env, act, rollout.start(key_start, env, (), GAMES, jnp.arange(GAMES)))


def _both_steps(env: Any, key: Key) -> tuple[PyTree, PyTree]:
    """Returns the results of one random step of GAMES games: by `step_games`, and by `step` for each game."""
    start = rollout.start(key, env, (), GAMES, jnp.arange(GAMES))
    action, keys = _random_action(key, env, start.observation), jax.random.split(key, GAMES)
    return _sure(functions(env).step_games)(keys, start.game, action), jax.vmap(env.step)(keys, start.game, action)


def _packed_too(env: Any, key: Key) -> tuple[PyTree, PyTree]:
    """Returns observations of random play, and the same observations after `pack` and `unpack`."""
    seen, own = _random_steps(env, key).observation, functions(env)
    pack, unpack = _sure(own.pack), _sure(own.unpack)
    return seen, jax.vmap(jax.vmap(lambda one: unpack(pack(one))))(seen)


def _random_action(key: Key, env: Any, observation: Observation) -> PyTree:
    entries = observation.available
    if isinstance(env.spec.action, Box):
        return jnp.where(entries, jax.random.uniform(key, entries.shape, minval=-1.0, maxval=1.0), 0.0)
    if not isinstance(entries, tuple):
        return sample(key, masked(jnp.zeros(entries.shape), entries))
    keys = jax.random.split(key, len(entries))
    return tuple(sample(k, masked(jnp.zeros(x.shape), x)) for k, x in zip(keys, entries, strict=True))


def reset_of(env: Any) -> Callable[[Key], Any]:
    """Returns reset(key) of a game, also if its reset takes the number of the episode."""
    return lambda key: begin(env, key, jnp.zeros((), jnp.int32))


def action_shape(env: Any) -> PyTree:
    action, agents = env.spec.action, env.spec.agents
    if isinstance(action, Box):
        return jax.ShapeDtypeStruct((agents, action.n), jnp.float32)
    one = jax.ShapeDtypeStruct((agents,), jnp.int32)
    return tuple(one for _ in action.heads) if isinstance(action, MultiDiscrete) else one


def _sure(function: Callable[..., Any] | None) -> Callable[..., Any]:
    """Returns a function of a game that must exist here."""
    assert function
    return function
