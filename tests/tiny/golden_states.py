"""States of every algorithm and preset after three updates: cases, their digest, its comparison.

They show whether a change of structure changes results. Names of fields and the order of leaves are not stored: states
are compared as bags of leaves, so fields may be renamed and regrouped. A renamed setting is one edit in the tables
here. tests/golden/README.md describes the file.
"""

import dataclasses
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.optimize import linear_sum_assignment

from comity import rollout
from comity.algorithms import ALGORITHMS
from comity.environments.matrix.ipd import IPD, PROFILES
from comity.environments.matrix.matrix import Matrix
from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction
from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers.preferences import Preferences
from comity.learning.replay import Replay
from comity.opponents import Learners
from comity.recipes import find_algorithm, settings_of
from comity.settings import floats, with_floats
from tests.tiny import limits
from tests.tiny.gift import Gift
from tests.tiny.noise import LENGTH, Noise

FILE = Path(__file__).parents[1] / "golden" / "states.npz"
SEED, UPDATES, GAMES = 7, 3, 4
RELATIVE, FLOOR = 1e-5, 1e-6  # of a leaf: times its norm and the root of its size, and an absolute floor

GAMES_BY_NAME: dict[str, Any] = {
    "noise": lambda: Noise(),
    "gift": lambda: Gift(),
    "junction": lambda: OneStepTrafficJunction(),
    "matrix": lambda: Matrix(),
    "ipd-exact": lambda: IPD(**PROFILES["lola"]),
    "ipd-learners": lambda: Learners(IPD(length=3), episodes=2, games=2, naive_width=4, starts=2).made,
    "ipd-preferences": lambda: Preferences(IPD(length=4)),  # a part of the state is private to each agent
    "buddy": lambda: PrisonersBuddy(agents=3, length=6, period=2, identity_size=2),  # two heads
    "navigation-continuous": lambda: CooperativeNavigation(agents=2, actions="continuous", length=5),
}
GAME_OF = {
    "lola": "ipd-exact",
    "coala-exact": "ipd-exact",
    "coala": "ipd-learners",
    "lica-exact": "junction",
}  # else noise

# Settings that make any algorithm small, and its rates and schedules visible within three updates. One that is 0, empty
# or a switch in a preset stays: it is a part that is left out. A tuple keeps its length.
SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden", "width", "critic_hidden", "critic_width", "encoder", "encoder_width"), 8),
    **dict.fromkeys(("mixer_width", "mixer_hidden", "bias_hidden", "joint_hidden"), 6),
    **dict.fromkeys(("chooser_hidden", "discriminator_hidden", "projector_hidden", "latent_hidden"), 6),
    **dict.fromkeys(("policy_hidden", "prior_hidden"), 6),
    **dict.fromkeys(("learning_rate", "critic_learning_rate", "chooser_learning_rate"), 0.01),
    "last_learning_rate": 0.005,
    "learning_rate_steps": 100.0,
    "epsilon": 1e-4,  # so that a gradient which is nothing but rounding moves nothing
    "context_heads": 2,
    "latents": 3,
    "slots": 3,
    "policies": 2,
    "versions": 3,
    "past_play": 0.4,
    "chunk": 2,
    "epochs": 2,
    "minibatches": 2,
    "updates": 2,
    "critic_updates": 2,
    "target_period": 2,
    "capacity": 8,
    "batch": 4,
    "warmup": 4,
    "steps": LENGTH,
    "floor_steps": 100.0,
    "explore_steps": 100.0,
    "games": 8,
    "naive_steps": 2,
    "naive_starts": 3,
    "runs": 2,
}
STEPWISE = {"every": 8, "capacity": 48, "batch": 16, "warmup": 16}  # replays of single steps
SMALL_OF: dict[str, dict[str, Any]] = {name: STEPWISE for name in ("maddpg", "ddpg", "iddpg", "sqddpg")}
SMALL_OF["alita"] = {**STEPWISE, "influence_batch": 6, "novelty_hidden": 5, "novelty_batch": 8, "novelty_capacity": 40,
                     "influence_updates": 2, "searched": 4, "candidates": 3, "novelty_learning_rate": 0.01}  # fmt: skip
SMALL_OF["alita-qmix"] = {"influence_batch": 6, "novelty_hidden": 5, "novelty_batch": 8, "novelty_capacity": 40,
                          "influence_updates": 2, "searched": 4, "novelty_learning_rate": 0.01}  # fmt: skip
SMALL_OF["alita-td3"] = SMALL_OF["alita"]
SMALL_OF["alita-recurrent"] = {**SMALL_OF["alita"], "capacity": 8, "batch": 4, "warmup": 4, "memory": 6}

LONG = {"core": "attention"}
PREDICT = {"predict": "others"}
EXTRAS: dict[str, tuple[str, str | None, dict[str, Any], str]] = {  # name: (algorithm, preset, settings, game)
    "pg/predict": ("pg", "sound", PREDICT, "noise"),
    "pg/predict, shared": ("pg", "sound", {**PREDICT, "actors": "shared"}, "noise"),
    "pg/attention, predict": ("pg", "sound", {**LONG, **PREDICT}, "noise"),
    "pg/predict, correction": ("pg", "correction", PREDICT, "noise"),
    "pg/correction on a gift": ("pg", "correction", {}, "gift"),
    "pg/self-mixed correction, shared": ("pg", "sound", {"correction": "self_mixed", "actors": "shared"}, "gift"),
    "pg/critic once per batch": ("pg", "sound", {"critic_schedule": "batch"}, "noise"),
    "ippo/predict": ("ippo", "sound", PREDICT, "noise"),
    "ippo/shared": ("ippo", "sound", {"actors": "shared"}, "noise"),
    "mappo/attention, predict": ("mappo", "sound", {**LONG, **PREDICT}, "noise"),
    "mappo/private state": ("mappo", "sound", {}, "ipd-preferences"),
    "qmix/separate": ("qmix", "sound", {"agents": "separate"}, "noise"),
    "vdn/separate": ("vdn", "sound", {"agents": "separate"}, "noise"),
    "maddpg/shared": ("maddpg", "sound", {"agents": "shared"}, "noise"),
    "maddpg/continuous": ("maddpg", "sound", {}, "navigation-continuous"),
    "sqddpg/continuous": ("sqddpg", "sound", {}, "navigation-continuous"),
    "a2c/shared": ("a2c", "sound", {"actors": "shared"}, "noise"),
    "lica/shared": ("lica", "sound", {"actors": "shared"}, "noise"),
    "liir/separate": ("liir", "sound", {"actors": "separate"}, "noise"),
    "rusp/two heads": ("rusp", "sound", {}, "buddy"),
    "rusp/private state": ("rusp", "sound", {}, "ipd-preferences"),
    "coala/exact": ("coala", "tables", {"measure": True}, "ipd-learners"),
    "lica-exact/matrix": ("lica-exact", "sound", {}, "matrix"),
}


class Case(NamedTuple):
    algorithm: str
    config: Any
    game: str


def small(algorithm: str, preset: str | None, settings: dict[str, Any]) -> Any:
    """Settings of an algorithm, small: the preset, then `SMALL`, then `settings`."""
    source = find_algorithm(algorithm)
    whole = settings_of(source, preset, "preset")
    if whole is None or not dataclasses.is_dataclass(whole):
        return whole
    values = {f.name: getattr(whole, f.name) for f in dataclasses.fields(whole)}
    table = SMALL | SMALL_OF.get(algorithm, {})
    sized = {
        k: (table[k],) * len(v) if isinstance(v, tuple) else table[k] for k, v in values.items() if k in table and v
    }
    return settings_of(source, preset, "preset", {**sized, **settings})


def cases() -> tuple[dict[str, Case], dict[str, str]]:
    """(cases by name, names of presets that made small are another one: {preset: case})

    Of the algorithms that are recorded: those that came later have nothing to be held against.
    """
    found: dict[str, Case] = {}
    same: dict[str, str] = {}
    earlier = {name.partition("/")[0] for name in recorded()}
    for name in (name for name in ALGORITHMS if name in earlier):
        for preset in find_algorithm(name).presets or (None,):
            case = Case(name, small(name, preset, {}), GAME_OF.get(name, "noise"))
            equal = next((other for other, known in found.items() if known == case), None)
            if equal:
                same[f"{name}/{preset}"] = equal
            else:
                found[f"{name}/{preset}"] = case
    extras = {name: Case(a, small(a, preset, settings), game) for name, (a, preset, settings, game) in EXTRAS.items()}
    return found | extras, same


@lru_cache(maxsize=16)  # presets of one algorithm that differ in floats alone share a program
def program(algorithm: str, config: Any, game: str) -> Any:
    """(floats, key) -> (state, (metrics, sum of rewards, actions) of the last rollout), `UPDATES` rollouts and updates.

    Floats of the settings are arguments, as in training; those in `config` are not used.
    """
    env = GAMES_BY_NAME[game]()
    make = find_algorithm(algorithm).thing.make

    @jax.jit
    def run(floats, key):
        learner = make(with_floats(config, floats), env)
        key_init, key_start, key = jax.random.split(key, 3)
        state, play = learner.init(key_init), rollout.start(key_start, env, learner.memory, GAMES)

        def iterate(carry, key):
            key_play, key_update = jax.random.split(key)
            play, steps = rollout.collect(key_play, env, learner, *carry)
            state, metrics = learner.update(key_update, carry[0], steps)
            return (state, play), (metrics, steps.reward.sum(), steps.action)

        (state, _), told = lax.scan(iterate, (state, play), jax.random.split(key, UPDATES))
        return state, jax.tree.map(lambda xs: xs[-1], told)

    return run


def forget() -> None:
    """Drops all compiled programs, which hold memory maps."""
    program.cache_clear()
    limits.forget_programs()


def digest(case: Case) -> dict[str, Any]:
    """What is kept of a case."""
    values = floats(case.config)
    run = program(case.algorithm, with_floats(case.config, dict.fromkeys(values, 0.0)), case.game)
    state, (metrics, reward, action) = run(values, jax.random.key(SEED))
    return {
        **bag(state),
        "metrics": {name: float(x) for name, x in sorted(metrics.items())},
        "reward": float(reward),
        "actions": np.concatenate([np.asarray(x).reshape(-1) for x in jax.tree.leaves(action)]),
    }


def bag(state: Any) -> dict[str, Any]:
    """A state without names and without order.

    leaves: of every array of floats its shape and [L, 3] its sum, norm and product with cos(0), cos(1), ... Integers:
    the different sums of each shape. Replays: the sums of each shape.
    """
    shapes, numbers, whole, replays = [], [], {}, {}

    def plain(x) -> np.ndarray:
        return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)

    for part in jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, Replay)):
        if isinstance(part, Replay):
            for x in map(plain, jax.tree.leaves(part)):
                replays.setdefault(str(x.shape), []).append(float(x.sum(dtype=np.float64)))
            continue
        x = plain(part)
        if not x.size:
            continue
        if np.issubdtype(x.dtype, np.floating):
            flat = x.astype(np.float64).reshape(-1)
            shapes.append(str(x.shape))
            numbers.append((flat.sum(), np.linalg.norm(flat), flat @ np.cos(np.arange(flat.size))))
        else:
            whole.setdefault(str(x.shape), set()).add(int(x.sum(dtype=np.int64)))
    return {
        "shapes": shapes,
        "leaves": np.array(numbers, np.float64).reshape(-1, 3),
        "integers": {shape: sorted(sums) for shape, sums in sorted(whole.items())},
        "replays": {shape: sorted(sums) for shape, sums in sorted(replays.items())},
    }


def compare(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What differs, one line each. Leaves of one shape are matched so that they differ least."""
    lines = []
    if sorted(found["shapes"]) != sorted(wanted["shapes"]):
        return [f"shapes of leaves: {sorted(found['shapes'])}, recorded {sorted(wanted['shapes'])}"]
    for shape in sorted(set(wanted["shapes"])):
        ours, theirs = (d["leaves"][[s == shape for s in d["shapes"]]] for d in (found, wanted))
        size = np.prod(json.loads(shape.replace("(", "[").replace(",)", "]").replace(")", "]")))
        allowed = FLOOR + RELATIVE * theirs[:, 1:2] * np.sqrt([size, 1, size])  # [L, 3]
        excess = (np.abs(ours[:, None] - theirs[None]) / allowed).max(-1)  # [L, L]
        excess = np.where(np.isfinite(excess), excess, 1e30)
        for i, j in zip(*linear_sum_assignment(np.minimum(excess, 1e6)), strict=True):
            if excess[i, j] > 1:
                lines.append(f"leaf {shape}: {ours[i]}, recorded {theirs[j]}, {excess[i, j]:.3g} times what is allowed")
    close = lambda a, b: np.allclose(a, b, rtol=RELATIVE, atol=FLOOR)  # noqa: E731
    for kind in ("integers", "replays"):
        for shape in sorted(found[kind].keys() | wanted[kind].keys()):
            a, b = found[kind].get(shape, []), wanted[kind].get(shape, [])
            if len(a) != len(b) or not close(a, b):
                lines.append(f"{kind} {shape}: {a}, recorded {b}")
    for name, value in wanted["metrics"].items():
        if name not in found["metrics"] or not close(found["metrics"][name], value):
            lines.append(f"metric {name}: {found['metrics'].get(name)}, recorded {value}")
    if not close(found["reward"], wanted["reward"]):
        lines.append(f"rewards: {found['reward']}, recorded {wanted['reward']}")
    if found["actions"].shape != wanted["actions"].shape or not close(found["actions"], wanted["actions"]):
        lines.append("actions of the third rollout differ")
    return lines


def save(digests: dict[str, dict[str, Any]]) -> None:
    arrays, meta = {}, {}
    for number, (name, one) in enumerate(digests.items()):
        actions = one["actions"]
        integer = np.issubdtype(actions.dtype, np.integer)
        arrays[f"leaves{number}"] = one["leaves"].astype(np.float32)
        arrays[f"actions{number}"] = actions.astype(np.int8 if integer else np.float32)
        meta[name] = {"number": number, **{k: v for k, v in one.items() if k not in ("leaves", "actions")}}
    np.savez_compressed(FILE, meta_json=np.array(json.dumps(meta)), **arrays)


def recorded() -> dict[str, dict[str, Any]]:
    with np.load(FILE) as file:
        meta = json.loads(str(file["meta_json"]))
        return {
            name: {**one, "leaves": file[f"leaves{one['number']}"], "actions": file[f"actions{one['number']}"]}
            for name, one in meta.items()
        }
