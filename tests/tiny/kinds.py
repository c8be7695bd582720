"""The smallest games of every kind of view, state and action. In each the best answer is visible and known.

`Named`: at every step each agent sees a target, drawn anew, and earns at most 1, for the best answer. `PixelWalk`:
agents walk to a goal that they see in an image. `Alternate`: the right action is not the last one.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Box, Discrete, Image, MultiDiscrete, Spec, Vector, View
from comity.types import Observation, PyTree, Timestep

N, A, LENGTH = 2, 3, 2  # agents, targets, steps of an episode
PICTURE = Image(3, 4, 2)
SPACES = {"one": Discrete(A), "unequal": Discrete(A), "heads": MultiDiscrete((2, A)), "numbers": Box(2)}


class State(NamedTuple):
    target: Array  # [N] int32
    time: Array  # [] int32


@dataclasses.dataclass(frozen=True)
class Named:
    """action "one": name the target. "unequal": agent 1 has two actions only, of two targets; the rest is padding.
    "heads": sit out for 0.25, or name the target, where the second head counts. "numbers": the first is to be
    0.6 (target - 1); agent 0's second is to be 0.5, agent 1 has none."""

    view: Literal["vector", "image"] = "vector"
    state: Literal["vector", "image"] = "vector"
    action: Literal["one", "unequal", "heads", "numbers"] = "one"

    @property
    def spec(self) -> Spec:
        view: View = PICTURE if self.view == "image" else Vector(A + 1)
        state: View = PICTURE if self.state == "image" else Vector(N * A)
        return Spec(N, view, SPACES[self.action], LENGTH, state=state)

    def observe(self, key, state: State) -> Observation:
        pixels = jax.random.randint(key, (N, *PICTURE.shape), 0, 40).astype(jnp.uint8)
        pixels = pixels.at[jnp.arange(N), 1, state.target, 0].set(255)  # a bright pixel in the target's column
        shown = jax.nn.one_hot(state.target, A)
        view = pixels if self.view == "image" else jnp.concatenate([shown, jnp.ones((N, 1))], -1)
        whole = pixels.max(0) if self.state == "image" else shown.reshape(-1)
        return Observation(view, whole, self.available())

    def available(self) -> PyTree:
        every = jnp.ones((N, A), bool)
        if self.action == "heads":
            return jnp.ones((N, 2), bool), every
        if self.action == "numbers":
            return jnp.array([[True, True], [True, False]])
        return every.at[1, 2].set(self.action != "unequal")

    def counts(self, action: PyTree) -> tuple[Array, ...]:
        option, _ = action
        return jnp.ones_like(option, bool), option == 0

    def drawn(self, key, time: Array) -> tuple[State, Observation]:
        key_target, key_pixels = jax.random.split(key)
        most = jnp.array([A, 2 if self.action == "unequal" else A])
        state = State(jax.random.randint(key_target, (N,), 0, most), time)
        return state, self.observe(key_pixels, state)

    def reset(self, key):
        return self.drawn(key, jnp.int32(0))

    def paid(self, target: Array, action: PyTree) -> Array:
        """[N], 1 for the best answer."""
        if self.action == "heads":
            option, name = action
            return jnp.where(option == 1, 0.25, 1.0 * (name == target))
        if self.action == "numbers":
            aims = jnp.stack([0.6 * (target - 1.0), jnp.array([0.5, 0.0])], -1)
            return 1 - jnp.where(self.available(), jnp.square(action - aims), 0.0).sum(-1)
        return 1.0 * (action == target)

    def step(self, key, state, action):
        after, observation = self.drawn(key, state.time + 1)
        reward = self.paid(state.target, action)
        return after, Timestep(observation, reward, after.time >= LENGTH, jnp.bool_(False), {})


KINDS = {
    "vector": Named(),
    "image": Named(view="image"),
    "image-state": Named(view="image", state="image"),
    "unequal": Named(action="unequal"),
    "heads": Named(action="heads"),
    "image-heads": Named(view="image", action="heads"),
    "numbers": Named(action="numbers"),
    "image-numbers": Named(view="image", action="numbers"),
}


class Walk(NamedTuple):
    place: Array  # [N, 2] int32
    goal: Array  # [N, 2]
    time: Array


@dataclasses.dataclass(frozen=True)
class PixelWalk:
    """Each agent walks in a room of its own, side x side, and sees it: itself in red, the goal in green. 1 at each step
    that ends on the goal. Four directions and staying; walls stop. The best policy walks straight, and stays."""

    side: int = 3
    length: int = 8

    @property
    def spec(self) -> Spec:
        return Spec(N, Image(self.side, self.side, 2), Discrete(5), self.length, state=Vector(1))

    def observe(self, state: Walk) -> Observation:
        empty, agent = jnp.zeros((N, self.side, self.side, 2), jnp.uint8), jnp.arange(N)
        view = empty.at[agent, state.place[:, 0], state.place[:, 1], 0].set(255)
        view = view.at[agent, state.goal[:, 0], state.goal[:, 1], 1].set(255)
        return Observation(view, state.time[None] * 1.0, jnp.ones((N, 5), bool))

    def reset(self, key):
        place, goal = jax.random.randint(key, (2, N, 2), 0, self.side)
        state = Walk(place, goal, jnp.int32(0))
        return state, self.observe(state)

    def step(self, key, state, action):
        moves = jnp.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        place = jnp.clip(state.place + moves[action], 0, self.side - 1)
        after = Walk(place, state.goal, state.time + 1)
        reward = (place == state.goal).all(-1) * 1.0
        return after, Timestep(self.observe(after), reward, jnp.bool_(False), after.time >= self.length, {})


@dataclasses.dataclass(frozen=True)
class Alternate:
    """All views are alike. From the second step on each agent is paid for another action than its last."""

    length: int = 6

    @property
    def spec(self) -> Spec:
        return Spec(N, Vector(2), Discrete(2), self.length, state=Vector(1))

    def observe(self) -> Observation:
        return Observation(jnp.ones((N, 2)), jnp.ones(1), jnp.ones((N, 2), bool))

    def reset(self, key):
        return State(jnp.full(N, -1), jnp.int32(0)), self.observe()

    def step(self, key, state, action):
        reward = 1.0 * ((action != state.target) & (state.target >= 0))
        after = State(action, state.time + 1)
        return after, Timestep(self.observe(), reward, after.time >= self.length, jnp.bool_(False), {})
