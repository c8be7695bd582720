"""SMAC with StarCraft, if both are installed: SMAC's public Python class as a game that Python steps.

Its views and states are not changed. `dump_calibration` writes facts of the real game, with which our approximation can
be compared: docs/tasks/smac.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from comity.extras import needed
from comity.interop.hosted import Hosted, from_pettingzoo

STOP, ATTACK = 1, 6  # actions


class Parallel:
    """A StarCraft2Env with the methods of a PettingZoo ParallelEnv.

    All agents stay until the end; dead agents have one action. SMAC reports a battle at its time limit as over; here it
    is truncated. So is a battle in which SMAC had to start the game anew.
    """

    measures = ("won", "dead_allies", "dead_enemies")  # sums over an episode: 1 if won, and the dead at its end
    of_team = True

    def __init__(self, env: Any):
        spaces = needed("gymnasium").spaces
        info = env.get_env_info()
        self.env, self.limit = env, int(info["episode_limit"])
        self.possible_agents = [f"agent {k}" for k in range(info["n_agents"])]
        self.agents: list[str] = []
        self.view = spaces.Box(-np.inf, np.inf, (int(info["obs_shape"]),), np.float32)
        self.actions = spaces.Discrete(int(info["n_actions"]))
        self.fallen: dict[str, int] = {}

    def observation_space(self, agent: str) -> Any:
        return self.view

    def action_space(self, agent: str) -> Any:
        return self.actions

    def state(self) -> np.ndarray:
        return np.asarray(self.env.get_state(), np.float32)

    def _views_and_masks(self) -> tuple[dict[str, Any], dict[str, Any]]:
        views, masks = self.env.get_obs(), self.env.get_avail_actions()
        named = lambda rows: dict(zip(self.possible_agents, rows, strict=True))  # noqa: E731
        infos = {name: {"action_mask": np.asarray(mask, np.int8)} for name, mask in named(masks).items()}
        return {name: np.asarray(view, np.float32) for name, view in named(views).items()}, infos

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Starts an episode. seed is not used: SMAC takes a seed only when it is made."""
        self.env.reset()
        self.agents, self.fallen = list(self.possible_agents), {"dead_allies": 0, "dead_enemies": 0}
        return self._views_and_masks()

    def step(self, actions: dict[str, int]) -> tuple[dict, dict, dict, dict, dict]:
        late = self.env.timeouts
        reward, over, info = self.env.step([int(actions[name]) for name in self.possible_agents])
        cut = bool(over) and (self.env.timeouts > late or not info)  # no info: SMAC has started the game anew
        now = {name: int(info.get(name, count)) for name, count in self.fallen.items()}
        told = {"won": float(info.get("battle_won", False)), **{n: float(now[n] - self.fallen[n]) for n in now}}
        self.fallen = now
        views, infos = self._views_and_masks()
        infos = {name: {**info, **told} for name, info in infos.items()}
        every = lambda value: dict.fromkeys(self.possible_agents, value)  # noqa: E731
        if over:
            self.agents = []
        return views, every(float(reward)), every(bool(over) and not cut), every(cut), infos

    def close(self) -> None:
        self.env.close()


def from_smac(make: Callable[..., Any] | str, length: int | None = None, **options: Any) -> Hosted:
    """Returns SMAC's own environment as a game, for `comity.train` and all other functions.

    make: the name of a map, or a function that makes a new StarCraft2Env at each call; options: its arguments. Raises
    ImportError if SMAC is not installed.
    """
    return from_pettingzoo(lambda: Parallel(made(make, options)), length)


def made(make: Callable[..., Any] | str, options: dict[str, Any]) -> Any:
    """Returns a new StarCraft2Env. Raises ImportError if SMAC is not installed."""
    if callable(make):
        return make(**options)
    try:
        from smac.env import StarCraft2Env  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError(
            f"SMAC is not installed, and StarCraft may be missing, too: play smac/{make}, which needs neither, or "
            "install both as github.com/oxwhirl/smac says"
        ) from None
    return StarCraft2Env(map_name=make, **options)


def dump_calibration(make: Callable[..., Any] | str, path: Path | str, loops: int = 400, **options: Any) -> Path:
    """Writes facts of the real game to `path` (.npz), and returns the path.

    `walkable` [x, y], `size` of the map, `distance` (SMAC's max_distance_x, max_distance_y), `ally_type` and
    `enemy_type` [K], and the loops of one battle: `ally` and `enemy` [T, K, 6]: x, y, hp, shield, cooldown, energy;
    `action` [T, n], `reward` [T]. Agents attack the first enemy that they may attack, or else stop. The environment is
    made with step_mul=1, so that a step is a loop of the engine. Its limit, in steps, is raised to `loops`.
    """
    env = made(make, {"step_mul": 1, **options})
    env.episode_limit = loops + 1
    env.reset()
    types = {f"{name}_type": _types(team) for name, team in (("ally", env.agents), ("enemy", env.enemies))}
    rows: dict[str, list[Any]] = {name: [] for name in ("ally", "enemy", "action", "reward")}
    over = False
    while not over and len(rows["reward"]) < loops:
        for name, team in (("ally", env.agents), ("enemy", env.enemies)):
            rows[name].append([_unit(team[k]) for k in sorted(team)])
        masks = np.asarray(env.get_avail_actions(), bool)
        action = [_attacks(mask) for mask in masks]
        reward, over, _ = env.step(action)
        rows["action"].append(action)
        rows["reward"].append(reward)
    size = np.array([env.map_x, env.map_y])
    facts: dict[str, Any] = {name: np.asarray(x, np.float32) for name, x in rows.items()}
    facts |= types | {"distance": np.array([env.max_distance_x, env.max_distance_y])}
    np.savez_compressed(path, walkable=np.asarray(env.pathing_grid, bool), size=size, **facts)
    env.close()
    return Path(path)


def _unit(unit: Any) -> list[float]:
    return [unit.pos.x, unit.pos.y, unit.health, unit.shield, unit.weapon_cooldown, unit.energy]


def _types(team: dict[int, Any]) -> np.ndarray:
    return np.array([team[k].unit_type for k in sorted(team)])


def _attacks(mask: np.ndarray) -> int:
    """Returns the first available attack, else stop; for dead agents, no-op."""
    if mask[0]:
        return 0
    return ATTACK + int(mask[ATTACK:].argmax()) if mask[ATTACK:].any() else STOP
