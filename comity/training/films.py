"""Plays episodes for films and turns them into Recordings, with the pictures that the game draws."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from comity import rollout
from comity.spec import MultiDiscrete, Vector, functions
from comity.training import evaluation, hosted_play
from comity.training.episodes import episode_statistics
from comity.types import Environment, Key, PyTree, Timestep, Transition

STEPPED = 8  # largest number of episodes of a game that Python steps and draws


def record(
    key: Key, env: Environment, act: rollout.Act, memory: PyTree, games: int, episode: int | None, most: int,
    title: str, task: str, algorithm: str, seed: int, policy: Literal["sampled", "greedy"],
) -> list[Any]:  # fmt: skip
    """Plays `games` episodes, fewer if Python steps the game, and returns Recordings: one, or up to `most` that succeed
    equally.

    It reads only the results of `act`, the observations, `info` and those of the game's functions `draw`, `draw_view`
    and `sharing` that exist. Raises ValueError if there is no episode of the number `episode`.
    """
    host = functions(env).host
    games = min(games, STEPPED) if host else games
    if episode is not None and not 0 <= episode < games:
        raise ValueError(f"episode {episode} must be from 0 to {games - 1}")
    if host:
        played = stepped(host(1, pictures=True), key, env, act, memory, games)
    else:
        played = jax.tree.map(plain, jax.jit(lambda: filmed(key, env, act, memory, games))())
    chosen, caption = _choose(env, played.steps, episode, most)
    words = {"title": title, "task": task, "algorithm": algorithm, "seed": seed, "policy": policy}
    turns = [f"; {k + 1} of {len(chosen)} in turn" if len(chosen) > 1 else "" for k in range(len(chosen))]
    return [recording(env, played, k, caption=caption + turn, **words) for k, turn in zip(chosen, turns, strict=True)]


class Filmed(NamedTuple):
    """Episodes of B games, [T, B, ...], with their states if the game draws them."""

    first: PyTree  # [B, ...], first states, or ()
    after: PyTree  # [T, B, ...], states after each step, or ()
    steps: Transition
    pictures: tuple[Any, ...] = ()  # for each game [length + 1, H, W, 3] or None; only if Python steps the game


def filmed(key: Key, env: Environment, act: rollout.Act, memory: PyTree, games: int) -> Filmed:
    """Plays `games` fresh episodes to their end."""
    watched: Any = _Watched(env) if functions(env).draw or functions(env).sharing else env
    key_start, key = jax.random.split(key)
    start = rollout.start(key_start, watched, memory, games, jnp.arange(games))
    steps = rollout.collect_episodes(key, watched, act, start)
    if watched is env:
        return Filmed((), (), steps)
    info = dict(steps.info)
    return Filmed(start.game, info.pop(STATE), steps._replace(info=info))


def stepped(host: Any, key: Key, env: Environment, act: rollout.Act, memory: PyTree, games: int) -> Filmed:
    """Does the same as `filmed` for a game that Python steps, one episode after the other. host: a host of one game."""
    jitted, steps, pictures = jax.jit(act), [], []

    def decide(key: Key, step: Any, memory: PyTree, observation: Any, fresh: Any, over: Any):
        action, after, notes = jitted(jax.random.fold_in(key, step), memory, observation)
        return memory, action, after, notes

    try:
        for game in range(games):
            key_game, watched = jax.random.fold_in(key, game), hosted_play.Watched(host)
            under = hosted_play.Under(watched, 1, jax.tree.map(lambda x: jnp.asarray(x)[None], memory), ())
            play, name = partial(decide, key_game), hosted_play.numbers_of(key_game)
            steps.append(hosted_play.rollout_of(under, play, env.spec.length, True, name))
            pictures.append(watched.pictures())
    finally:
        host.close()
    both = jax.tree.map(lambda *xs: np.concatenate(xs, 1), *steps)
    return Filmed((), (), both, tuple(pictures))


def recording(env: Environment, played: Filmed, chosen: int, **words: Any):
    """Makes a Recording of one episode, with numpy arrays. words: its other fields (title, caption, seed, ...)."""
    from comity.report.recording import Recording

    steps, length = played.steps, int(played.steps.valid[:, chosen].sum())
    of = lambda tree: jax.tree.map(lambda x: x[:length, chosen], tree)  # noqa: E731
    before = jax.tree.map(lambda x: x[chosen], played.first)
    games_seen = [before, *(jax.tree.map(lambda x, t=t: x[t], of(played.after)) for t in range(length))]
    sharing = functions(env).sharing
    pictures = played.pictures[chosen] if played.pictures else None
    observations = jax.tree.map(
        lambda x, y: np.concatenate([x, y[-1:]]), of(steps.observation), of(steps.next_observation)
    )  # T + 1
    spec, optional, notes = env.spec, functions(env), of(steps.notes)
    draw, draw_view = optional.draw, optional.draw_view
    view_frames = draw_view and np.stack([[draw_view(view) for view in views] for views in observations.view])
    return Recording(
        **words,
        actions=jax.tree.map(np.asarray, rollout.given_to(env, of(steps.action))),
        available=_counted(env, of(steps.action), observations.available),
        rewards=of(steps.reward),
        views=observations.view,
        frames=np.stack([draw(state) for state in games_seen]) if draw else pictures,
        view_frames=view_frames,
        agent_names=spec.agent_names,
        agent_colours=spec.agent_colours,
        action_names=spec.action_names or None,
        probabilities=notes.get("probabilities"),
        values=notes.get("value"),
        info={name: x for name, x in of(steps.info).items() if spec.event_names is None or name in spec.event_names},
        event_words=dict(spec.event_words),
        event_states=spec.event_states,
        event_marks=dict(spec.event_marks),
        view_names=spec.view.names if isinstance(spec.view, Vector) else (),
        sharing=np.asarray(sharing(before)) if sharing else None,
        terminated=bool(steps.terminated[:, chosen].any()),
        truncated=bool(steps.truncated[:, chosen].any()),
    )


def _counted(env: Environment, actions: PyTree, available: PyTree) -> PyTree:
    """Masks [T + 1, N, A] of each head. If a head's action [T, N] has no effect (`Functions.counts`), only that action
    is available: an agent that passes has no choice of a target."""
    counts_of = functions(env).counts
    if counts_of is None or not isinstance(env.spec.action, MultiDiscrete):
        return available

    def shown(mask: np.ndarray, action: np.ndarray, counts: np.ndarray) -> np.ndarray:
        forced = np.where(counts[..., None], mask[:-1], np.arange(mask.shape[-1]) == action[..., None])
        return np.concatenate([forced, mask[-1:]])

    counted = jax.tree.map(np.asarray, counts_of(actions))
    return jax.tree.map(shown, available, actions, counted)


STATE = "the state, for the film"  # in `info`


class _Watched:
    """A game that adds its state to `info`, for the film, in `step` and in `step_games`."""

    def __init__(self, env: Any):
        self.env, self.reset, self.spec, self.functions = env, env.reset, env.spec, functions(env)
        if together := self.functions.step_games:
            step_games = lambda keys, state, action: _with_state(*together(keys, state, action))  # noqa: E731
            self.functions = self.functions._replace(step_games=step_games)

    def step(self, key: Key, state: PyTree, action: PyTree):
        return _with_state(*self.env.step(key, state, action))


def _with_state(state: PyTree, timestep: Timestep) -> tuple[PyTree, Timestep]:
    return state, timestep._replace(info={**timestep.info, STATE: state})


def plain(x: Any) -> np.ndarray:
    """Converts an array to numpy, and a random key to its numbers."""
    return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)


SHOWN = 240  # largest number of steps of several films together, since each further one tells less


def _choose(env: Environment, steps: Any, episode: int | None, most: int) -> tuple[list[int], str]:
    """Returns (indices of games, a caption that says how they were chosen).

    The best games are chosen: one, or if their value is above 0 up to `most` with at most `SHOWN` steps together.
    """
    games, name = steps.valid.shape[1], env.spec.headline
    values = np.asarray(episode_statistics(env, steps)[name], float)
    values = np.array([evaluation.known_mean(x) for x in values])  # means over agents; NaN: undefined for all agents
    if episode is not None:
        return [episode], f"episode {episode} of {games}, not chosen; {name} {values[episode]:g}"
    if np.isnan(values).all():
        return [0], f"episode 0 of {games}; {name} is defined in none"
    alike = np.flatnonzero(values == np.nanmax(values)).tolist()
    best, lengths = values[alike[0]], steps.valid.sum(0)[alike].cumsum()
    fit = int((lengths <= SHOWN).sum()) if best > 0 else 1
    return alike[: max(1, min(most, fit))], f"chosen: {name} {best:.4g}, as {len(alike)} of {games} fresh episodes"
