"""Scripted players of Harvest and Cleanup: cooperators and defectors. They read the views of agents and nothing else.

They walk without turning: left, right, forward and back are relative to the heading, as the window is. A script has no
key; its random numbers are a hash of the clock and the window.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.dilemmas import APPLE, CHANNELS, FLOOR, WALL, WASTE, WATER
from comity.environments.dilemmas.play import BACK, CLEAN, CLOCKWISE, COUNTER, FORWARD, LEFT, RIGHT, STAY
from comity.settings import did_you_mean

if TYPE_CHECKING:
    from comity.environments.dilemmas.cleanup import Cleanup
    from comity.environments.dilemmas.harvest import Harvest

FAR = 10_000  # more than any number of steps
KEPT_NEIGHBOURS = 3  # a cooperator takes an apple only if at least so many others are around it

Decide = Callable[["Window", Array], Array]
Script = tuple[Array, Callable[[Array, Array], tuple[Array, Array]]]


class Window(NamedTuple):
    """A window as planes [S, S] bool. down, right: rows and columns from the middle to each cell."""

    walls: Array
    apples: Array
    waste: Array
    water: Array
    others: Array
    down: np.ndarray
    right: np.ndarray


def window(view: Array) -> Window:
    """Reads a view [S, S, channels], of planes or of colours."""
    radius = view.shape[0] // 2
    away = np.arange(-radius, radius + 1)
    down, right = np.meshgrid(away, away, indexing="ij")
    if view.shape[-1] == len(CHANNELS):
        plane = lambda name: view[..., CHANNELS.index(name)] > 0  # noqa: E731
        return Window(plane("wall"), plane("apple"), plane("waste"), plane("river"), plane("others"), down, right)
    like = lambda colour: (view == jnp.array(colour, view.dtype)).all(-1)  # noqa: E731
    ground = [like(colour) for colour in (FLOOR, WALL, APPLE, WASTE, WATER)]
    others = ~jnp.stack(ground).any(0) & ((down != 0) | (right != 0))
    return Window(ground[1], ground[2], ground[3], ground[4], others, down, right)


def nearest(wanted: Array, look: Window) -> tuple[Array, Array, Array]:
    """Finds the nearest cell of `wanted` [S, S], by steps. Returns (True if there is one, rows down, columns right)."""
    steps = jnp.where(wanted, np.abs(look.down) + np.abs(look.right), FAR).reshape(-1)
    place = steps.argmin()
    return steps[place] < FAR, jnp.asarray(look.down.ravel())[place], jnp.asarray(look.right.ravel())[place]


def walk(down: Array, right: Array, shut: Array, chance: Array) -> Array:
    """Action that goes towards a cell `down` rows and `right` columns away.

    It goes along the longer way if that is open, else along the other one, else aside. shut [S, S] bool: cells not to
    enter; chance []: a random whole number.
    """
    middle = len(shut) // 2
    beside = jnp.stack(
        [shut[middle, middle - 1], shut[middle, middle + 1], shut[middle - 1, middle], shut[middle + 1, middle]]
    )
    along = jnp.where(down < 0, FORWARD, BACK), jnp.where(right < 0, LEFT, RIGHT)
    lengthwise = jnp.abs(down) >= jnp.abs(right)
    first, second = jnp.where(lengthwise, along[0], along[1]), jnp.where(lengthwise, along[1], along[0])
    useless = jnp.where(lengthwise, right, down) == 0
    second = jnp.where(useless, jnp.where(lengthwise, jnp.where(chance % 2 == 0, LEFT, RIGHT), second), second)
    blocked = jnp.where(beside[second], (chance % 5).astype(jnp.int32), second)
    there = (down == 0) & (right == 0)
    return jnp.where(there, STAY, jnp.where(beside[first], blocked, first)).astype(jnp.int32)


def stroll(shut: Array, chance: Array) -> Array:
    """Action that goes ahead as long as nothing is in the way, with a turn now and then."""
    middle = len(shut) // 2
    turn = jnp.where(chance % 2 == 0, CLOCKWISE, COUNTER)
    return jnp.where(shut[middle - 1, middle] | (chance % 16 == 3), turn, FORWARD).astype(jnp.int32)


def hashed(time: Array, view: Array) -> Array:
    """[] uint32, a hash of clock and view, used as a random number."""
    weights = np.random.default_rng(0).integers(1, 2**32, view.size, dtype=np.uint32)
    x = (view.reshape(-1).astype(jnp.uint32) * weights).sum(dtype=jnp.uint32) + time.astype(jnp.uint32) * np.uint32(
        2654435761
    )
    x = (x ^ x >> 16) * np.uint32(2246822519)
    return x >> 13


def eater(look: Window, chance: Array) -> Array:
    """Goes to the nearest apple, whatever that does to the orchard. Never fires: a shot costs a point and wins none."""
    found, down, right = nearest(look.apples, look)
    shut = look.walls | look.others
    return jnp.where(found, walk(down, right, shut, chance), stroll(shut, chance))


def keeper(look: Window, chance: Array) -> Array:
    """Eats only apples with `KEPT_NEIGHBOURS` others around, so that they grow again. Does not step on other apples."""
    edge = jnp.pad(look.apples, 1).astype(jnp.int32)
    size = len(look.apples)
    around = sum(
        edge[1 + down :, 1 + right :][:size, :size]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    )
    ripe = look.apples & (around >= KEPT_NEIGHBOURS)
    found, down, right = nearest(ripe, look)
    shut = look.walls | look.others | (look.apples & ~ripe)
    return jnp.where(found, walk(down, right, shut, chance), stroll(shut, chance))


def cleaner(length: int, look: Window, chance: Array) -> Array:
    """Turns to the waste that it sees and cleans it. If it sees none, it eats, or walks along the river."""
    found, down, right = nearest(look.waste, look)
    shut = look.walls | look.others
    near = jnp.minimum(jnp.abs(down), jnp.abs(right)) <= 1
    within = jnp.maximum(jnp.abs(down), jnp.abs(right)) < length
    ahead = -jnp.asarray(look.down)  # rows in front of the agent
    rays = (np.abs(look.right) <= 1) & (ahead >= (look.right == 0)) & (ahead < length + (look.right == 0))
    aims = (look.waste & rays).any() & (chance % 8 != 0)  # not always: an agent may stand in the way
    turn = jnp.where((right < 0) & (jnp.abs(right) >= jnp.abs(down)), COUNTER, CLOCKWISE)
    go = jnp.where(near & within & (chance % 8 != 0), turn, walk(down, right, shut, chance))
    return jnp.where(found, jnp.where(aims, CLEAN, go), resting(look, chance))


def resting(look: Window, chance: Array) -> Array:
    """Action of a cleaner that sees no waste: it goes to an apple, or back to the water, or strolls."""
    shut = look.walls | look.others
    apple, down, right = nearest(look.apples, look)
    water, down_water, right_water = nearest(look.water, look)
    far = jnp.abs(down_water) + jnp.abs(right_water) > 2
    back = walk(down_water, right_water, shut, chance)
    otherwise = jnp.where(water & far & (chance % 4 != 0), back, stroll(shut, chance))
    return jnp.where(apple, walk(down, right, shut, chance), otherwise)


def waiter(look: Window, chance: Array) -> Array:
    """Eats. Without an apple it waits where it is still in sight of the river, but far from it."""
    apple, down, right = nearest(look.apples, look)
    shut = look.walls | look.others
    water, down_water, right_water = nearest(look.water, look)
    away = walk(-down_water, -right_water, shut, chance)
    near = water & (jnp.abs(down_water) + jnp.abs(right_water) < len(look.walls) // 2)
    idle = jnp.where(near, away, jnp.where(water & (chance % 3 != 0), STAY, stroll(shut, chance)))
    return jnp.where(apple, walk(down, right, shut, chance), idle)


def script(decide: Decide) -> Script:
    """Returns (memory: the clock, act) of a player that decides by its window and a random number."""

    def act(time: Array, view: Array) -> tuple[Array, Array]:
        return decide(window(view), hashed(time, view)).astype(jnp.int32), time + 1

    many = jnp.vectorize(act, signature="(),(s,t,c)->(),()")
    return jnp.zeros((), jnp.int32), lambda memory, view: many(memory, view)


def harvest(game: Harvest, name: str) -> Script:
    """Returns a script of `Harvest.spec.scripts`. Raises ValueError for other names."""
    return script(known(game, {"cooperator": keeper, "defector": eater}, name))


def cleanup(game: Cleanup, name: str) -> Script:
    """Returns a script of `Cleanup.spec.scripts`. Raises ValueError for other names."""
    return script(known(game, {"cooperator": partial(cleaner, game.beam_length), "defector": waiter}, name))


def known(game: Harvest | Cleanup, rules: dict[str, Decide], name: str) -> Decide:
    """Returns the rule of a script. Raises ValueError if the game does not offer that name."""
    if name not in game.spec.scripts:
        offered = ", ".join(game.spec.scripts) or "none"
        raise ValueError(f"unknown script {name!r}{did_you_mean(name, game.spec.scripts)}; known: {offered}")
    return rules[name]
