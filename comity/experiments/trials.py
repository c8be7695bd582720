"""Trials: at every point of a training curve, policies play their task with other settings, perhaps with a partner.

The results are written to `trials.jsonl` of the run directory. Random keys depend only on the seed and the iteration.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from comity import rollout
from comity.experiments.figure import Trial
from comity.recipes import Recipe
from comity.runs.directory import RunDirectory
from comity.training import checkpoint, evaluation
from comity.training.crossplay import pairing, partner
from comity.training.episodes import episode_statistics
from comity.training.events import Listen
from comity.training.programs import TRIAL
from comity.training.seeds import Seeds, executable
from comity.training.settings import Training

EPISODES = {"point": 64, "last": 320}  # per seed
BATCH = 32  # episodes that are played at once


class Trials:
    """The trials of one arm, compiled once for all points of its run."""

    def __init__(self, recipe: Recipe, trials: Mapping[str, Trial], small: bool = False):
        """small: only a few episodes, to show that the code works."""
        self.recipe, self.trials, self.small = recipe, trials, small
        self.compiled: dict[str, Any] = {}
        self.shape = jax.eval_shape(recipe.make(recipe.config, recipe.env).init, jax.random.key(0))

    def after(self, listen: Listen) -> Listen:
        """Returns a listener that calls `listen`, and holds the trials after every chunk of its run."""
        run: list[Path] = []

        def listening(event: str, facts: dict[str, Any]) -> None:
            listen(event, facts)
            if event == "header":
                run[:] = [facts["directory"]]
            elif event == "chunk":
                self.play(run[0], "point")
            if event == "header" and facts["resuming"]:  # a kill may have come between the checkpoint and its trials
                self.play(run[0], "point")

        return listening

    def play(self, run: Path, which: Literal["point", "last"]) -> None:
        """Holds all trials on the newest checkpoint of a run, unless this was done before."""
        directory = RunDirectory(run)
        if not self.trials or not directory.saved():
            return
        training = Training(**directory.config()["training"])
        names = [training.first_seed + i for i in range(training.seeds)]
        like = {str(seed): {"state": self.shape} for seed in names}
        found = checkpoint.newest(directory.saved(), like, part=True)
        if found is None or (iteration := found[1]["iteration"]) == 0:
            return
        of_point = lambda line: line["iteration"] == iteration and line["which"] == which  # noqa: E731
        there = {(x["trial"], x["seed"]) for x in directory.lines("trials.jsonl") if of_point(x)}
        asked = {name: trial for name, trial in self.trials.items() if which == "last" or not trial.once}
        if there >= {(trial, seed) for trial in asked for seed in names}:
            return
        directory.keep("trials.jsonl", lambda line: not of_point(line))  # a kill may have left some of the lines
        seeds = Seeds(len(names), training.mode, games=training.envs)
        states = seeds.join([found[0][str(seed)]["state"] for seed in names])
        lines = []
        for name, trial in asked.items():
            batch, episodes = sizes(trial, which, self.small)
            parts = []
            for part in range(-(-episodes // batch)):
                keys = seeds.join([key_of(seed, which, iteration, part) for seed in names])
                given, per_seed = (keys, states, np.int32(part * batch)), (True, True, False)
                if name not in self.compiled:
                    play = played(self.recipe, trial, batch)
                    self.compiled[name] = executable(seeds.lower(play, given, per_seed), often=False)
                parts.append(seeds.each(seeds.call(self.compiled[name], given, per_seed)))
            for index, seed in enumerate(names):
                each = [jax.tree.map(np.asarray, part[index]) for part in parts]
                values = jax.tree.map(lambda *xs, count=episodes: np.concatenate(xs)[:count], *each)
                about = {"seed": seed, "iteration": iteration, "which": which, "trial": name, "episodes": episodes}
                lines.append({**about, "mean": evaluation.means(values)})
        seeds.close()
        directory.append("trials.jsonl", lines)


def sizes(trial: Trial, which: str, small: bool) -> tuple[int, int]:
    """Returns (episodes played at once, episodes in all) of a trial at a point, or of the last policy."""
    batch, episodes = (trial.once, trial.once) if trial.once else (BATCH, trial.episodes or EPISODES[which])
    return (min(4, batch), min(4, episodes)) if small else (batch, episodes)


def played(recipe: Recipe, trial: Trial, episodes: int) -> Callable[..., dict[str, jax.Array]]:
    """Returns (key, the algorithm's state, number of the first episode: 0) -> statistics of episodes, [E] or [E, N]."""
    env = dataclasses.replace(recipe.env, **trial.options)  # pyright: ignore[reportArgumentType]
    if trial.probe:
        probe = trial.probe(dataclasses.replace(recipe, env=env), episodes)
        return lambda key, state, begun=0: probe(key, state)
    algorithm = recipe.make(recipe.config, env)
    if trial.partner:
        other = partner(trial.partner, env)[1]
        play = pairing(env, algorithm, other, not trial.greedy, first=env.spec.agents - 1, episodes=episodes)
        return lambda key, state, begun=0: play(key, state, (), begun)

    def alone(key, state, begun=0):
        act = lambda key, memory, observation: algorithm.act(key, state, memory, observation, explore=not trial.greedy)  # noqa: E731
        key_start, key = jax.random.split(key)
        start = rollout.start(key_start, env, algorithm.memory, episodes, begun + jnp.arange(episodes))
        return episode_statistics(env, rollout.collect_episodes(key, env, act, start))

    return alone


def key_of(seed: int, which: str, iteration: int, part: int) -> jax.Array:
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), TRIAL), iteration)
    return jax.random.fold_in(jax.random.fold_in(key, list(EPISODES).index(which)), part)
