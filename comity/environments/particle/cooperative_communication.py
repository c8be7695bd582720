"""Cooperative communication: a speaker knows the goal but cannot move; a listener moves and hears its words.

`simple_speaker_listener` of the particle world (Lowe et al. 2017, arXiv 1706.02275). docs/tasks/particle.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.particle import world
from comity.settings import Positive, check
from comity.spec import Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},  # OpenAI's environment in MADDPG's training; ALITA
    "farama": {"physics": "farama", "reward": "farama"},  # mpe2's defaults
}

SPEAKER, LISTENER = 0, 1
WORDS = 3  # number of words, and of landmarks
COLOURS = ("red", "green", "blue")  # colours of landmarks
SIZE, PLACE_SIZE = 0.075, 0.04  # radii of agents and landmarks; nothing collides
SHADE, TINT = 0.15, 0.5  # the colour of landmark k: 0.15 in every channel, and 0.5 more in channel k


class State(NamedTuple):
    position: Array  # [2, 2]; the speaker's position never changes, and nobody sees it
    velocity: Array  # [2, 2]
    landmarks: Array  # [3, 2]
    goal: Array  # [] int32
    message: Array  # [3], the speaker's last message; zeros at the start
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class CooperativeCommunication:
    """Speaker and listener. view [2, 11]; state [16]. A team game of unequal agents, padded.

    view: speaker: colour of the goal (3), zeros; listener: own velocity (2), landmarks relative to itself (6), the last
    message (3). Actions: the speaker has the first three, which are words; the listener has all five, which move it.
    state: the listener's position and velocity, landmarks, goal as one-hot, last message.
    """

    physics: world.Physics = "classic"  # farama: the old velocity moves an agent, so an action shows one step later
    actions: world.Actions = "discrete"  # discrete: one of five pushes | continuous: five numbers that push
    reward: Literal["classic", "farama"] = "classic"  # to both, minus the squared distance from listener to goal:
    # classic: twice that, the sum over both agents | farama: once
    length: Positive[int] = 25  # steps of an episode
    clock_terminates: bool = False  # False: the time limit truncates an episode; True: it is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        both = zip(world.names_of(self.actions, self.physics), (*COLOURS, None, None), strict=False)
        shown = (*(f"{colour} of the goal" for colour in COLOURS), *("nothing",) * 8)
        landmarks = world.pairs_of("own speed", *(f"to the {colour} landmark" for colour in COLOURS))
        heard = (*landmarks, *(f"heard: {colour}" for colour in COLOURS))
        return Spec(
            2,
            Vector(11, names=(shown, heard)),
            world.action_of(self.actions),
            self.length,
            state=Vector(16),
            headline="reach_15",
            roles=("speaker", "listener"),
            agent_names=("speaker", "listener"),
            agent_colours=(agent_hex(0), agent_hex(1)),
            action_names=tuple(f"{move} / {word}" if word else move for move, word in both),
            event_names=(),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_goal, key_places = jax.random.split(key)
        places = world.scattered(key_places, 2 + WORDS)
        goal = jax.random.randint(key_goal, (), 0, WORDS)
        nothing = jnp.zeros(WORDS, places.dtype)
        state = State(places[:2], jnp.zeros_like(places[:2]), places[2:], goal, nothing, jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        moves = (jnp.arange(2) == LISTENER)[:, None]
        force = jnp.where(moves, world.GAIN * world.pushes(action, self.physics, self.actions), 0)
        position, velocity = world.moved(state.position, state.velocity, force, self.physics)
        if self.actions == "continuous":
            message = world.fractions(action[SPEAKER, :WORDS])
        else:
            message = jax.nn.one_hot(action[SPEAKER], WORDS)
        message = message.astype(state.message.dtype)
        after = State(position, velocity, state.landmarks, state.goal, message, state.time + 1)
        away = world.distances(position[LISTENER:], state.landmarks)[0]  # [3]
        mine = jnp.arange(WORDS) == state.goal
        distance = jnp.where(mine, away, 0).sum()
        paid = -jnp.square(distance) * (2 if self.reward == "classic" else 1)
        info = {"distance": distance, "goal_is_nearest": (away.argmin() == state.goal).astype(away.dtype)}
        ends = world.clock(after.time, self.length, self.clock_terminates)
        return after, Timestep(self.observation(after), jnp.broadcast_to(paid, (2,)), *ends, info)

    def observation(self, state: State) -> Observation:
        here, going = state.position[LISTENER], state.velocity[LISTENER]
        goal = jax.nn.one_hot(state.goal, WORDS, dtype=here.dtype)
        speaker_view = world.padded(SHADE + TINT * goal, self.spec.view.size)
        listener_view = jnp.concatenate([going, (state.landmarks - here).reshape(-1), state.message])
        known = jnp.concatenate([here, going, state.landmarks.reshape(-1), goal, state.message])
        number = jnp.arange(world.MOVES)
        available = jnp.stack([number < WORDS, jnp.ones_like(number, bool)])
        return Observation(jnp.stack([speaker_view, listener_view]), known, available)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B], at the last step: `final_distance` from listener to goal; `reach_10`, `reach_15`, `reach_20`: it is
        below 0.10, 0.15, 0.20 and no other landmark is nearer. `distance`: mean over steps."""
        final, nearest = (world.at_end(info[name], valid) for name in ("distance", "goal_is_nearest"))
        reach = {f"reach_{r}": ((final < r / 100) & (nearest > 0)).astype(final.dtype) for r in (10, 15, 20)}
        return {"distance": world.mean_over_steps(info["distance"], valid), "final_distance": final, **reach}

    def draw(self, state: State, size: int = 360) -> np.ndarray:
        """uint8 [size, size, 3], the plane from above. Landmarks have colours, the speaker that of its message."""
        from comity.drawing import particle as drawing

        landmarks = [
            drawing.landmark(place, PLACE_SIZE, drawing.RED_GREEN_BLUE[k], goal=k == int(state.goal))
            for k, place in enumerate(state.landmarks)
        ]
        speaker, listener = drawing.agents(state.position, state.velocity, SIZE)
        said = drawing.message_colour(state.message)
        return drawing.draw([*landmarks, speaker._replace(core=said), listener], size)
