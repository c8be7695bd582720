"""A game that Python steps: an environment of PettingZoo or Gymnasium, by name, by a user's file, or as a function.

comity's own games are compiled; of this one a program knows the shapes alone, and `host` plays it between two compiled
programs (`comity.training.stepping`).
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

WORTHWHILE = 2e-3  # seconds of a step of all games, from which on several processes are faster
MEASURED = 50  # steps
PICTURES = "rgb_array"
USUAL = "parallel_env"  # what a module of PettingZoo's calls its function


@dataclass(frozen=True)
class Hosted:
    """A game that Python steps.

    Views are flattened by gymnasium and padded with zeros to the longest. With discrete actions `available` says which
    an agent has, and which its `action_mask` allows, from its info or its observation; with boxes, which numbers. Who
    has left sees zeros, earns 0, and has action 0 alone. The state is the game's own `state()`, or all views in a row.
    """

    length: Positive[int] | None = None  # steps after which a game is cut; None: the environment's own limit
    options: tuple[str, ...] = ()  # NAME=VALUE, what the environment is made with; values as in YAML

    processes: Positive[int] | None = None  # that step it, of equal results; None: several where that is faster

    maker: ClassVar[Callable[..., Any]]  # (**options) -> a new ParallelEnv; of one class for each environment
    title: ClassVar[str]

    def __post_init__(self):
        check(self)
        _ = self.chosen

    @cached_property
    def chosen(self) -> dict[str, Any]:
        """The options by name."""
        return dict(map(_option, self.options))

    def make(self, **more: Any) -> Any:
        """A new environment."""
        return makers.Maker(self.maker, {**self.chosen, **more})()

    @cached_property
    def sample(self) -> Any:
        """One that only tells its spaces."""
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
            mixed_motive=spaces.agents > 1, agent_names=tuple(map(str, spaces.names)),
            action_names=bodies.actuators(self.sample, spaces.action_sizes) if spaces.continuous else (),
            unread=frozenset({"processes"}),
        )  # fmt: skip

    def _limit(self) -> int:
        """The environment's own number of steps. Raises ValueError if it says none."""
        inner = getattr(self.sample, "unwrapped", self.sample)
        known = getattr(self.sample, "limit", None), *(getattr(inner, name, None) for name in LIMITS)
        found = next((int(x) for x in known if isinstance(x, int) and not isinstance(x, bool) and x > 0), None)
        if found is None:
            raise ValueError(
                f"{self.title} does not say how long an episode is at most: give length, as by --task.length 1000"
            )
        return found

    def seen(self, env: Any, observations: dict, infos: dict) -> Observation:
        """What an environment of one's own shows, as in training: flattened and padded, of the agents that are left."""
        here = list(env.agents)
        found: Any = self.spaces.seen(env, observations, infos or {}, here, here, 0)
        return Observation(*found)

    def actions(self, env: Any, action: Any) -> dict[Any, Any]:
        """What that environment's `step` wants, of the agents that are left. action: [N], of boxes [N, A]."""
        spaces = self.spaces
        return {name: spaces.action_of(k, action[k]) for k, name in enumerate(spaces.names) if name in env.agents}

    def host(self, games: int, pictures: bool = False) -> Any:
        """`games` games of it (`comity.spec.Host`), to be begun and stepped by Python. pictures: they draw themselves,
        if they can, in this process. Raises ValueError, one line."""
        if pictures:
            return Batch(self._drawing, self.spec.length, games)
        wanted = min(self.processes or visible_cores(), games)
        if wanted > 1 and (self.processes or games * self.seconds > WORTHWHILE):
            from comity.interop.workers import Workers  # needs gymnasium when it is imported

            return Workers(makers.Maker(self.maker, self.chosen), self.spec.length, games, self.spaces, wanted)
        return Batch(self.make, self.spec.length, games)

    @cached_property
    def seconds(self) -> float:
        """What a step of one game takes: the median of some with random actions."""
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
        """A new environment that draws itself, where it can."""
        modes = getattr(self.sample, "metadata", None) or {}
        if PICTURES not in modes.get("render_modes", ()):
            return self.make()
        try:
            return self.make(render_mode=PICTURES)
        except TypeError:  # it takes no such argument, and may draw all the same
            return self.make()

    # Shapes, for algorithms that build a replay from them; nothing may be played with these.

    def reset(self, key: Key) -> tuple[tuple[()], Observation]:
        return (), self._shapes()

    def step(self, key: Key, state: tuple[()], action: Any) -> tuple[tuple[()], Timestep]:
        never = jnp.bool_(False)
        return (), Timestep(self._shapes(), jnp.zeros(self.spec.agents), never, never, {})

    def _shapes(self) -> Observation:
        spec = self.spec
        shape = spec.agents, self.spaces.action
        return Observation(jnp.zeros((spec.agents, spec.view.size)), jnp.zeros(spec.state.size), jnp.ones(shape, bool))


def visible_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


LIMITS = ("max_cycles", "max_steps", "max_episode_steps")  # what environments call it


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise ValueError(f"options {text!r} is no NAME=VALUE: give one, such as max_cycles=25")
    return name, parse_yaml(value, f"option {name}")


def _worded(options: dict[str, Any]) -> tuple[str, ...]:
    """Options as texts. Raises ValueError for one that no text can say."""
    words = []
    for name, value in options.items():
        text = dump_yaml(plain(value, f"option {name}")).removesuffix("...\n").strip()
        flow = text if "\n" not in text else repr(value)
        if not same(parse_yaml(flow, name), plain(value, name)):
            raise ValueError(f"option {name} {value!r} cannot be written down: give make as a function of no arguments")
        words.append(f"{name}={flow}")
    return tuple(words)


# ---------------------------------------------------------------------- what a name means


def in_registry(host: str, what: str) -> bool:
    """Whether HOST:WHAT is a name in gymnasium's registry, not a module or a file."""
    return host == "gymnasium" and ":" not in what and not what.endswith(".py")


def of_registry(title: str, name: str) -> type[Hosted]:
    """An environment that gymnasium knows by name. Raises ValueError with the nearest names."""
    gymnasium = _extra("gymnasium", title)
    if name not in gymnasium.registry:
        raise ValueError(f"task {title}: gymnasium knows no {name}{did_you_mean(name, gymnasium.registry)}")

    return _known(title, makers.Registered(name))


def engine_of(host: str) -> tuple[str, ...]:
    """Packages of a physics engine whose bodies have short names; () of other hosts."""
    return bodies.PACKAGES.get(host, ())


def of_body(title: str, host: str, body: str, engine: bool = True) -> type[Hosted]:
    """A body of a physics engine. Raises ValueError, one line, if `engine` is wanted and not installed."""
    if engine:
        bodies.require(host, title)
    return _known(title, bodies.Split(body) if host == "mamujoco" else bodies.Body(host, body))


def package_of(name: str) -> str:
    """The package of an environment in gymnasium's registry."""
    entry = needed("gymnasium").registry[name].entry_point
    return str(entry if isinstance(entry, str) else getattr(entry, "__module__", entry)).partition(":")[0]


def of_module(title: str, host: str, module: ModuleType, attribute: str, files: Files | None = None) -> type[Hosted]:
    """An environment that a module makes by the function or class `attribute`; "": by `parallel_env`. files: a user's
    own."""
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
    """An environment that a function or class makes."""
    return _class(title, makers.Given(host, function))


def _class(title: str, maker: Callable[..., Any]) -> type[Hosted]:
    members = {"maker": maker, "title": title, "__module__": __name__}
    return dataclass(frozen=True)(type("Hosted", (Hosted,), members))


_known = functools.cache(_class)  # so that equal games have one class, and a second training compiles nothing


def _extra(host: str, title: str) -> Any:
    try:
        return needed(host)
    except ImportError as error:
        raise ValueError(f"task {title}: {error}") from error


# ---------------------------------------------------------------------- from Python


def from_pettingzoo(make: Callable[[], Any] | str, length: int | None = None, **options: Any) -> Hosted:
    """A PettingZoo parallel environment as a game, for `comity.train` and all else.

    make: its module's name, such as "mpe2.simple_spread_v3", or a function or class that makes a new ParallelEnv at
    each call. length: steps after which a game is cut, if it has not ended by itself; None: as the environment says.
    options: what it is made with. Raises ValueError, one line, for what has no place here.
    """
    return _game_of("pettingzoo", make, length, options)


def from_gymnasium(make: Callable[[], Any] | str, length: int | None = None, **options: Any) -> Hosted:
    """A Gymnasium environment as a game of one agent: by the name in its registry, else as `from_pettingzoo`."""
    return _game_of("gymnasium", make, length, options)


def _game_of(host: str, make: Any, length: int | None, options: dict[str, Any]) -> Hosted:
    from comity.recipes import find_task, source_of_hosted  # which import this module by its name

    source = find_task(f"{host}:{make}") if isinstance(make, str) else source_of_hosted(host, make)
    game = source.thing(length, _worded(options))
    _ = game.spec
    return game
