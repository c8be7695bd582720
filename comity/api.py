"""The functions of `import comity`, which do from Python what the commands do."""

import dataclasses
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from comity.recipes import find_algorithm, find_task, from_objects, population, refuse_another, settings_of
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

COMPILED = Programs()  # compiled programs, kept as long as this process


def make(task: str, profile: str | None = None, **options: Any) -> Any:
    """Makes a game: `make("manitokan", observe="last-action")`.

    task: a name, `my_game.py:MyGame` or `package.module:Class`. profile: the settings to start from (None: the first
    profile, which is the paper's); `options` change them. Raises ValueError, one line.
    """
    source = find_task(task)
    return settings_of(source, profile or source.first, "profile", options)


def algorithm(name: str, preset: str | None = None, **settings: Any) -> Any:
    """Makes an algorithm's settings, for `train`: `algorithm("pg", learning_rate=1e-3)`.

    name: a name, `my_algorithm.py` or `package.module`. preset: the settings to start from (None: the first preset,
    `sound`); `settings` change them. Returns a Config, or None if the module has none. Raises ValueError, one line, for
    unknown names and values out of range.
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

    env: a game or its name. algorithm: a name, a Config (`comity.algorithm("pg", ...)`), a module with
    `make(config, env)`, or an `Algorithm`. training: fields of `comity.training.settings.Training`. progress: print
    progress, and notices about the game and the settings; False: print nothing, notices become warnings.

    on_chunk: a function that is called after every chunk with a dict: `directory`, `iteration` of `iterations`,
    `env_steps` and `seconds` of the chunk, `metrics` {name: [one per seed]}. If it raises, training is saved and ends,
    and `train` raises the same exception. Raises ValueError and OSError for bad input, Interrupted on Ctrl-C (the run
    is saved), NotFinite if a seed's state became NaN.
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
    """Returns a listener that calls `listen` and calls a user's function with the facts of every chunk."""
    places: list[Path] = []

    def both(event: str, facts: dict[str, Any]) -> None:
        listen(event, facts)
        if event == "header":
            places[:] = [facts["directory"]]
        elif event == "chunk":
            on_chunk({"directory": places[0], **facts})

    return both


def warned(event: str, facts: dict[str, Any]) -> None:
    """Turns notices about the game or the settings into warnings. A listener that prints nothing."""
    if event == "notice":
        warnings.warn(facts["text"], stacklevel=2)


def resume(
    run: Run | Path | str, iterations: int | None = None, progress: bool = True, trust: bool | Trust = False
) -> Run:
    """Continues a run from its newest whole checkpoint and returns the run.

    run: a Run, a path, a glob with one match, or `latest` under `runs`. iterations: the total number (None: as planned;
    the limit that `minutes` set at the start does not apply). trust: run code that came with the run (docs/trust.md).

    Raises FileNotFoundError; ValueError if the run has more iterations already, if the task or the algorithm has
    another version, if a Run plays another game (`run.on`), if its code is not trusted, or if no checkpoint is whole;
    InUse if another process trains the run; Interrupted and NotFinite as `train`.
    """
    refuse_while_imported()
    recipe = run.recipe if isinstance(run, Run) else None
    directory = RunDirectory(run.path if isinstance(run, Run) else locate(run))
    if recipe:
        refuse_another(directory.config(), recipe)
    with Narrator() if progress else nullcontext(silent) as listen, caches_on_disk():
        resume_run(directory, iterations, None, listen, recipe, trusting(trust), COMPILED)
    return Run(directory, recipe=recipe, trust=trust)


def evaluate(run: Run | Path | str, episodes: int = 320, draw: int = 0, trust: bool | Trust = False) -> Any:
    """Plays fresh episodes of every seed, with greedy and with sampled actions.

    Returns a `comity.report.table.Table` with a row for each seed and policy: `table.where(policy="greedy")["return"]`,
    `table.to_pandas()`. run: a Run, a path, a glob with one match, or `latest`. draw: the number of the draw; another
    number plays other episodes. Raises as `load`.
    """
    from comity.report.study import tabulate
    from comity.runs.saved import open_run

    loaded = run if isinstance(run, Run) else load(run, trust=trust)
    saved = open_run(loaded.path)
    return tabulate([saved], [saved.algorithm], "eval", [loaded.play(episodes, draw)])


def compare(runs: Any, metric: str | None = None) -> Any:
    """Compares runs as `comity compare` does, and writes no files.

    A notebook shows the result as a table and a picture, `print` shows the table; `numbers` and `to_pandas` give the
    estimates. runs: a Run, a path or a glob, a list of these, or a dict {label: one or a list of these}. metric: None:
    the task's headline metric. Raises ValueError for runs that cannot be compared (different tasks or versions) and for
    unknown metrics.
    """
    from comity.report.inline import Comparison

    plain = lambda one: str(one.path) if isinstance(one, Run) else str(one)  # noqa: E731
    several = lambda some: [plain(x) for x in some] if isinstance(some, list | tuple) else plain(some)  # noqa: E731
    groups = {label: several(x) for label, x in runs.items()} if isinstance(runs, dict) else several(runs)
    return Comparison(groups, metric)
