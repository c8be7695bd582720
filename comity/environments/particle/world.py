"""The particle world: discs in an unbounded plane that push themselves, slow down, and push each other apart.

The physics of OpenAI's multi-agent particle environments (Mordatch & Abbeel 2018, arXiv 1703.04908; Lowe et al. 2017,
arXiv 1706.02275) in the two orders of integration in use: `classic`, as in the original, and `farama`, as in mpe2 and
JaxMARL. This module has functions of arrays; each game is a file of its own. All masses are 1. docs/tasks/particle.md.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Box, Discrete
from comity.types import Key

Physics = Literal["classic", "farama"]
Actions = Literal["discrete", "continuous"]

INTERVAL = 0.1  # time of a step
DAMPING = 0.25  # share of the velocity that is lost in a step
STIFFNESS = 100.0  # contact force per length of penetration
MARGIN = 1e-3  # length over which a contact sets in softly
GAIN = 5.0  # force of an action, unless a game has its own

MOVES = 5  # number of discrete actions, or of numbers in a continuous action
ACTION_NAMES = ("stay", "left", "right", "down", "up")


def action_of(actions: Actions) -> Discrete | Box:
    """Returns the action space of an agent."""
    return Box(MOVES) if actions == "continuous" else Discrete(MOVES)


def names_of(actions: Actions, physics: Physics) -> tuple[str, ...]:
    """Names of the discrete actions, or of the numbers of a continuous action: their directions, see `pushes`."""
    opposite = actions == "continuous" and physics == "classic"
    return ("stay", "right", "left", "up", "down") if opposite else ACTION_NAMES


def pairs_of(*what: str) -> tuple[str, ...]:
    """Names of two numbers for each of `what`, along x and along y."""
    return tuple(f"{name}, {axis}" for name in what for axis in "xy")


def pushes(action: Array, physics: Physics, actions: Actions) -> Array:
    """[N, 2], pushes of agents, each coordinate in [-1, 1]; the force is the push times the gain.

    discrete: action [N] int, 0 nothing, 1 and 2 left and right, 3 and 4 down and up; any other value is nothing.
    continuous: [N, A] in [-1, 1], of which the first five are scaled to [0, 1] and push in these directions (farama).
    In classic, the directions of 1 and 2 are exchanged, and those of 3 and 4. Number 0 has no effect.
    """
    if actions == "discrete":
        number = jnp.result_type(float)
        towards = lambda k: (action == k).astype(number)  # noqa: E731
        return jnp.stack([towards(2) - towards(1), towards(4) - towards(3)], -1)
    share = fractions(action)
    push = jnp.stack([share[:, 2] - share[:, 1], share[:, 4] - share[:, 3]], -1)
    return -push if physics == "classic" else push


def fractions(action: Array) -> Array:
    """Maps continuous actions in [-1, 1] to numbers in [0, 1], as the original has them."""
    return (jnp.clip(action, -1.0, 1.0) + 1) / 2


def contact_forces(position: Array, size: Array, obstacles: Array | None = None, obstacle_size: float = 0.0) -> Array:
    """[N, 2], forces on N discs that collide with each other and with fixed obstacles.

    The force is STIFFNESS times the penetration, along the line of centres, with penetration = m log(1 + exp((r0 - r) /
    m)), m = MARGIN, r the distance, r0 the sum of radii. position [N, 2], size [N] radii, obstacles [L, 2]. If two
    centres are equal, there is no direction and no force.
    """
    others, radius = position, size
    if obstacles is not None:
        others = jnp.concatenate([position, obstacles])
        radius = jnp.concatenate([size, jnp.full(len(obstacles), obstacle_size, size.dtype)])
    away = position[:, None] - others[None]  # [N, N + L, 2]
    square = jnp.square(away).sum(-1)
    distance = jnp.sqrt(jnp.where(square > 0, square, 1.0))  # an entry with itself has away = 0
    depth = (size[:, None] + radius[None] - distance) / MARGIN
    penetration = MARGIN * (jnp.maximum(depth, 0) + jnp.log1p(jnp.exp(-jnp.abs(depth))))
    return (STIFFNESS * (penetration / distance)[..., None] * away).sum(1)


def moved(
    position: Array, velocity: Array, force: Array, physics: Physics, max_speed: Array | None = None
) -> tuple[Array, Array]:
    """Returns (position, velocity) [N, 2] after one step. max_speed: [N].

    classic: the new velocity moves an agent. farama: the old one does, so an action shows one step later.
    """
    faster = (1 - DAMPING) * velocity + force * INTERVAL
    if max_speed is not None:
        speed = jnp.sqrt(jnp.square(faster).sum(-1))
        faster = faster * (max_speed / jnp.maximum(speed, max_speed))[:, None]
    return position + (velocity if physics == "farama" else faster) * INTERVAL, faster


def scattered(key: Key, number: int, reach: float = 1.0) -> Array:
    """[number, 2], random positions, uniform in [-reach, reach]^2."""
    return jax.random.uniform(key, (number, 2), minval=-reach, maxval=reach)


def relative(places: Array, position: Array) -> Array:
    """[N, L, 2], places [L, 2] relative to position [N, 2]."""
    return places[None] - position[:, None]


def without_self(pairs: Array) -> Array:
    """[N, N - 1, ...], pairs [N, N, ...] without the diagonal: for each agent the others in their order."""
    n, rest = len(pairs), pairs.shape[2:]
    # In a flat row of N * N entries, the entries of the diagonal are N + 1 apart.
    return pairs.reshape(n * n, *rest)[1:].reshape(n - 1, n + 1, *rest)[:, :-1].reshape(n, n - 1, *rest)


def distances(a: Array, b: Array) -> Array:
    """[N, L], distances between a [N, 2] and b [L, 2]."""
    return jnp.sqrt(jnp.square(a[:, None] - b[None]).sum(-1))


def padded(view: Array, size: int) -> Array:
    """[..., size], a view with zeros added at the end."""
    return jnp.pad(view, [(0, 0)] * (view.ndim - 1) + [(0, size - view.shape[-1])])


def clock(time: Array, length: int, terminates: bool) -> tuple[Array, Array]:
    """Returns (terminated, truncated) of a game that only its time limit ends."""
    over = time >= length
    return over & terminates, over & (not terminates)


def at_end(x: Array, valid: Array) -> Array:
    """[B], value of x [T, B] at the last valid step."""
    ends = valid & ~jnp.concatenate([valid[1:], jnp.zeros_like(valid[:1])])
    return jnp.where(ends, x, 0).sum(0)


def mean_over_steps(x: Array, valid: Array) -> Array:
    """[B], mean of x [T, B] over valid steps."""
    return jnp.where(valid, x, 0).sum(0) / valid.sum(0)
