"""Estimates of the influence of agent i on agent j's move, for EITI and EDTI (Wang et al. 2020, arXiv 1910.05512).

    log p(move_j | o_j, a_j, o_i, a_i) - log p(move_j | o_j, a_j)     for every pair of agents

On a grid both probabilities come from counts of the nine possible moves. In other games two networks predict the change
of j's own numbers, each by a normal distribution. docs/algorithms/eiti.md derives both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.bonuses.counts import own_cells, place
from comity.algorithms.sights import taken
from comity.learning import Sample, as_often, fresh_sample, in_deviations, take_step, with_sample
from comity.learning.actions import actions
from comity.networks import NormedMLP, per_agent, stacked
from comity.settings import Positive, Range
from comity.spec import Discrete, functions
from comity.types import Environment, Experience, Key, Metrics, PyTree, Transition

MOVES = 9  # to the eight neighbouring cells, and no move
LOG_DEVIATION = (-3.0, 2.0)  # bounds of the log deviation of a predicted, normalised change


@dataclass(frozen=True)
class Settings:
    """Settings of the prediction of moves."""

    by: Literal["auto", "tables", "networks"] = "auto"  # auto: tables if the game gives the agents' cells
    bits: Annotated[int, Range(1, 24)] = 18  # tables have 2^bits rows of nine counts; no free row: no bonus
    hidden: tuple[Positive[int], ...] = (64, 64)  # widths of the networks; a LayerNorm and a ReLU after each
    learning_rate: Positive[float] = 1e-3  # learning rate of the networks (Adam)
    batch: Positive[int] = 256  # transitions per step of the networks, drawn from the rollout
    every: Positive[int] = 100  # transitions of a rollout for one step of the networks
    most: Positive[float] = 5.0  # nats: the networks' log ratios are clipped to this size


class Moves(NamedTuple):
    """Estimates for every ordered pair (i, j) of agents, in the order of `pairs`."""

    init: Callable[[Key], PyTree]
    log_ratio: Callable[[PyTree, Experience], Array]  # (state, experience) -> [..., P] nats
    update: Callable[[Key, PyTree, Transition], tuple[PyTree, Metrics]]


def pairs(agents: int) -> tuple[Array, Array]:
    """Returns (i, j), each [P]: all ordered pairs of different agents, sorted by i, where i influences j."""
    each = [(i, j) for i in range(agents) for j in range(agents) if i != j]
    return jnp.array([i for i, _ in each]), jnp.array([j for _, j in each])


def over_others(x: Array, agents: int) -> Array:
    """Returns the sum over j of the values x [..., P] of all pairs (i, j): [..., N]."""
    return x.reshape(*x.shape[:-1], agents, agents - 1).sum(-1)


def tabular(settings: Settings, env: Environment) -> bool:
    """Returns True if moves are counted in tables.

    Raises ValueError, one line, if the settings ask for tables and the game does not allow them.
    """
    known = functions(env).cells is not None and isinstance(env.spec.action, Discrete)
    if settings.by == "tables" and not known:
        raise ValueError(
            "tables of moves need a grid that says where agents stand, `cells(view)`, and one head, which "
            f"{type(env).__name__} lacks: set by to 'networks'"
        )
    return known and settings.by != "networks"


def moves(settings: Settings, env: Environment, name: str) -> Moves:
    """Returns the estimates that the settings ask for. name: name of the bonus.

    Raises ValueError if there is no other agent.
    """
    if env.spec.agents < 2:
        raise ValueError(f"{name} pays for influence on others, and this game has one agent: leave it out")
    return tables(settings, env) if tabular(settings, env) else networks(settings, env)


# Tables --------------------------------------------------------------------------------------------------------------


class Counted(NamedTuple):
    """K tables that count moves. A row belongs to the first input hashed to it; other inputs are not counted."""

    factors: Array  # [2, C] uint32, factors of two hashes of C numbers: the row, and the mark that identifies the owner
    owner: Array  # [K, 2^bits] uint32, the mark of each row's owner; 0: no owner
    moves: Array  # [K, 2^bits, 9] int32, the counts


class Found(NamedTuple):
    row: Array  # [..., K] int32
    mark: Array  # [..., K] uint32


class Tables(NamedTuple):
    own: Counted  # inputs (cell_j, beside, a_j), K = N
    both: Counted  # inputs (cell_j, beside, a_j, cell_i, a_i), K = P


def empty(key: Key, tables: int, numbers: int, bits: int) -> Counted:
    factors = jax.random.bits(key, (2, numbers), jnp.uint32) | 1
    room = tables, 2**bits
    return Counted(factors, jnp.zeros(room, jnp.uint32), jnp.zeros((*room, MOVES), jnp.int32))


def found(table: Counted, numbers: Array) -> Found:
    """Returns the rows and marks of the inputs `numbers` [..., K, C]."""
    bits = table.owner.shape[1].bit_length() - 1
    mark = (numbers.astype(jnp.uint32) * table.factors[1]).sum(-1, dtype=jnp.uint32)
    return Found(place(table.factors[0], numbers, bits), mark | 1)


def log_p(table: Counted, at: Found, move: Array) -> tuple[Array, Array]:
    """Returns (log of (n_move + 1) / (n + 1), [..., K]; True if the row belongs to another input, [..., K]).

    The ones count the step itself.
    """
    which = jnp.arange(len(table.owner))
    counts, owner = table.moves[which, at.row], table.owner[which, at.row]
    made = jnp.take_along_axis(counts, move[..., None], -1)[..., 0]
    return jnp.log((made + 1.0) / (counts.sum(-1) + 1.0)), (owner != 0) & (owner != at.mark)


def counted(table: Counted, at: Found, move: Array, valid: Array) -> tuple[Counted, Array]:
    """Adds the moves [T, B, K] of valid steps: returns (the table, number of moves whose row has another owner)."""
    which, present = jnp.arange(len(table.owner)), valid[..., None]
    coming = jnp.zeros_like(table.owner).at[which, at.row].max(jnp.where(present, at.mark, 0))
    owner = jnp.where(table.owner == 0, coming, table.owner)
    mine = present & (owner[which, at.row] == at.mark)
    moves = table.moves.at[which, at.row, move].add(mine.astype(jnp.int32))
    return table._replace(owner=owner, moves=moves), (present & ~mine).sum()


def tables(settings: Settings, env: Environment) -> Moves:
    spec, cells = env.spec, functions(env).cells
    assert cells is not None
    agents = spec.agents
    who, whom = pairs(agents)
    size = 3 + jax.eval_shape(cells, jnp.zeros((agents, *spec.view.shape)))[1].shape[-1]

    def rows(state: Tables, experience: Any) -> tuple[Found, Found, Array]:
        """Returns (rows of each agent alone, rows of pairs, the number of each agent's move [..., N])."""
        cell, beside = cells(experience.observation.view)
        after, _ = cells(experience.next_observation.view)
        action = experience.action[..., None]
        own = jnp.concatenate([own_cells(cell, beside), action], -1)  # [..., N, C]
        mine = jnp.concatenate([cell, action], -1)  # [..., N, 3]
        both = jnp.concatenate([own.take(whom, -2), mine.take(who, -2)], -1)  # [..., P, C + 3]
        step = jnp.clip(after - cell, -1, 1) + 1
        return found(state.own, own), found(state.both, both), 3 * step[..., 0] + step[..., 1]

    def init(key: Key) -> Tables:
        keys = jax.random.split(key)
        return Tables(empty(keys[0], agents, size, settings.bits), empty(keys[1], len(who), size + 3, settings.bits))

    def log_ratio(state: Tables, experience: Experience) -> Array:
        own, both, move = rows(state, experience)
        alone, no_row = log_p(state.own, own, move)
        with_i, none_either = log_p(state.both, both, move.take(whom, -1))
        return jnp.where(no_row.take(whom, -1) | none_either, 0.0, with_i - alone.take(whom, -1))

    def update(key: Key, state: Tables, steps: Transition) -> tuple[Tables, Metrics]:
        own, both, move = rows(state, steps)
        alone, _ = counted(state.own, own, move, steps.valid)
        together, left_out = counted(state.both, both, move.take(whom, -1), steps.valid)
        about = {
            "filled": (together.owner != 0).mean(dtype=jnp.float32),
            "left_out": left_out / jnp.maximum(steps.valid.sum() * len(who), 1),
        }
        return Tables(alone, together), about

    return Moves(init, log_ratio, update)


# Networks ------------------------------------------------------------------------------------------------------------


class Networks(NamedTuple):
    own: NormedMLP  # reads (o_j, a_j), leaves [N, ...]
    both: NormedMLP  # reads (o_j, a_j, o_i, a_i), leaves [P, ...]
    opt_state: PyTree
    seen: Sample  # [N, I], moments of (o, a)
    changes: Sample  # [N, F], moments of the changes of an agent's own numbers


def log_density(outputs: Array, x: Array) -> Array:
    """Returns the log density of x [..., F], [...] in nats, up to a constant.

    The density is normal; outputs [..., 2F] hold its mean and log deviation.
    """
    mean, log_deviation = jnp.split(outputs, 2, -1)
    log_deviation = jnp.clip(log_deviation, *LOG_DEVIATION)
    return -(0.5 * jnp.square((x - mean) * jnp.exp(-log_deviation)) + log_deviation).sum(-1)


def networks(settings: Settings, env: Environment) -> Moves:
    spec, acts = env.spec, actions(env.spec.action)
    agents, size = spec.agents, spec.view.size + spec.action.n
    who, whom = pairs(agents)
    columns = spec.view.entities.own if spec.view.entities else tuple(range(spec.view.size))
    adam = optax.adam(settings.learning_rate)
    features = len(columns)

    def numbers(experience: Any) -> tuple[Array, Array]:
        """Returns ((o, a) [..., N, I], the change of each agent's own numbers [..., N, F])."""
        action = acts.encoded(experience.action)
        flat = lambda view: view.reshape(*action.shape[:-1], -1).astype(jnp.float32)  # noqa: E731
        before, after = flat(experience.observation.view), flat(experience.next_observation.view)
        return jnp.concatenate([before, action], -1), taken(after, columns) - taken(before, columns)

    def log_p(nets: tuple, state: Networks, pairs: Array, change: Array) -> tuple[Array, Array]:
        """Returns the log density of the changes, given each agent alone [..., N], and given pairs [..., P]."""
        pairs, change = in_deviations(pairs, state.seen), in_deviations(change, state.changes)
        axis, each = pairs.ndim - 2, lambda net, x: net(x)
        both = jnp.concatenate([pairs.take(whom, axis), pairs.take(who, axis)], -1)
        called = [per_agent(each, (0, axis), axis)(net, x) for net, x in zip(nets, (pairs, both), strict=True)]
        return log_density(called[0], change), log_density(called[1], change.take(whom, axis))

    def init(key: Key) -> Networks:
        net = lambda times: lambda key: NormedMLP(key, times * size, settings.hidden, 2 * features)  # noqa: E731
        nets = stacked(net(1), key, agents), stacked(net(2), jax.random.fold_in(key, 1), len(who))
        return Networks(*nets, adam.init(nets), fresh_sample(agents, size), fresh_sample(agents, features))

    def log_ratio(state: Networks, experience: Experience) -> Array:
        alone, both = log_p((state.own, state.both), state, *numbers(experience))
        ratio = jnp.clip(both - alone.take(whom, -1), -settings.most, settings.most)
        return jnp.where(state.seen.count > 0, ratio, 0.0)  # it means nothing before the first update

    def update(key: Key, state: Networks, steps: Transition) -> tuple[Networks, Metrics]:
        flat = lambda x: x.reshape(-1, *x.shape[2:])  # noqa: E731
        pairs, change, valid = map(flat, (*numbers(steps), steps.valid))
        state = state._replace(
            seen=with_sample(state.seen, pairs, valid), changes=with_sample(state.changes, change, valid)
        )

        def step(carry: tuple, key: Key) -> tuple[tuple, dict[str, Array]]:
            drawn = jax.random.randint(key, (settings.batch,), 0, len(valid))
            present = valid[drawn]

            def loss(nets: tuple) -> Array:  # a sum of the networks' losses, which share no parameters
                found = jnp.concatenate(log_p(nets, state, pairs[drawn], change[drawn]), -1)
                return -(jnp.where(present[:, None], found, 0.0).sum(0) / jnp.maximum(present.sum(), 1)).sum()

            error, grads = jax.value_and_grad(loss)(carry[0])
            after = take_step(adam, carry[0], carry[1], grads)
            keep = lambda new, old: jnp.where(present.any(), new, old)  # noqa: E731
            return jax.tree.map(keep, after, carry), {"error": error / (agents + len(who))}

        start = (state.own, state.both), state.opt_state
        (nets, opt_state), told = as_often(settings.every, key, len(valid), step, start)
        return state._replace(own=nets[0], both=nets[1], opt_state=opt_state), told

    return Moves(init, log_ratio, update)
