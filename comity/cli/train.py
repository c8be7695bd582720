"""`comity train` and `comity resume`."""

import dataclasses
from pathlib import Path
from typing import Any

from comity.cli import texts
from comity.cli.main import Usage
from comity.cli.runs import RESUME, flags, one_run, value_of
from comity.cli.setting_flags import OWN, parse
from comity.names import host_of, versioned
from comity.runs.commands import command
from comity.runs.reading import Unreadable, printable, read_yaml
from comity.runs.trust import NOTHING, Trust, in_terminal

HELP = {
    "train": """TASK and ALGORITHM are names from `comity list`, or your own files: my_game.py:MyGame, my_algorithm.py.
Environments of other libraries are tasks, too: pettingzoo:mpe2.simple_spread_v3, gymnasium:CartPole-v1, mujoco:ant.
An algorithm may be pg+counts, with a bonus (an intrinsic reward), or good:maddpg,adversary:ddpg, a learner for each
role.
  --seeds 4            number of seeds
  --envs 32            games played at once
  --iterations 3000    one iteration plays every game for one rollout, then updates once
  --minutes M          time limit: stops after the last chunk that fits, or after --iterations
  --task.NAME V        a setting of the task
  --algorithm.NAME V   a setting of the algorithm; of a bonus or a role: --algorithm.counts.NAME V
  --preset NAME        settings of the algorithm to start from; --preset without NAME, at the end, lists them
  --profile NAME       settings of the task to start from; --profile without NAME, at the end, lists them
  --length N           for environments of other libraries: steps of an episode
  --options NAME=V ... for environments of other libraries: their arguments, such as max_cycles=25
  --config FILE        starts from a config.yaml; FILE may be a run directory
  --initialise RUN     each seed starts from its last state in RUN
  --out DIR            folder for run directories (runs)
  --track NAME ...     also sends the numbers to tensorboard, wandb, trackio, mlflow
  --trust              runs code that came with the config's run (docs/trust.md)
NAME=V means --NAME V. `comity train TASK ALGORITHM --help` lists every setting of both.""",
    "resume": """  --iterations N    trains to N iterations in all; +N: N more than planned
  --minutes M       time limit: stops after the last chunk that fits
  --trust           runs code that came with the run (docs/trust.md)""",
}


def train(arguments: list[str]) -> None:
    if any(word in ("--preset", "--profile") for word in arguments[-1:]):
        return _list_presets(arguments)
    trusted, arguments = "--trust" in arguments, [word for word in arguments if word != "--trust"]
    names, own, rest = _split(arguments)
    config, folder = _read_config(own.pop("config")) if "config" in own else ({}, None)
    of_config = [versioned(str(config[kind]["name"]))[0] for kind in ("task", "algorithm")] if config else []
    if of_config and names not in ([], of_config):
        raise Usage(f"--config is of {' '.join(of_config)}, not of {' '.join(names)}: leave the names out")
    trust, names = in_terminal(trusted, tuple(names)), names or of_config
    if len(names) != 2:
        raise Usage(f"train needs TASK and ALGORITHM, got {' '.join(names) or 'neither'}: comity train manitokan pg")

    from comity.training import processes

    processes.meet()
    from comity.training.loop import NotFinite
    from comity.training.loop import train as train_run
    from comity.training.progress import Narrator
    from comity.training.settings import training_of

    rest = _trackers(_of_game(rest) if host_of(names[0]) else rest)
    training = training_of(config)
    recipe = _recipe(names, config, folder, own.get("profile"), own.get("preset"), trust)
    if {"--help", "-h"} & {*rest}:
        return print("\n".join(settings_help(recipe, training)))
    parts = {"task": recipe.env, "algorithm": recipe.config, "training": training}
    flagged = {name: value for name, value in parts.items() if dataclasses.is_dataclass(value)}
    parts |= parse(rest, command("comity", "train", *names), **flagged)
    recipe = dataclasses.replace(recipe, env=parts["task"], config=parts["algorithm"])
    start = own.get("initialise", config.get("initialise"))
    start, line = one_run(start) if start else None, command("comity", "train", *arguments)
    with Narrator() as narrator:
        try:
            directory = train_run(recipe, parts["training"], own.get("out", "runs"), start, narrator, line)
        except NotFinite as error:
            finish(error.directory.path)
            raise
    if processes.first():
        finish(directory.path)


def _list_presets(arguments: list[str]) -> None:
    """Runs `comity train TASK ALGORITHM --preset`: prints a line for each preset (or profile)."""
    from comity.recipes import find_algorithm, find_task

    names, kind = _split(arguments[:-1])[0], arguments[-1].removeprefix("--")
    if len(names) != 2:
        raise Usage(f"--{kind} needs a value: {OWN[kind]}; `comity train TASK ALGORITHM --{kind}` lists them")
    source = find_algorithm(names[1]) if kind == "preset" else find_task(names[0])
    print("\n".join([f"{kind}s of {source.name}", *(texts.presets(source.presets) or ["  (it has none)"])]))


def settings_help(recipe: Any, training: Any) -> list[str]:
    """Returns every setting of a training with its value and text, and the presets and profiles."""
    task, algorithm = recipe.task, recipe.algorithm
    lines = [printable(f"comity train {task.name} {algorithm.name} [FLAGS]"), "", "this command"]
    lines += [f"  --{name:<14} {line}" for name, line in OWN.items()]
    for kind, source, now in (("preset", algorithm, recipe.preset), ("profile", task, recipe.profile)):
        if source.presets:
            lines += ["", f"--{kind}, of {source.name} (here: {now})", *texts.presets(source.presets)]
    for title, settings, prefix in (
        ("training", training, ""),
        (f"task {task.name}", recipe.env, "task."),
        (f"algorithm {algorithm.name}", recipe.config, "algorithm."),
    ):
        if dataclasses.is_dataclass(settings):
            lines += ["", title, *texts.listed(settings, prefix)]
    return lines


def _of_game(arguments: list[str]) -> list[str]:
    """Turns --length and --options into --task.length and --task.options, for environments of other libraries."""
    short = {f"--{name}": f"--task.{name}" for name in ("length", "options")}
    parts = [word.partition("=") for word in arguments]
    return [short.get(flag, flag) + equals + value for flag, equals, value in parts]


def _trackers(arguments: list[str]) -> list[str]:
    """Turns `--track a,b` into --track a b."""
    words = []
    for word in arguments:
        flag, equals, value = word.partition("=")
        if flag == "--track" and equals:
            words += [flag, *value.split(",")]
        else:
            words += word.split(",") if words[-1:] == ["--track"] else [word]
    return words


def resume(arguments: list[str]) -> None:
    from comity.runs.directory import RunDirectory
    from comity.training import processes
    from comity.training.loop import NotFinite
    from comity.training.loop import resume as resume_run
    from comity.training.progress import Narrator
    from comity.training.settings import training_of

    words, values = flags(arguments, *RESUME)
    if len(words) != 1:
        raise Usage("resume needs one RUN: a run directory, a glob with one match, or latest")
    processes.meet()
    directory = RunDirectory(one_run(words[0]))
    planned = training_of(directory.config()).iterations
    iterations = None
    if "iterations" in values:
        text = values["iterations"]
        if not text.removeprefix("+").isdigit():
            raise Usage(f"--iterations {text!r} is not a whole number: give N for N in all, or +N for N more")
        iterations = int(text) + (planned if text.startswith("+") else 0)
    with Narrator() as narrator:
        try:
            trust = in_terminal("trust" in values)
            resume_run(directory, iterations, values.get("minutes"), narrator, trust=trust)
        except NotFinite:
            finish(directory.path)
            raise
    if processes.first():
        finish(directory.path)


def finish(path: Path) -> None:
    """Prints the table at the end, the files, and the next commands."""
    from rich.console import Console

    from comity.report.curves import draw_curves
    from comity.report.tables import final_table

    picture = draw_curves([path], path=path / "figures" / "curve.png")  # first: the table's reader may close the pipe
    final_table(path).show(Console())
    print("files")
    for file in (path / "config.yaml", path / "metrics.jsonl", path / "eval.jsonl", path / "checkpoints", *picture):
        print(printable(f"  {file}"))
    print("next")
    for words in (("watch", path), ("evaluate", path), ("resume", path, "--iterations", "+1000")):
        print(f"  {command('comity', *words)}")


def _split(arguments: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Splits arguments into (TASK and ALGORITHM, flags of this command itself, flags of the settings)."""
    names, own, rest = [], {}, []
    words = list(arguments)
    while words and not words[0].startswith("-"):
        names.append(words.pop(0))
    while words:
        flag, equals, value = words.pop(0).partition("=")
        if flag.removeprefix("--") in OWN and flag.startswith("--"):
            about = f": {OWN[flag.removeprefix('--')]}"
            own[flag.removeprefix("--")] = value_of(flag, value if equals else None, words, about)
        else:
            rest.append(flag + equals + value)
    return names, own, rest


def _recipe(
    names: list[str], config: dict[str, Any], folder: Path | None, profile: str | None, preset: str | None,
    trust: Trust = NOTHING,
):  # fmt: skip
    """Returns the recipe that the flags start from: the config's, or the names' with their first presets. A preset or
    profile that is asked for replaces the config's.
    """
    from comity.recipes import Recipe, find_algorithm, find_task, from_config, settings_of

    if not config:
        task, algorithm = find_task(names[0]), find_algorithm(names[1])
        profile, preset = profile or task.first, preset or algorithm.first
        env, settings = settings_of(task, profile, "profile"), settings_of(algorithm, preset, "preset")
        return Recipe(task, env, algorithm, settings, profile, preset)
    recipe = from_config(config, folder, trust)
    if profile:
        recipe = dataclasses.replace(recipe, env=settings_of(recipe.task, profile, "profile"), profile=profile)
    if preset:
        recipe = dataclasses.replace(recipe, config=settings_of(recipe.algorithm, preset, "preset"), preset=preset)
    return recipe


def _read_config(file: str) -> tuple[dict[str, Any], Path]:
    """Returns (config, its folder). Raises ValueError."""
    path = Path(file)
    path = path / "config.yaml" if path.is_dir() else path
    try:
        config = read_yaml(path)
    except FileNotFoundError:
        raise ValueError(f"--config {file}: there is no such file; give a run's config.yaml") from None
    except Unreadable as error:
        raise ValueError(f"--config {error}") from None
    try:
        _ = config["task"]["name"], config["algorithm"]["name"]
    except (KeyError, TypeError):
        raise ValueError(f"--config {file} has no task and algorithm: give a run's config.yaml") from None
    return config, path.parent
