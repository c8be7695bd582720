"""Rollouts: agents act, games step, transitions are recorded. Nothing is learned here.

`collect_episodes` plays fresh games and freezes each game at its end; `collect_steps` continues the games of the last
rollout and resets those that end. Both return a `Transition` with leaves [T, B, ...]. Fields that nobody reads cost
nothing: the compiler drops them from the scan.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.axes import aligned
from comity.loops import over_time
from comity.spec import Box, functions
from comity.types import Algorithm, Environment, EpisodeNumber, Key, Observation, PyTree, Transition, begin

Act = Callable[[Key, PyTree, Observation], tuple[PyTree, PyTree, dict[str, Array]]]  # (key, memory, observation)
Spread = Callable[[PyTree], PyTree]  # takes a tree with leaves [B, ...], returns it with games sharded over devices


def unsharded(games: PyTree) -> PyTree:
    """The `Spread` of one device."""
    return games


class Play(NamedTuple):
    """The state of B games between two rollouts."""

    game: PyTree  # [B, ...]
    observation: Observation  # [B, ...]
    memory: PyTree  # [B, N, ...]
    episode: Array  # [B] int32, number of earlier episodes in the same place


def start(key: Key, env: Environment, memory: PyTree, games: int, episode: Array | int = 0) -> Play:
    """Begins `games` fresh games. memory: of one game, at the start of an episode. episode: [] or [games]."""
    episode = jnp.broadcast_to(jnp.asarray(episode, jnp.int32), (games,))
    keys = jax.random.split(key, games)
    game, observation = jax.vmap(lambda key, number: begin(env, key, number))(keys, episode)
    memory = jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (games, *jnp.shape(x))), memory)
    return Play(game, observation, numbered(memory, episode), episode)


def numbered(memory: PyTree, episode: Array) -> PyTree:
    """Sets every `EpisodeNumber` in the memories of B games to `episode` [B]."""
    is_number = lambda x: isinstance(x, EpisodeNumber)  # noqa: E731
    of = lambda x: EpisodeNumber(jnp.broadcast_to(aligned(episode, x.number), x.number.shape)) if is_number(x) else x  # noqa: E731
    return jax.tree.map(of, memory, is_leaf=is_number)


def collect_episodes(key: Key, env: Environment, act: Act, play: Play) -> Transition:
    """Plays each of the B fresh games of `play` to its end. T = `Spec.length`; steps after the end are not `valid`.

    After its end a game is frozen: observation and memory stay, rewards are 0. So next_observation[t] is always
    observation[t + 1].
    """
    return _episodes(key, env, act, play)[1]


def _episodes(key: Key, env: Environment, act: Act, play: Play) -> tuple[Play, Transition]:
    """Returns (the games after their last step, the steps that `collect_episodes` returns)."""

    def step(carry, key):
        play, over = carry
        after, transition = _step(key, env, act, play)
        held = over  # [B] this step is padding
        after = _select(held, play, after)
        transition = transition._replace(
            reward=_zero(held, transition.reward),
            info=jax.tree.map(lambda x: _zero(held, x), transition.info),
            terminated=transition.terminated & ~held,
            truncated=transition.truncated & ~held,
            valid=~held,
        )
        return (after, over | transition.ended), transition

    carry = (play, jnp.zeros(play.episode.shape, bool))
    (last, _), steps = over_time(step, carry, jax.random.split(key, env.spec.length))
    # The scan does not record these: the observation after step t is the one before step t + 1.
    shift = lambda xs, x: jnp.concatenate([xs[1:], x[None]])  # noqa: E731
    return last, steps._replace(
        next_observation=jax.tree.map(shift, steps.observation, last.observation),
        next_memory=jax.tree.map(shift, steps.memory, last.memory),
    )


def collect_steps(
    key: Key, env: Environment, act: Act, play: Play, memory: PyTree, length: int
) -> tuple[Play, Transition]:
    """Plays `length` more steps of the games in `play` and resets games that end. Every step is `valid`.

    memory: of one game, at the start of an episode. Returns (the games after the rollout, steps).
    """
    games = play.episode.shape[0]

    def step(play, key):
        key, key_reset = jax.random.split(key)
        after, transition = _step(key, env, act, play)
        ended = transition.ended

        def reset():
            return _select(ended, start(key_reset, env, memory, games, after.episode + 1), after)

        # Under plain jit a reset costs time only when a game ends; under vmap the cond becomes a select.
        return lax.cond(ended.any(), reset, lambda: after), transition

    return over_time(step, play, jax.random.split(key, length))


def collect(
    key: Key, env: Environment, algorithm: Algorithm, state: PyTree, play: Play, spread: Spread = unsharded
) -> tuple[Play, Transition]:
    """Plays one training rollout, of whole episodes or of `algorithm.steps` steps.

    spread: is applied to the games of whole episodes, which start here. Returns (the games after the rollout, steps).
    Raises ValueError if the game's opponents begin from other networks and the algorithm cannot provide them.
    """

    practise = algorithm.practise or algorithm.act

    def act(key, memory, observation):
        return practise(key, state, memory, observation)

    adopt, carry = functions(env).adopt, functions(env).carry
    if not algorithm.whole_episodes:
        if adopt or carry:
            raise ValueError(
                "opponents in this game begin episodes in training from other networks than their first, which "
                "needs rollouts of whole episodes, and this learner plays on without a break: take coala"
            )
        return collect_steps(key, env, act, play, algorithm.memory, algorithm.steps or env.spec.length)
    key, key_start = jax.random.split(key)
    before, play = play, start(key_start, env, algorithm.memory, play.episode.shape[0], play.episode)
    if adopt and not algorithm.lends:
        raise ValueError("opponents in this game begin from players' networks, and this learner lends none: take coala")
    if adopt or carry:
        keys = jax.random.split(jax.random.fold_in(key_start, 1), len(play.episode))
        if adopt:
            assert algorithm.lends
            found = jax.vmap(adopt, (0, 0, None))(keys, play.game, algorithm.lends(state))
        else:
            assert carry
            found = jax.vmap(carry)(keys, play.game, before.game)
            found = _select(play.episode > 0, found, (play.game, play.observation))
        play = play._replace(game=found[0], observation=found[1])
    play = spread(play)
    last, steps = _episodes(key, env, act, play)
    play = play._replace(game=last.game) if carry else play
    return play._replace(episode=play.episode + 1), steps


def starts(steps: Transition) -> Array:
    """[T, B] bool: memory is reset before this step. False for the first step, whose memory is recorded."""
    return jnp.concatenate([jnp.zeros_like(steps.terminated[:1]), steps.ended[:-1]])


def shapes(env: Environment, act: Act, memory: PyTree) -> Transition:
    """The shapes [T, 1, ...] of one episode of one game, to build a replay or a buffer. Nothing is played."""
    key = jax.random.key(0)
    return jax.eval_shape(lambda: collect_episodes(key, env, act, start(key, env, memory, 1)))


def given_to(env: Environment, action: PyTree) -> PyTree:
    """Returns the action that the game gets. Some policies draw numbers without bounds: they learn from the draw, and a
    game with a `Box` gets the clipped action.
    """
    return jnp.clip(action, -1.0, 1.0) if isinstance(env.spec.action, Box) else action


def _step(key: Key, env: Environment, act: Act, play: Play) -> tuple[Play, Transition]:
    """Plays one step of B games, without resets and without padding."""
    key_act, key_step = jax.random.split(key)
    action, memory, notes = act(key_act, play.memory, play.observation)
    step = functions(env).step_games or jax.vmap(env.step)
    inside = given_to(env, action)
    game, timestep = step(jax.random.split(key_step, play.episode.shape[0]), play.game, inside)
    after = Play(game, timestep.observation, memory, play.episode)
    return after, Transition(
        play.observation,
        play.memory,
        action,
        timestep.reward,
        timestep.observation,
        memory,
        timestep.terminated,
        timestep.truncated,
        jnp.ones_like(timestep.terminated),
        notes,
        timestep.info,
    )


def _select(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """Selects `yes` where condition [B] is True, else `no`. Leaves may be typed keys."""
    return jax.tree.map(lambda a, b: jnp.where(aligned(condition, a), a, b), yes, no)


def _zero(condition: Array, x: Array) -> Array:
    return jnp.where(aligned(condition, x), jnp.zeros_like(x), x)
