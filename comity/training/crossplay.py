"""Cross-play: teams that never met play one game together. The row team plays agent 0, the column team all others."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity import rollout
from comity.recipes import find_algorithm, settings_of
from comity.report.sheet import Sheet
from comity.settings import did_you_mean
from comity.spec import functions
from comity.training.episodes import episode_statistics, equality, own_returns
from comity.training.evaluation import known, known_mean
from comity.training.programs import FRESH
from comity.training.run import Run
from comity.types import Algorithm, Environment, PyTree

SCRIPTED = ("random",)  # partners that need no training


@dataclass(frozen=True)
class Team:
    """A team that can act for all agents of a game."""

    label: str
    algorithm: Algorithm
    state: PyTree
    kind: str  # teams of the same kind share a compiled program


@dataclass(frozen=True)
class Results:
    """Results of cross-play. values[row, column]: {statistic: [E] or [E, N]} of every pairing."""

    labels: tuple[str, ...]
    values: dict[tuple[int, int], dict[str, np.ndarray]]
    task: str
    headline: str
    episodes: int
    policy: str

    def matrix(self, metric: str) -> np.ndarray:
        """Means of a metric over episodes and agents, [rows, columns]; for NAME.K over episodes, for agent K alone.

        Raises ValueError for an unknown metric.
        """
        known, (name, _, agent) = self.values[0, 0], metric.partition(".")
        alone = agent.isdigit() and name in known and known[name].ndim > 1 and int(agent) < known[name].shape[1]
        if metric not in known and not alone:
            raise ValueError(f"no metric {metric!r}: there are {', '.join(known)}; NAME.0 is agent 0's")
        of = lambda values: values[metric] if metric in known else values[name][:, int(agent)]  # noqa: E731
        size = range(len(self.labels))
        return np.array([[known_mean(of(self.values[i, j])) for j in size] for i in size])

    def to_csv(self, path: Path) -> Path:
        """Writes one line per pairing and returns `path`. A line has both labels, then the mean of each statistic over
        episodes and agents, in its own units; nan if it is undefined in all. Raises OSError."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["agent_0", "others", *self.values[0, 0]])
            for (i, j), values in self.values.items():
                writer.writerow([self.labels[i], self.labels[j], *(known_mean(x) for x in values.values())])
        return path


def partner(name: str, env: Environment) -> tuple[str, Algorithm]:
    """Returns (label `scripted:NAME`, an algorithm that does not learn and acts for all N agents).

    name: one of `Spec.scripts`, or, for any game, of `SCRIPTED`. Raises ValueError with the nearest names.
    """
    own = env.spec.scripts
    if name in own:
        whole = functions(env).scripted_team
        memory, script = (whole or functions(env).script)(name)  # pyright: ignore[reportOptionalCall]
        memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (env.spec.agents, *x.shape)), memory)
        sees = lambda observation: observation if whole else observation.view  # noqa: E731
        act = lambda key, state, memory, observation, explore=True: (*script(memory, sees(observation)), {})  # noqa: E731
        return f"scripted:{name}", Algorithm(lambda key: (), act, lambda key, state, steps: (state, {}), memory)
    if name not in SCRIPTED:
        known = (*own, *SCRIPTED)
        raise ValueError(f"unknown partner {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    source = find_algorithm(name)
    return f"scripted:{name}", source.thing.make(settings_of(source, None, "preset"), env)


def cross_play(
    runs: list[Run], partners: list[tuple[str, Algorithm]], episodes: int = 320, policy: str = "sampled", draw: int = 0
) -> Results:
    """Plays every pairing of all seeds' teams and partners, over the same fresh episodes.

    Seeds whose state is not finite are left out. Raises ValueError if the runs are of different games, if Python steps
    the game, if it has only one agent, or for an unknown policy.
    """
    first, policy = runs[0], known(policy)
    for run in runs:
        if not run.recipe.plays_as(first.recipe):
            raise ValueError(
                f"{run.path} plays another game than {first.path} ({run.env} against {first.env}): "
                "give runs of one task with equal settings"
            )
        run.state()  # raises ValueError if no seed has a policy
    several = len({run.path for run in runs}) > 1
    teams = [
        Team(f"{run.recipe.algorithm.stem}{'/' + run.short if several else ''}:{seed}", run.algorithm,
             run.state(seed), str(run.path))
        for run in runs for seed in run.alive
    ]  # fmt: skip
    teams += [Team(label, algorithm, (), label) for label, algorithm in partners]
    if functions(first.env).host:
        raise ValueError(f"{first.recipe.task.name} is stepped by Python, and cross-play needs a compiled game")
    if first.env.spec.agents < 2:
        raise ValueError("cross-play needs a game of two agents or more")
    programs: dict[Any, Any] = {}
    values = {}
    for i, row in enumerate(teams):
        for j, column in enumerate(teams):
            kinds = row.kind, column.kind
            if kinds not in programs:
                programs[kinds] = jax.jit(pairing(first.env, row.algorithm, column.algorithm, policy == "sampled"))
            parts = []
            for part in range(-(-episodes // 32)):
                key = jax.random.fold_in(jax.random.fold_in(jax.random.key(draw), FRESH), part)
                parts.append(jax.tree.map(np.asarray, programs[kinds](key, row.state, column.state, 32 * part)))
            values[i, j] = jax.tree.map(lambda *xs: np.concatenate(xs)[:episodes], *parts)
    task = f"{first.recipe.task.name}@{first.recipe.task.version}"
    labels = tuple(team.label for team in teams)
    return Results(labels, values, task, first.env.spec.headline, episodes, policy)


def pairing(
    env: Environment, row: Algorithm, column: Algorithm, explore: bool, first: int | Array = 1, episodes: int = 32
):  # fmt: skip
    """Returns a function (key, state of row, state of column, number of the first episode) -> statistics of `episodes`
    episodes.

    The row team plays the `first` agents, the column team all others. Each team acts for all agents with a memory of
    its own; only the actions of the agents that it plays are used.
    """

    def play(key, row_state, column_state, begun=0):
        def act(key, memory, observation):
            keys = jax.random.split(key)
            mine, memory_row, _ = row.act(keys[0], row_state, memory[0], observation, explore=explore)
            theirs, memory_column, _ = column.act(keys[1], column_state, memory[1], observation, explore=explore)
            rows = jnp.arange(env.spec.agents) < first
            both = lambda a, b: jnp.where(rows.reshape(-1, *(1,) * (a.ndim - 2)), a, b)  # noqa: E731
            return jax.tree.map(both, mine, theirs), (memory_row, memory_column), {}

        key_start, key = jax.random.split(key)
        start = rollout.start(key_start, env, (row.memory, column.memory), episodes, begun + jnp.arange(episodes))
        return episode_statistics(env, rollout.collect_episodes(key, env, act, start))

    return play


def crossplay_sheets(results: Results, metric: str) -> list[Sheet]:
    """The matrix of `metric`, and a summary: teams with themselves, with strangers and with scripts, with welfare."""
    matrix, rate = results.matrix(metric), metric.startswith("success")
    show = (lambda x: "-" if np.isnan(x) else f"{100 * x:.1f}") if rate else (lambda x: f"{x:.3g}")
    unit = " %" if rate else ""
    rows = [(label, *map(show, row)) for label, row in zip(results.labels, matrix, strict=True)]
    numbers = [
        {"agent_0": a, "others": b, metric: matrix[i, j]}
        for i, a in enumerate(results.labels)
        for j, b in enumerate(results.labels)
    ]
    title = f"{results.task} · cross-play · {metric}{unit}, {results.policy}, {results.episodes} episodes a pairing"
    notes = ("row: the team of agent 0; column: the team of all others; the diagonal: a team with itself",)
    sheets = [Sheet(title, ("agent 0 / others", *results.labels), tuple(rows), notes, tuple(numbers))]
    summary = []
    trained = [i for i, label in enumerate(results.labels) if not label.startswith("scripted:")]
    scripted = [i for i in range(len(results.labels)) if i not in trained]
    pairs = {
        "itself": [(i, i) for i in trained],
        "strangers": [(i, j) for i in trained for j in trained if i != j],
        "scripted partners": [pair for i in trained for j in scripted for pair in ((i, j), (j, i))],
    }
    for who, chosen in pairs.items():
        if chosen:
            welfare = [_welfare(own_returns(results.values[pair])) for pair in chosen]
            means = [known_mean(np.array([w[k] for w in welfare])) for k in range(3)]
            value = float(np.mean([matrix[pair] for pair in chosen]))
            summary.append((who, str(len(chosen)), show(value), *("-" if np.isnan(x) else f"{x:.3g}" for x in means)))
    columns = ("team with", "pairings", f"{metric}{unit}", "welfare: sum", "worst off", "equality")
    about = (
        "welfare of the game's own returns per episode: sum over agents; the agent worse off on average; "
        "equality, 1 - Gini of an episode's returns, mean over episodes in which it is defined"
    )
    return [*sheets, Sheet("trained teams with themselves and with others", columns, tuple(summary), (about,))]


def _welfare(returns: np.ndarray) -> tuple[float, float, float]:
    """Returns (sum of mean returns, the smallest, mean equality of an episode as in `welfare_equality`; NaN if it is
    undefined in all episodes). returns [E, N].
    """
    means = returns.mean(0)
    return float(means.sum()), float(means.min()), known_mean(np.asarray(equality(jnp.asarray(returns))))
