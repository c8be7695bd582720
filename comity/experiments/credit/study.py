"""The measurement of credit as a probe: situations of a fixed team, the action's worth in each, the rules' signals.

`measured` fits `Trial.probe`: (key, state of PG) -> {metric: [situations]}. docs/credit.md uses its numbers.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from comity import rollout
from comity.experiments.credit import replays as played
from comity.experiments.credit.rules import Case, Rule
from comity.learning import credited
from comity.types import Algorithm, Environment, Key, PyTree, Transition

STATISTICS = ("bias", "noise", "right", "rank")
GIVEN = "given"
KNOWN = 2.0  # the sign of an advantage counts as known if it is at least so many standard errors from 0


class Question(NamedTuple):
    """The action that is measured."""

    action: int
    possible: Callable[[PyTree], Array]  # (game) -> [N] bool, the agents that could take it with an effect
    parts: Callable[[Transition], Mapping[str, Array]]  # (steps) -> {part of the reward: [..., N]}


class Sizes(Protocol):
    """Sizes of the measurement; the caller's settings have these fields."""

    @property
    def replays(self) -> int: ...  # K pairs of replays from each situation
    @property
    def rollouts(self) -> int: ...  # number of rollouts from which every rule learns
    @property
    def games(self) -> int: ...  # games of each rollout
    @property
    def searched(self) -> int: ...  # episodes that are searched for one situation


def worth_of(rewards: Array, who: Array, credit: str) -> Array:
    """Credits rewards [..., N] to an agent: its own, the team's mean, or the others' mean. Returns [...]."""
    if credit == "others":
        total = rewards.sum(-1) - rewards[..., who]
        return total / (rewards.shape[-1] - 1)
    return credited(rewards, credit)[..., who]  # pyright: ignore[reportArgumentType]


def learned(
    key: Key,
    env: Environment,
    team: Algorithm,
    state: PyTree,
    rules: tuple[Rule, ...],
    question: Question,
    sizes: Sizes,
) -> tuple[PyTree, ...]:
    """Returns the rules' states after the same play of the team; leaves [P, ...], one for each part of the reward."""
    key_begin, key_play = jax.random.split(key)

    def of_part(part: Array) -> tuple[PyTree, ...]:
        def step(states: tuple[PyTree, ...], key: Key) -> tuple[tuple[PyTree, ...], None]:
            keys = jax.random.split(key, len(rules) + 1)
            play = rollout.start(keys[0], env, team.memory, sizes.games)
            _, steps = rollout.collect(keys[0], env, team, state, play)
            steps = steps._replace(reward=jnp.stack([*question.parts(steps).values()])[part])
            return tuple(rule.learn(k, x, steps) for rule, k, x in zip(rules, keys[1:], states, strict=True)), None

        keys = jax.random.split(key_begin, len(rules))
        states = tuple(rule.begin(k) for rule, k in zip(rules, keys, strict=True))
        return jax.lax.scan(step, states, jax.random.split(key_play, sizes.rollouts))[0]

    count = len(jax.eval_shape(question.parts, rollout.shapes(env, _acts(team, state), team.memory)))
    return jax.lax.map(of_part, jnp.arange(count))


def _acts(team: Algorithm, state: PyTree) -> Callable[..., Any]:
    return lambda key, memory, observation: team.act(key, state, memory, observation)


def in_situation(
    key: Key, env: Environment, team: Algorithm, state: Any, rules: tuple[Rule, ...], states: tuple[PyTree, ...],
    question: Question, sizes: Sizes, gamma: Any, situation: played.Situation,
) -> dict[str, dict[str, dict[str, Array]]]:  # fmt: skip
    """Returns part -> signal -> {mean, variance, share above 0 and at 0 over replays, exact values}, each [].

    The entry GIVEN holds, instead of a signal, the worth of the action by the agent's own reward.
    """
    found = played.replayed(key, env, team, state, situation, question.action, sizes.replays)
    rewards = question.parts(found.done)

    def exactly(part: str, credit: str) -> dict[str, Array]:
        paid = lambda steps: worth_of(question.parts(steps)[part], situation.who, credit)  # noqa: E731
        return {f"exact_{field}": x for field, x in played.worth(found, paid, gamma)._asdict().items()}

    def says(rule: Rule, state_of_rule: PyTree, done: Array, other: Array) -> dict[str, Array]:
        steps = found.done._replace(reward=done), found.other._replace(reward=other)
        return rule.signals(key, state_of_rule, Case(*steps, situation.who, question.action, found.policy, state.actor))

    parts = {part: {GIVEN: exactly(part, "own")} for part in rewards}
    both = [jnp.stack([*question.parts(steps).values()]) for steps in (found.done, found.other)]  # [P, T, K, N] each
    for rule, states_of_parts in zip(rules, states, strict=True):
        signals = jax.vmap(partial(says, rule))(states_of_parts, *both)  # name -> [P, K]
        for number, part in enumerate(rewards):
            exact = exactly(part, rule.credit)
            for name, values in signals.items():
                x = values[number]
                parts[part][name] = {
                    "mean": x.mean(),
                    "variance": x.var(ddof=1),
                    "above": (x > 0).mean(),
                    "zero": (x == 0).mean(),
                    **exact,
                }
    return parts


# Agreement of signals with the truth, over situations -----------------------------------------------------------------


def agreement(signal: Mapping[str, Array], there: Array) -> dict[str, Array]:
    """Compares signals with the exact advantage: bias, noise, right, rank, [S] each, NaN where undefined. signal:
    leaves [S] of `in_situation`.

    bias: mean signal minus the exact advantage. noise: standard deviation of one signal. right: the probability that
    one signal has the sign of the advantage, if that is known; a signal of 0 counts one half. rank: Spearman's
    correlation over situations of mean signals with advantages, the same for all.
    """
    exact, error = signal["exact_advantage"], signal["exact_error"]
    known = there & (jnp.abs(exact) > KNOWN * error)
    agrees = jnp.where(exact > 0, signal["above"], 1 - signal["above"] - signal["zero"]) + 0.5 * signal["zero"]
    rank = jnp.broadcast_to(spearman(signal["mean"], exact, there), exact.shape)
    values = signal["mean"] - exact, jnp.sqrt(signal["variance"]), jnp.where(known, agrees, jnp.nan), rank
    return {name: jnp.where(there, x, jnp.nan) for name, x in zip(STATISTICS, values, strict=True)}


def spearman(x: Array, y: Array, there: Array) -> Array:
    """Spearman's correlation [] of x, y [S], where `there`; equal values share a rank. NaN if one is constant."""

    def rank(x: Array) -> Array:
        below = (x[None] < x[:, None]) + 0.5 * (x[None] == x[:, None])
        own = jnp.where(there, below, 0.0).sum(-1)
        return jnp.where(there, own - own.sum(where=there) / there.sum(), 0.0)

    a, b = rank(x), rank(y)
    size = jnp.sqrt((a * a).sum() * (b * b).sum())
    return jnp.where(size > 1e-9, (a * b).sum() / jnp.maximum(size, 1e-9), jnp.nan)


def measured(
    key: Key, env: Environment, team: Algorithm, state: Any, rules: tuple[Rule, ...], question: Question, sizes: Sizes,
    gamma: Any, count: int,
) -> dict[str, Array]:  # fmt: skip
    """Returns {metric: [count]}: PART_SIGNAL_STATISTIC, and for each part the worth of the action and its precision.

    PART_worth: the advantage by the agent's own reward. PART_error: its standard error. PART_left: the share of the
    variance that remains with common random numbers. PART_known: 1 if its sign is known. there: 1 if a situation was
    found. chance: pi(a).
    """
    keys = jax.random.split(key, 3)
    situations = played.found(keys[0], env, team, state, question.possible, count, sizes.searched * count)
    states = learned(keys[1], env, team, state, rules, question, sizes)

    def one(inputs: tuple[Key, played.Situation]) -> Any:
        key, situation = inputs
        act = team.act(key, state, situation.memory, situation.observation)
        chance = act[2]["probabilities"][situation.who, question.action]
        return in_situation(key, env, team, state, rules, states, question, sizes, gamma, situation), chance

    parts, chance = jax.lax.map(one, (jax.random.split(keys[2], count), situations))
    there = situations.there
    only = lambda x: jnp.where(there, x, jnp.nan)  # noqa: E731
    result = {"there": there * 1.0, "chance": only(chance)}
    for part, signals in parts.items():
        own = signals.pop(GIVEN)
        worth, error = own["exact_advantage"], own["exact_error"]
        left = jnp.square(error / jnp.maximum(own["exact_unpaired"], 1e-12))
        facts = {"worth": worth, "error": error, "left": jnp.where(own["exact_unpaired"] > 0, left, jnp.nan),
                 "known": 1.0 * (jnp.abs(worth) > KNOWN * error)}  # fmt: skip
        result |= {f"{part}_{name}": only(x) for name, x in facts.items()}
        for name, of_signal in signals.items():
            result |= {f"{part}_{name}_{what}": x for what, x in agreement(of_signal, there).items()}
    return result
