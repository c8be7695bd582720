"""A game that Python steps: an environment of PettingZoo or Gymnasium, by name, by a user's file, or as a function.

comity's own games are compiled. Of a hosted game, a compiled program knows only the shapes: `host` plays it between two
compiled programs (`comity.training.stepping`).
"""

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from comity.extras import needed
from comity.interop import bodies, makers
from comity.interop.games import Batch, Game, made
from comity.interop.spaces import Spaces
from comity.runs.reading import dump_yaml, parse_yaml
from comity.runs.sources import Files
from comity.runs.values import plain, same
from comity.settings import Positive, check, did_you_mean
from comity.spec import Box, Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

WORTHWHILE = 2e-3  # if a step of all games takes more seconds, several processes are faster
MEASURED = 50  # number of steps whose time is measured
PICTURES = "rgb_array"
USUAL = "parallel_env"  # usual name of the function in PettingZoo's modules


@dataclass(frozen=True)
class Hosted:
    """A game that Python steps.

    Views are flattened by gymnasium and padded with zeros to the longest. With discrete actions, `available` marks the
    actions that an agent has and that its `action_mask` allows, from its info or observation; with boxes, the numbers
    that it has. An agent that has left sees zeros, gets reward 0, and has only action 0. The state is the game's own
    `state()`, or all views joined.
    """

    length: Positive[int] | None = None  # time limit in steps, which truncates a game; None: the environment's own
    options: tuple[str, ...] = ()  # NAME=VALUE, arguments with which the environment is made; values as in YAML

    processes: Positive[int] | None = None  # number of processes; results are equal. None: several if faster

    maker: ClassVar[Callable[..., Any]]  # (**options) -> a new ParallelEnv; each environment has a subclass of its own
    title: ClassVar[str]

    def __post_init__(self):
        check(self)
        _ = self.chosen

    @cached_property
    def chosen(self) -> dict[str, Any]:
        """Returns the options as {name: value}."""
        return dict(map(_option, self.options))

    def make(self, **more: Any) -> Any:
        """Returns a new environment."""
        return makers.Maker(self.maker, {**self.chosen, **more})()

    @cached_property
    def sample(self) -> Any:
        """An environment that only shows its spaces."""
        env = made(self.make)
        env.reset(seed=0)
        return env

    @cached_property
    def spaces(self) -> Spaces:
        return Spaces(self.sample)

    @property
    def spec(self) -> Spec:
        return self._spec

    @cached_property
    def _spec(self) -> Spec:
        spaces = self.spaces
        action = Box(spaces.action) if spaces.continuous else Discrete(spaces.action)
        return Spec(
            spaces.agents, Vector(spaces.view), action, self.length or self._limit(), state=Vector(spaces.state),
            mixed_motive=spaces.agents > 1 and not spaces.of_team, headline=(*spaces.measures, "return")[0],
            agent_names=tuple(map(str, spaces.names)),
            action_names=bodies.actuators(self.sample, spaces.action_sizes) if spaces.continuous else (),
            unread=frozenset({"processes"}),
        )  # fmt: skip

    def _limit(self) -> int:
        """Returns the environment's own time limit. Raises ValueError if it has none."""
        inner = getattr(self.sample, "unwrapped", self.sample)
        known = getattr(self.sample, "limit", None), *(getattr(inner, name, None) for name in LIMITS)
        found = next((int(x) for x in known if isinstance(x, int) and not isinstance(x, bool) and x > 0), None)
        if found is None:
            raise ValueError(
                f"{self.title} does not say how long an episode is at most: give length, as by --task.length 1000"
            )
        return found

    def seen(self, env: Any, observations: dict, infos: dict) -> Observation:
        """Returns the observation of any such environment, flattened and padded as in training."""
        here = list(env.agents)
        found: Any = self.spaces.seen(env, observations, infos or {}, here, here, 0)
        return Observation(*found)

    def actions(self, env: Any, action: Any) -> dict[Any, Any]:
        """Returns the actions for that environment's `step`, for agents still there. action: [N]; boxes: [N, A]."""
        spaces = self.spaces
        return {name: spaces.action_of(k, action[k]) for k, name in enumerate(spaces.names) if name in env.agents}

    def host(self, games: int, pictures: bool = False) -> Any:
        """Returns a `comity.spec.Host` of so many games. pictures: games draw themselves if they can, in this process.
        Raises ValueError if the games do not fit."""
        if pictures:
            return Batch(self._drawing, self.spec.length, games)
        wanted = min(self.processes or visible_cores(), games)
        if wanted > 1 and (self.processes or games * self.seconds > WORTHWHILE):
            from comity.interop.workers import Workers  # imports gymnasium

            return Workers(makers.Maker(self.maker, self.chosen), self.spec.length, games, self.spaces, wanted)
        return Batch(self.make, self.spec.length, games)

    @cached_property
    def seconds(self) -> float:
        """Seconds of one step of one game: the median over some steps with random actions."""
        game, rng, took = Game(made(self.make), self.spaces, self.spec.length), np.random.default_rng(0), []
        seen, began = game.begin(0), time.perf_counter()
        while len(took) < MEASURED and time.perf_counter() - began < 1:
            if self.spaces.continuous:
                action = rng.uniform(-1, 1, seen.available.shape)
            else:
                action = (rng.random(seen.available.shape) * seen.available).argmax(-1)
            start = time.perf_counter()
            seen, _, terminated, truncated = game.step(action)
            took.append(time.perf_counter() - start)
            if terminated or truncated:
                seen = game.begin(len(took))
        game.env.close()
        return float(np.median(took))

    def _drawing(self) -> Any:
        """Returns a new environment that draws itself if it can."""
        modes = getattr(self.sample, "metadata", None) or {}
        if PICTURES not in modes.get("render_modes", ()):
            return self.make()
        try:
            return self.make(render_mode=PICTURES)
        except TypeError:  # it has no such argument, but may still draw
            return self.make()

    # Only shapes, from which algorithms build a replay; these functions cannot play.

    def reset(self, key: Key) -> tuple[tuple[()], Observation]:
        return (), self._shapes()

    def step(self, key: Key, state: tuple[()], action: Any) -> tuple[tuple[()], Timestep]:
        never = jnp.bool_(False)
        info = {name: jnp.zeros(()) for name in self.spaces.measures}
        return (), Timestep(self._shapes(), jnp.zeros(self.spec.agents), never, never, info)

    def _shapes(self) -> Observation:
        spec = self.spec
        shape = spec.agents, self.spaces.action
        return Observation(jnp.zeros((spec.agents, spec.view.size)), jnp.zeros(spec.state.size), jnp.ones(shape, bool))


def visible_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


LIMITS = ("max_cycles", "max_steps", "max_episode_steps")  # names that environments have for their time limit


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise ValueError(f"options {text!r} is no NAME=VALUE: give one, such as max_cycles=25")
    return name, parse_yaml(value, f"option {name}")


def _worded(options: dict[str, Any]) -> tuple[str, ...]:
    """Returns options as texts. Raises ValueError for an option that cannot be written as text."""
    words = []
    for name, value in options.items():
        text = dump_yaml(plain(value, f"option {name}")).removesuffix("...\n").strip()
        flow = text if "\n" not in text else repr(value)
        if not same(parse_yaml(flow, name), plain(value, name)):
            raise ValueError(f"option {name} {value!r} cannot be written down: give make as a function of no arguments")
        words.append(f"{name}={flow}")
    return tuple(words)


# ---------------------------------------------------------------------- environments by name


def in_registry(host: str, what: str) -> bool:
    """True if HOST:WHAT is a name in gymnasium's registry, not a module or a file."""
    return host == "gymnasium" and ":" not in what and not what.endswith(".py")


def of_registry(title: str, name: str) -> type[Hosted]:
    """Returns the game of a name in gymnasium's registry. Raises ValueError, with the nearest names, for others."""
    gymnasium = _extra("gymnasium", title)
    if name not in gymnasium.registry:
        raise ValueError(f"task {title}: gymnasium knows no {name}{did_you_mean(name, gymnasium.registry)}")

    return _known(title, makers.Registered(name))


def engine_of(host: str) -> tuple[str, ...]:
    """Packages that a physics engine with short names for its bodies needs; () for other hosts."""
    return bodies.PACKAGES.get(host, ())


def of_body(title: str, host: str, body: str, engine: bool = True) -> type[Hosted]:
    """Returns the game of a body of a physics engine. engine: raises ValueError if the engine is not installed."""
    if engine:
        bodies.require(host, title)
    return _known(title, bodies.Split(body) if host == "mamujoco" else bodies.Body(host, body))


def package_of(name: str) -> str:
    """Returns the package of an environment in gymnasium's registry."""
    entry = needed("gymnasium").registry[name].entry_point
    return str(entry if isinstance(entry, str) else getattr(entry, "__module__", entry)).partition(":")[0]


def of_module(title: str, host: str, module: ModuleType, attribute: str, files: Files | None = None) -> type[Hosted]:
    """Returns the game of a module, which makes it by the function or class `attribute`; "": by `parallel_env`.

    files: the module is a user's own.
    """
    _extra(host, title)
    attribute = attribute or (USUAL if hasattr(module, USUAL) else "")
    if not attribute:
        turns = ", only one in which agents take turns (env)" if hasattr(module, "env") else ""
        names = [n for n, x in vars(module).items() if isinstance(x, type) and x.__module__ == module.__name__]
        raise ValueError(
            f"task {title}: {module.__name__} has no {USUAL}{turns}; name a class or a function, {title}:NAME, one of "
            f"{', '.join(names) or 'none found'}"
        )
    if not callable(getattr(module, attribute, None)):
        raise ValueError(f"task {title}: {module.__name__} has no {attribute}{did_you_mean(attribute, vars(module))}")
    if module.__name__ == "__main__":  # another process would run it again to find it there
        return _class(title, makers.Given(host, getattr(module, attribute)))
    return _known(title, makers.Defined(host, module.__name__, attribute, files))


def of_function(title: str, host: str, function: Any) -> type[Hosted]:
    """Returns the game of an environment that a function or class makes."""
    return _class(title, makers.Given(host, function))


def _class(title: str, maker: Callable[..., Any]) -> type[Hosted]:
    members = {"maker": maker, "title": title, "__module__": __name__}
    return dataclass(frozen=True)(type("Hosted", (Hosted,), members))


_known = functools.cache(_class)  # equal games have the same class, so a second training compiles nothing


def _extra(host: str, title: str) -> Any:
    try:
        return needed(host)
    except ImportError as error:
        raise ValueError(f"task {title}: {error}") from error


# ---------------------------------------------------------------------- from Python


def from_pettingzoo(make: Callable[[], Any] | str, length: int | None = None, **options: Any) -> Hosted:
    """Returns a PettingZoo parallel environment as a game, for `comity.train` and all other functions.

    make: name of its module, such as "mpe2.simple_spread_v3", or a function or class that makes a new ParallelEnv at
    each call. length: time limit in steps, which truncates a game; None: the environment's own. options: arguments with
    which it is made. Raises ValueError if it cannot be played here.
    """
    return _game_of("pettingzoo", make, length, options)


def from_gymnasium(make: Callable[[], Any] | str, length: int | None = None, **options: Any) -> Hosted:
    """Returns a Gymnasium environment as a game of one agent. make: its name in the registry, a function or a class."""
    return _game_of("gymnasium", make, length, options)


def _game_of(host: str, make: Any, length: int | None, options: dict[str, Any]) -> Hosted:
    from comity.recipes import find_task, source_of_hosted  # these modules import this one

    source = find_task(f"{host}:{make}") if isinstance(make, str) else source_of_hosted(host, make)
    game = source.thing(length, _worded(options))
    _ = game.spec
    return game
