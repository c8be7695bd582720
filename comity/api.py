"""What the command line does, from Python."""

import dataclasses
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from comity.recipes import find_algorithm, find_task, from_objects, population, settings_of
from comity.runs.directory import RunDirectory
from comity.runs.modules import refuse_while_imported
from comity.runs.trust import Trust, trusting
from comity.settings import did_you_mean
from comity.training.events import Listen, silent
from comity.training.loop import resume as resume_run
from comity.training.loop import train as train_run
from comity.training.progress import Narrator
from comity.training.remembered import Programs, caches_on_disk
from comity.training.run import Run, load, locate
from comity.training.settings import Training
from comity.types import Algorithm, Environment

__all__ = ["algorithm", "compare", "evaluate", "load", "make", "population", "resume", "train"]

COMPILED = Programs()  # in this process


def make(task: str, profile: str | None = None, **options: Any) -> Any:
    """A game by name, `my_game.py:MyGame` or `package.module:Class`: `make("manitokan", observe="last-action")`.

    profile: the preset to start from (None: the first, the paper's). Raises ValueError, one line.
    """
    source = find_task(task)
    return settings_of(source, profile or source.first, "profile", options)


def algorithm(name: str, preset: str | None = None, **settings: Any) -> Any:
    """An algorithm's settings by name, `my_algorithm.py` or `package.module`: `algorithm("pg", learning_rate=1e-3)`.

    preset: what `settings` change (None: the first, `sound`). Returns a Config, for `train`, or None if the module has
    none. Raises ValueError, one line, for unknown names and values out of range.
    """
    source = find_algorithm(name)
    return settings_of(source, preset or source.first, "preset", settings)


def train(
    env: Environment | str,
    algorithm: Algorithm | str | Any = "pg",
    *,
    out: Path | str = "runs",
    initialise: Path | str | None = None,
    progress: bool = True,
    on_chunk: Callable[[dict[str, Any]], Any] | None = None,
    **training: Any,
) -> Run:
    """Trains all seeds and returns the run: `train(env, "pg", seeds=10, iterations=3000)`.

    env: a game or its name; algorithm: a name, a Config (`comity.algorithm("pg", ...)`), a module with
    `make(config, env)`, or an `Algorithm`. training: fields of `comity.training.settings.Training`. What
    is odd about the game is told, or with progress=False warned of. on_chunk: called after every chunk with a dict:
    `directory`, `iteration` of `iterations`, `env_steps` and `seconds` of the chunk, `metrics` {name: [of each seed]};
    what it raises ends the training, which is saved, and comes back out. Raises ValueError and OSError for bad input,
    Interrupted on Ctrl-C (saved), NotFinite if a seed's state became NaN.
    """
    refuse_while_imported()
    known = [field.name for field in dataclasses.fields(Training)]
    for name in training.keys() - set(known):
        raise ValueError(f"train has no setting {name}{did_you_mean(name, known)}")
    recipe = from_objects(env, algorithm)
    start = locate(initialise) if initialise else None
    with Narrator() if progress else nullcontext(warned) as listen, caches_on_disk():
        listen = listen if on_chunk is None else heard(listen, on_chunk)
        directory = train_run(recipe, Training(**training), out, start, listen, "comity.train", COMPILED)
    return Run(directory, recipe=recipe)


def heard(listen: Listen, on_chunk: Callable[[dict[str, Any]], Any]) -> Listen:
    """`listen`, which also gives a user's function the facts of every chunk."""
    places: list[Path] = []

    def both(event: str, facts: dict[str, Any]) -> None:
        listen(event, facts)
        if event == "header":
            places[:] = [facts["directory"]]
        elif event == "chunk":
            on_chunk({"directory": places[0], **facts})

    return both


def warned(event: str, facts: dict[str, Any]) -> None:
    """Listens to a run and keeps quiet, but for what is odd about the game or the settings."""
    if event == "notice":
        warnings.warn(facts["text"], stacklevel=2)


def resume(
    run: Run | Path | str, iterations: int | None = None, progress: bool = True, trust: bool | Trust = False
) -> Run:
    """Goes on from the newest whole checkpoint and returns the run.

    run: a Run, a path, a glob with one match, or `latest` under `runs`. iterations: how many in all (None: as planned;
    the time that `minutes` set does not hold here). trust: run code that came with the run (docs/trust.md). Raises
    FileNotFoundError; ValueError for fewer iterations than there are, another version of task or algorithm, code that
    is not trusted, or checkpoints none of which is whole; InUse if another process trains the run; Interrupted and
    NotFinite as `train`.
    """
    refuse_while_imported()
    recipe = run.recipe if isinstance(run, Run) else None
    directory = RunDirectory(run.path if isinstance(run, Run) else locate(run))
    with Narrator() if progress else nullcontext(silent) as listen, caches_on_disk():
        resume_run(directory, iterations, None, listen, recipe, trusting(trust), COMPILED)
    return Run(directory, recipe=recipe, trust=trust)


def evaluate(run: Run | Path | str, episodes: int = 320, draw: int = 0, trust: bool | Trust = False) -> Any:
    """Fresh episodes of every seed, greedy and sampled: a `comity.report.table.Table` with a row for each seed and
    policy, `table.where(policy="greedy")["return"]`, `table.to_pandas()`.

    run: a Run, a path, a glob with one match, or `latest`; draw: another draw of episodes. Raises as `load`.
    """
    from comity.report.study import tabulate
    from comity.runs.saved import open_run

    if episodes < 1 or draw < 0:
        raise ValueError(f"episodes {episodes} must be 1 or more, draw {draw} 0 or more")
    loaded = run if isinstance(run, Run) else load(run, trust=trust)
    saved = open_run(loaded.path)
    return tabulate([saved], [saved.algorithm], "eval", [loaded.play(episodes, draw)])


def compare(runs: Any, metric: str | None = None) -> Any:
    """Runs held against each other: table and picture in a notebook, `print` gives the table, `numbers` and
    `to_pandas` the estimates, as `comity compare`; nothing is written.

    runs: a list of Run objects, paths or globs, one of these, or a dict of label -> such. metric: None: the headline.
    Raises ValueError for what does not compare (different tasks, versions) and for unknown metrics.
    """
    from comity.report.inline import Comparison

    plain = lambda one: str(one.path) if isinstance(one, Run) else str(one)  # noqa: E731
    several = lambda some: [plain(x) for x in some] if isinstance(some, list | tuple) else plain(some)  # noqa: E731
    groups = {label: several(x) for label, x in runs.items()} if isinstance(runs, dict) else several(runs)
    return Comparison(groups, metric)
