"""Replays the recorded episodes of tests/golden/manitokan.npz and reports where the game differs from them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.environments.grid.manitokan import observations
from comity.environments.grid.manitokan.game import PROFILES, Manitokan
from comity.environments.grid.manitokan.state import AGENT, KEY, State

FILE = Path(__file__).parents[3] / "golden" / "manitokan.npz"
LENGTH = 300  # steps that every episode is padded to
SIGNALS = "door-signal+key-signal"

# The original's switches, and the same in ours.
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    "completion_signal+key_signal": {},  # the signals are always compared where they were recorded
    "reward_coop": {"reward": "oracle"},
    "credit_easy_af": {"reward": "punish"},
    "only_sparse": {"reward": "collective-only"},
    "only_immediate": {"reward": "individual-only"},
}


@cache
def episodes() -> list[dict[str, Any]]:
    """All recorded episodes, their metadata beside their arrays."""
    with np.load(FILE) as file:
        arrays = {name: file[name] for name in file.files}
    found = []
    for meta in json.loads(str(arrays["meta_json"])):
        prefix = f"ep{meta['id']:03d}_"
        fields = {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}
        found.append(meta | fields | {"s_window": scene_with_agents(fields)})
    return found


def scene_with_agents(episode: dict[str, Any]) -> np.ndarray:
    """[L + 1, N, 3, 3, 3], the paper's window, put together from the recorded scene and the recorded markers."""
    view = episode["s_scene"].copy()
    agents = range(view.shape[1])
    for viewer in agents:
        for k in [*(k for k in agents if k != viewer), viewer]:  # the viewer on top
            there = np.isin(episode["s_layers"][:, viewer, k, ..., 0], (AGENT, KEY))
            view[:, viewer][there] = (AGENT, (3, 4, 6, 7)[k], 0)
    return view


def game_of(episode: dict[str, Any]) -> Manitokan:
    """The game that an episode was recorded in, with a clock that `start` sets."""
    switches = "+".join(sorted(name for name, on in episode["flags"].items() if on))
    released = PROFILES["released"] | {"frozen_observation": False, "length": LENGTH, "observe": SIGNALS}
    return Manitokan(num_agents=episode["n_agents"], **released | VARIANTS[switches])


def start(game: Manitokan, episode: dict[str, Any]) -> State:
    """The episode's first state, its clock set so that it runs out after the recorded time limit."""
    holders = np.flatnonzero(episode["s_carry"][0])
    return game.build(
        position=episode["s_pos"][0].tolist(),
        heading=episode["s_dir"][0].tolist(),
        doors=[None if cell[0] < 0 else cell for cell in episode["s_doors"][0].tolist()],
        key=None if len(holders) else episode["s_key"][0].tolist(),
        holder=int(holders[0]) if len(holders) else None,
        time=LENGTH - episode["T_max"],
    )


def replay(game: Manitokan, state: State, action: jax.Array, order: jax.Array) -> tuple[State, dict[str, jax.Array]]:
    """States [LENGTH + 1] and what the steps returned [LENGTH]. action, order: [LENGTH, N]."""

    def step(state: State, inputs: tuple[jax.Array, jax.Array]) -> tuple[State, Any]:
        action, order = inputs
        after, timestep = game.step(jax.random.key(0), state._replace(order=order), action)
        return after, (after, {"rewards": timestep.reward, "done": timestep.terminated | timestep.truncated})

    _, (states, steps) = jax.lax.scan(step, state, (action, order))
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), state, states), steps


def seen_of(game: Manitokan, state: State) -> dict[str, jax.Array]:
    """All that is seen of one state, under the names of the file."""
    observation = game.observation(state)
    cells, lit = observations.visible_cells(game, state)
    layers = [observations.agent_layer(game, state, cells, k) for k in range(game.num_agents)]
    return {
        "s_avail": observation.available,
        "s_state": observation.state,
        "s_obs": observation.view,
        "s_scene": jnp.where(lit[..., None], observations.scene(game, state, cells), 0),
        "s_layers": jnp.where(lit[:, None, ..., None], jnp.stack(layers, 1), 0),
        "s_vis": lit,
        "s_window": observations.windows(replace(game, content="scene", show_carried=False), state),
    }


def mismatches(chosen: list[dict[str, Any]], views: bool = True) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers that differ per field, and compared steps per scenario, over the chosen episodes.

    views: also compare what is seen; all variants of a number of agents share one program for that.
    """
    wrong: dict[str, int] = {}
    steps: dict[str, int] = {}
    looks: dict[int, Any] = {}
    games = [game_of(episode) for episode in chosen]
    for game in dict.fromkeys(games):
        group = [episode for episode, its in zip(chosen, games, strict=True) if its == game]
        action, order = (np.stack([padded(episode[name]) for episode in group]) for name in ("actions", "order"))
        state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[start(game, e) for e in group])
        play = jax.vmap(lambda *inputs, game=game: replay(game, *inputs))
        states, ours = jax.jit(play)(state, action, order)
        ours |= {
            "s_pos": states.position,
            "s_dir": states.heading,
            "s_key": states.key,
            "s_doors": states.doors,
            "s_carry": states.holding,
            "s_opened": observations.door_signal(game, states),
            "s_goal": states.opened,
        }
        if views:
            n = game.num_agents
            look = looks.setdefault(n, jax.jit(jax.vmap(partial(seen_of, replace(game, reward="normal")))))
            for row, episode in enumerate(group):  # all padded to the same length, so compiled once
                found = look(jax.tree.map(lambda x, row=row: x[row], states))
                compare(wrong, episode, {name: np.asarray(x) for name, x in found.items()})
        for row, episode in enumerate(group):
            compare(wrong, episode, {name: np.asarray(x[row]) for name, x in ours.items()})
            steps[episode["scenario"]] = steps.get(episode["scenario"], 0) + episode["steps"]
    return wrong, steps


def padded(x: np.ndarray) -> np.ndarray:
    """[LENGTH, N] int32, with zeros after the end of the record."""
    return np.pad(x, ((0, LENGTH - len(x)), (0, 0))).astype(np.int32)


def compare(wrong: dict[str, int], episode: dict[str, Any], ours: dict[str, np.ndarray]) -> None:
    """Adds to `wrong`, per field, how many numbers of ours differ from the recorded ones."""
    for name, mine in ours.items():
        theirs = episode[name]
        mine = mine[: len(theirs)]
        if name == "s_obs":  # recorded without the signals in most scenarios
            mine = mine[..., : theirs.shape[-1]]
        assert mine.shape == theirs.shape, (name, mine.shape, theirs.shape)
        wrong[name] = wrong.get(name, 0) + int((mine != theirs).sum())
