"""Messages: with each action an agent sends one of a few symbols, which the others see at the next step.

This is cheap talk: a symbol costs nothing and changes only the others' views. Section 5.1 of "hidden gifts" (arXiv
2505.20579) proposes it. An action with a symbol is one of actions x symbols choices, so every algorithm for discrete
actions can play. docs/tasks/messages.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.settings import TwoOrMore, check
from comity.spec import Discrete, Functions, Spec, Vector, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, Transition, begin


class State(NamedTuple):
    game: PyTree
    sent: Array  # [N] int32, last symbol of each agent; -1 before the first


class Codes(NamedTuple):
    """An observation as a replay stores it."""

    game: PyTree
    heard: Array  # [N] int16, the delivered symbol of each agent; -1: none


@dataclass(frozen=True)
class Messages:
    """`game` with messages. Action a K + k plays a and sends symbol k, of K.

    view: the others' symbols, (N - 1) K numbers, one-hot for each other agent in a circle (the next agent first), zeros
    at the start. They come before the agent's own past, `spec.history`. state: ends with the symbols of all agents in
    order, N K numbers.
    """

    game: Environment  # the wrapped game
    symbols: TwoOrMore = 4  # K, the number of symbols; an agent sends one at every step
    closed: bool = False  # True: agents choose symbols as usual, but no symbol is delivered

    def __post_init__(self) -> None:
        check(self)
        name = type(self.game).__name__
        game = self.game.spec
        if not (isinstance(game.action, Discrete) and isinstance(game.view, Vector)):
            raise ValueError(
                f"messages need one discrete action per agent and views that are vectors: {name} has others"
            )
        if game.agents < 2:
            raise ValueError(f"messages need two agents or more, {name} has {game.agents}")

    @property
    def spec(self) -> Spec:
        game, k = self.game.spec, self.symbols
        return replace(
            game,
            view=Vector(game.view.size + (game.agents - 1) * k),
            action=Discrete(game.action.n * k),
            state=Vector(game.state.size + game.agents * k),
            private=Vector(0),  # the private parts are no longer at the end
            scripts=(),
            action_names=tuple(f"{name}, says {symbol}" for name in game.action_names for symbol in range(k)),
        )

    @property
    def functions(self) -> Functions:
        own = functions(self.game)

        def for_messages(f: Any, change: Any) -> Any:
            return f and partial(change, self, f)

        return Functions(
            draw=for_messages(own.draw, _draw),
            draw_view=for_messages(own.draw_view, _draw_view),
            sharing=for_messages(own.sharing, _draw),
            summary=self.summary,
            pack=for_messages(own.pack, _pack),
            unpack=for_messages(own.unpack, _unpack),
            training_reward=for_messages(own.training_reward, _with_own_actions),
            collective=for_messages(own.collective, _with_own_actions),
        )

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        game, observation = begin(self.game, key, episode)
        state = State(game, jnp.full(self.spec.agents, -1, jnp.int32))
        return state, with_messages(self, observation, state.sent)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        game, timestep = self.game.step(key, state.game, action // self.symbols)
        sent = action.astype(jnp.int32) % self.symbols
        symbols = {name: (sent == k).astype(jnp.float32) for k, name in enumerate(names(self))}
        observation = with_messages(self, timestep.observation, sent)
        return State(game, sent), timestep._replace(observation=observation, info={**timestep.info, **symbols})

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """The game's statistics; [B, N]: the share of steps with each symbol, and the entropy of the shares in nats."""
        symbols = {name: info[name] for name in names(self)}
        info = {name: x for name, x in info.items() if name not in symbols}
        own = functions(self.game).summary
        total = lambda x: jnp.where(aligned(valid, x), x, 0).sum(0)  # noqa: E731
        game = own(reward, info, valid) if own else {name: total(x) for name, x in info.items()}
        steps = jnp.maximum(valid.sum(0), 1)[:, None]
        shares = {name: total(x) / steps for name, x in symbols.items()}  # [B, N]
        entropy = jax.scipy.special.entr(jnp.stack(list(shares.values()))).sum(0)
        return {**game, **shares, "symbol_entropy": entropy}


def names(messages: Messages) -> list[str]:
    """Names of the symbol counts in `info`."""
    return [f"symbol_{k}" for k in range(messages.symbols)]


def offset_in_view(messages: Messages) -> int:
    """Index in a view at which the messages begin. They stand before the agent's own past."""
    spec = messages.game.spec
    return spec.view.size - spec.history


def with_messages(messages: Messages, observation: Observation, sent: Array) -> Observation:
    """Adds the symbols of all agents to the game's observation. sent: [N], -1: none."""
    n, at = messages.game.spec.agents, offset_in_view(messages)
    sent = jnp.full_like(sent, -1) if messages.closed else sent
    symbols = jax.nn.one_hot(sent, messages.symbols, dtype=jnp.int8)  # [N, K]
    others = jnp.concatenate([jnp.roll(symbols, -k, 0) for k in range(1, n)], -1)
    view, state = observation.view, observation.state
    return Observation(
        jnp.concatenate([view[:, :at], others.astype(view.dtype), view[:, at:]], -1),
        jnp.concatenate([state, symbols.reshape(-1).astype(state.dtype)]),
        jnp.repeat(observation.available, messages.symbols, -1),
    )


def without_messages(messages: Messages, observation: Observation) -> tuple[Observation, Array]:
    """Undoes `with_messages`. Returns (the game's observation, symbols of all agents [N] int32)."""
    at, size, agents = offset_in_view(messages), messages.game.spec.state.size, messages.game.spec.agents
    view = jnp.concatenate([observation.view[:, :at], observation.view[:, at + heard_size(messages) :]], -1)
    symbols = observation.state[size:].reshape(agents, -1).astype(jnp.int32)
    sent = (symbols * jnp.arange(1, messages.symbols + 1)).sum(-1) - 1
    return Observation(view, observation.state[:size], observation.available[:, :: messages.symbols]), sent


def heard_size(messages: Messages) -> int:
    """The number of entries of a view that are messages."""
    return (messages.game.spec.agents - 1) * messages.symbols


# Optional functions of the game with messages; the second argument is the game's own function -----------------------


def _pack(messages: Messages, pack: Any, observation: Observation) -> Codes:
    game, sent = without_messages(messages, observation)
    return Codes(pack(game), sent.astype(jnp.int16))


def _unpack(messages: Messages, unpack: Any, codes: Codes) -> Observation:
    return with_messages(messages, unpack(codes.game), codes.heard.astype(jnp.int32))


def _draw(messages: Messages, draw: Any, state: State) -> Any:
    return draw(state.game)


def _draw_view(messages: Messages, draw_view: Any, view: Any) -> Any:
    at = offset_in_view(messages)
    return draw_view(jnp.concatenate([view[:at], view[at + heard_size(messages) :]]))


def _with_own_actions(messages: Messages, function: Any, *arguments: Any) -> Any:
    """Calls `training_reward` or `collective` on steps that hold the game's own actions, without symbols."""
    own = lambda x: x._replace(action=x.action // messages.symbols) if isinstance(x, Transition) else x  # noqa: E731
    return function(*map(own, arguments))
