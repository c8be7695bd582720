"""Discs that slide and turn on a floor: damping, friction, and contacts.

The motion in the plane of the MuJoCo world of RUSP's Oasis (Baker 2020, arXiv 2011.05373): spheres of mass 1 on slide
joints. A step is 15 substeps of 0.005. docs/tasks/oasis.md.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

RADIUS = 0.15
SUBSTEPS, INTERVAL = 15, 0.005
GEAR = 100.0  # force, or torque, of an action of 1
DAMPING = 10.0  # force, or torque, per speed of a joint
FRICTION = 0.2 * 50.0  # force: coefficient times weight
INERTIA = 0.4 * RADIUS**2  # of a sphere of mass 1


class Bodies(NamedTuple):
    """N discs."""

    place: Array  # [N, 2]
    velocity: Array  # [N, 2]
    angle: Array  # [N], angle of the hinge
    spin: Array  # [N], angular velocity


def heading(angle: Array) -> Array:
    """Unit vectors [..., 2] in the directions that bodies face: a quarter turn behind the hinge's angle."""
    return jnp.stack([jnp.sin(angle), -jnp.cos(angle)], -1)


def slid(bodies: Bodies, push: Array, twist: Array) -> Bodies:
    """Moves bodies by one step. push [N, 2], along the world's axes, and twist [N]: actions in units of GEAR."""
    force, torque, mass = GEAR * push, GEAR * twist, 1.0

    def substep(_: int, now: Bodies) -> Bodies:
        heavy, stiff = mass + INTERVAL * DAMPING, INERTIA + INTERVAL * DAMPING  # damping is implicit
        velocity = (mass * now.velocity + INTERVAL * force) / heavy
        speed = jnp.sqrt(jnp.maximum(jnp.square(velocity).sum(-1, keepdims=True), 1e-24))
        velocity = velocity * jnp.maximum(0.0, 1 - INTERVAL * FRICTION / heavy / speed)
        spin = (INERTIA * now.spin + INTERVAL * torque) / stiff
        place, velocity = apart(now.place + INTERVAL * velocity, velocity)
        return Bodies(place, velocity, now.angle + INTERVAL * spin, spin)

    return jax.lax.fori_loop(0, SUBSTEPS, substep, bodies)


def apart(place: Array, velocity: Array) -> tuple[Array, Array]:
    """Returns (place, velocity) [N, 2] after contacts, pair by pair.

    Two discs that overlap move apart by the same distance, and lose the speed of their approach.
    """
    for i, j in itertools.combinations(range(len(place)), 2):
        away = place[i] - place[j]
        distance = jnp.sqrt(jnp.square(away).sum())
        along = jnp.where(distance > 1e-9, away / jnp.maximum(distance, 1e-9), jnp.array([1.0, 0.0]))
        touch = distance < 2 * RADIUS
        shift = jnp.where(touch, RADIUS - distance / 2, 0.0) * along
        approach = jnp.where(touch, jnp.minimum((velocity[i] - velocity[j]) @ along, 0.0), 0.0)
        place = place.at[i].add(shift).at[j].add(-shift)
        velocity = velocity.at[i].add(-approach / 2 * along).at[j].add(approach / 2 * along)
    return place, velocity


def in_cone(place: Array, angle: Array, half: float) -> Array:
    """[N, N] bool, True where the column body lies within the angle `half` of the direction that the row body faces."""
    away = place[None] - place[:, None]
    distance = jnp.sqrt(jnp.square(away).sum(-1))
    return (away * heading(angle)[:, None]).sum(-1) >= jnp.cos(half) * distance


def free_sight(place: Array) -> Array:
    """[N, N] bool, True where no third disc's centre is closer than RADIUS to the segment between row and column."""
    start, way = place[:, None, None], (place[None] - place[:, None])[:, :, None]  # [N, 1, 1, 2], [N, N, 1, 2]
    offset = place[None, None] - start  # [N, 1, N, 2], from row to the third body
    length = jnp.square(way).sum(-1)  # [N, N, 1]
    share = (offset * way).sum(-1) / jnp.maximum(length, 1e-12)  # [N, N, N]
    nearest = jnp.clip(share, 0.0, 1.0)[..., None] * way
    close = jnp.square(offset - nearest).sum(-1) < RADIUS**2
    n = jnp.arange(len(place))
    third = (n != n[:, None, None]) & (n != n[:, None])  # [N, N, N], the third body is neither of the two
    return ~(close & third).any(-1)
