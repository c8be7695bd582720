"""The movement rule of the sequential social dilemmas: it decides who gets a cell that several agents want.

A cell is one number (row * columns + column), so that one comparison is enough. All sizes are fixed: a set of agents is
a mask [N]. docs/tasks/harvest.md has the rule in words.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

NOWHERE = 2**30  # larger than any cell


def occupant(cell: Array, position: Array) -> Array:
    """[N] bool, mask of the agent that stands in a cell []; of several the highest number. All False: nobody."""
    here = position == cell
    return here & (jnp.arange(len(position)) == jnp.where(here, jnp.arange(len(position)), -1).max())


def of(who: Array, x: Array) -> Array:
    """[] bool, the entry of x [N] for the one agent in the mask `who` [N]; False if the mask is empty."""
    return (who & x).any()


def contested(position: Array, target: Array, wants: Array, priority: Array, may_share: bool) -> tuple[Array, Array]:
    """Stage 1: settles the cells that two or more agents want, in order. Returns (position, target) [N].

    wants [N]: agents that move or stay; priority [N]: of several contenders the one with the least goes first.
    """
    n = len(position)
    rivals = (target[:, None] == target) & wants[:, None] & wants
    goal = jnp.where(rivals.sum(-1) > 1, target, NOWHERE)

    def settle(_: int, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        position, target, goal = carry
        cell = goal.min()
        contenders = (goal == cell) & (cell < NOWHERE)
        there = occupant(cell, position)
        wish = jnp.where(there, target, -1).max()  # the target of the agent that stands there
        swaps = (contenders & (position == wish)).any()
        refused = of(there, contenders | ~wants | (target == position)) | (there.any() & swaps)
        if not may_share:
            refused |= there.any()
        first = jnp.arange(n) == jnp.where(contenders, priority, jnp.inf).argmin()
        position = jnp.where(first & contenders & ~refused, cell, position)
        return position, jnp.where(contenders, position, target), jnp.where(contenders, NOWHERE, goal)

    position, target, _ = lax.fori_loop(0, n // 2, settle, (position, target, goal))
    return position, target


def one_pass(position: Array, target: Array, pending: Array) -> tuple[Array, Array]:
    """Gives each pending agent one turn, in order. Returns (position, mask of agents still pending) [N]."""
    started = pending

    def turn(agent: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        position, pending = carry
        me = jnp.arange(len(position)) == agent
        mine, goal = jnp.where(me, position, 0).sum(), jnp.where(me, target, 0).sum()
        there = occupant(goal, position)
        free, active = ~there.any(), of(me, pending)
        stuck = of(there, me | ~started | (target == position))
        swap = of(there, target == mine) & ~stuck
        position = jnp.where(me & active & free, goal, position)
        over = (me & (free | stuck | swap)) | (there & swap)
        return position, pending & ~(over & active)

    return lax.fori_loop(0, len(position), turn, (position, pending))


def settled(position: Array, target: Array, pending: Array) -> Array:
    """Stage 2: makes passes until nobody is pending. Returns positions [N].

    If a pass changes nothing, all pending agents move at once.
    """

    def again(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        position, pending = carry
        after, left = one_pass(position, target, pending)
        ring = (left == pending).all()
        return jnp.where(ring & pending, target, after), left & ~ring

    return lax.while_loop(lambda carry: carry[1].any(), again, (position, pending))[0]


def moved(position: Array, target: Array, wants: Array, priority: Array, may_share: bool = True) -> Array:
    """[N] int32, positions after a step. The arguments are those of `contested`."""
    position, target = contested(position, target, wants, priority, may_share)
    return settled(position, target, wants)


def least(scores: Array) -> Array:
    """[N] int32, the agents in the order of their scores [N], the least first."""
    agents, other = jnp.arange(len(scores)), scores[:, None]
    rank = ((scores < other) | ((scores == other) & (agents < agents[:, None]))).sum(-1)
    return (agents[:, None] == rank).argmax(-1).astype(jnp.int32)
