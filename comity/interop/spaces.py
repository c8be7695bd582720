"""Observations and actions of a PettingZoo parallel environment, as arrays of equal size per agent. Imports no jax."""

from typing import Any, NamedTuple

import numpy as np

from comity.extras import needed

NAMED = ("observation", "observations", "obs")  # keys of the observation next to an `action_mask`
MASK = "action_mask"


class HostObservation(NamedTuple):
    """An observation of one game, or with a leading axis of B games."""

    view: np.ndarray  # [N, V] float32, flattened and padded with zeros
    state: np.ndarray  # [S] float32
    available: np.ndarray  # [N, A] bool


class Spaces:
    """Names, spaces and sizes of an environment that was reset.

    With discrete actions, `available` marks the actions that an agent has and that its `action_mask` allows; with
    boxes, the numbers that it has. Raises ValueError for spaces that cannot be played here.
    """

    def __init__(self, env: Any):
        self.spaces = needed("gymnasium").spaces
        self.names = tuple(env.possible_agents)
        found = [env.observation_space(name) for name in self.names]
        self.keys, self.views = zip(*map(self._without_mask, found), strict=True)
        self.view_sizes = tuple(map(self._flat_size, self.names, self.views))
        self.actions = tuple(env.action_space(name) for name in self.names)
        self.action_sizes = self._action_sizes()
        self.continuous = isinstance(self.actions[0], self.spaces.Box)
        self.own_state = _size_of_state(env)
        self.agents, self.view, self.action = len(self.names), max(self.view_sizes), max(self.action_sizes)
        self.state = self.own_state or self.agents * self.view
        self.measures: tuple[str, ...] = tuple(getattr(env, "measures", ()))  # numbers in infos, summed over an episode
        self.of_team = bool(getattr(env, "of_team", False))  # True: all agents have the same reward

    def _without_mask(self, space: Any) -> tuple[str | None, Any]:
        """Returns (key of the observation, None: all keys; its space) for a space that may have a mask, too."""
        if not isinstance(space, self.spaces.Dict) or MASK not in space.spaces:
            return None, space
        others = [key for key in space.spaces if key != MASK]
        key = next((key for key in NAMED if key in others), others[0] if len(others) == 1 else None)
        return key, space[key] if key else self.spaces.Dict({key: space[key] for key in others})

    def _flat_size(self, name: Any, space: Any) -> int:
        try:
            return int(self.spaces.utils.flatdim(space))
        except (NotImplementedError, ValueError):
            raise ValueError(
                f"{name} sees {space}, which has no fixed size: give a Box, or what flattens to one"
            ) from None

    def _action_sizes(self) -> tuple[int, ...]:
        """The number of actions of each agent, or of numbers in its action."""
        if all(isinstance(space, self.spaces.Discrete) for space in self.actions):
            return tuple(int(space.n) for space in self.actions)
        if all(isinstance(space, self.spaces.Box) for space in self.actions):
            if not all(np.isfinite(x).all() for space in self.actions for x in (space.low, space.high)):
                raise ValueError("actions are boxes without bounds: clip them, as by a wrapper of gymnasium")
            return tuple(int(np.prod(space.shape)) for space in self.actions)
        kinds = ", ".join(sorted({type(space).__name__ for space in self.actions}))
        raise ValueError(f"actions are {kinds}: all agents need Discrete actions, or all a Box")

    def seen(
        self, env: Any, observations: dict, infos: dict, reads: list, must: list, step: int, terminated: bool = False
    ) -> HostObservation:
        """Returns one game's observation after `step` steps.

        reads: agents whose observation counts; the others have left, see zeros and have only action 0. must: those of
        them that act next and need a legal action. terminated: the game is over; the state is zeros. Raises ValueError
        if something does not fit.
        """
        view = np.zeros((self.agents, self.view), np.float32)
        available = np.zeros((self.agents, self.action), bool)
        for k, name in enumerate(self.names):
            if name not in reads:
                available[k, :1] = not self.continuous
                continue
            if name not in observations:
                raise ValueError(f"{name} has no observation at step {step}: give one for every agent that goes on")
            flat, mask = self._parts(k, observations[name], infos.get(name) or {}, step)
            view[k, : flat.size] = flat
            size = self.action_sizes[k]
            available[k, :size] = True if mask is None else mask
            if not available[k].any():
                if name in must:
                    raise ValueError(
                        f"{name} has no legal action at step {step}: its {MASK} is all zeros; allow one that does "
                        "nothing, or end its game"
                    )
                available[k, :size] = True  # a truncated game: its next legal actions are unknown
        state = np.zeros(self.state, np.float32) if terminated else self._state(env, view, step)
        return HostObservation(view, state, available)

    def _parts(self, k: int, found: Any, info: dict, step: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns (flat observation of agent k, its mask or None)."""
        name, mask = self.names[k], info.get(MASK)
        if isinstance(found, dict) and MASK in found:
            mask, key = found[MASK], self.keys[k]
            rest = {word: x for word, x in found.items() if word != MASK}
            if key is None and not isinstance(self.views[k], self.spaces.Dict):  # the space has no mask
                key = next((word for word in NAMED if word in rest), next(iter(rest), None))
            found = rest if key is None else rest[key]
        try:
            space = self.views[k]
            plain = isinstance(space, self.spaces.Box)
            flat = np.asarray(found if plain else self.spaces.utils.flatten(space, found), np.float32).reshape(-1)
        except Exception as error:
            text = " ".join(str(error).split())[:100]
            raise ValueError(
                f"{name}'s observation at step {step} does not fit its space {self.views[k]} "
                f"({type(error).__name__}: {text}): mend one of them"
            ) from error
        if flat.size != self.view_sizes[k]:
            raise ValueError(
                f"{name}'s observation at step {step} has {flat.size} numbers, its space {self.view_sizes[k]}: "
                "mend one of them"
            )
        if mask is None or self.continuous:
            return flat, None
        mask = np.asarray(mask, bool).reshape(-1)
        if mask.size != self.action_sizes[k]:
            raise ValueError(
                f"{name}'s {MASK} at step {step} has {mask.size} entries, it has {self.action_sizes[k]} actions: "
                "give one entry for each"
            )
        return flat, mask

    def _state(self, env: Any, view: np.ndarray, step: int) -> np.ndarray:
        """Returns the game's own `state()`, or all views joined."""
        if not self.own_state:
            return view.reshape(-1)
        state = np.asarray(env.state(), np.float32).reshape(-1)
        if state.size != self.own_state:
            raise ValueError(
                f"state() gives {state.size} numbers at step {step}, at the start {self.own_state}: its size "
                "must stay the same in every step"
            )
        return state

    def action_of(self, agent: int, action: np.ndarray) -> Any:
        """Returns an agent's action for the environment: an int, or numbers in its own bounds and shape."""
        space = self.actions[agent]
        if not self.continuous:
            return int(action) + int(getattr(space, "start", 0))
        unit = (np.asarray(action[: self.action_sizes[agent]], np.float64).reshape(space.shape) + 1) / 2
        return (space.low + unit.clip(0, 1) * (space.high - space.low)).astype(space.dtype)


def _size_of_state(env: Any) -> int:
    """Size of `state()`; 0 if there is no such method, or if it does not return numbers."""
    try:
        found = env.state()
        return 0 if found is None else np.asarray(found, np.float32).size
    except (NotImplementedError, AttributeError, TypeError, ValueError):
        return 0
