"""`comity verify`: trains a shipped team again, and says whether this installation learns as it should."""

from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.cli.runs import flags
from comity.runs.commands import command
from comity.runs.saved import reference, references
from comity.settings import did_you_mean

HELP = """  --seeds N        seeds to train (3)
  --first-seed S   the first of them (1000; the reference was trained on none of these)
  --out DIR        folder for run directories (runs)
  --original       trains nothing: plays the team in the environment that the task copies, and compares returns
  --episodes N     episodes of --original (64)
Without TASK it lists the teams. The exit status is 1 if the installation does not learn as it should."""


def verify(arguments: list[str]) -> int:
    known = {"seeds": int, "first-seed": int, "out": str, "episodes": int}
    words, values = flags(arguments, known, switches=("original",))
    if not words:
        for task in references():
            print(_described(task))
        return 0
    if len(words) > 1:
        raise Usage(f"verify needs one TASK, got {' '.join(words)}: each task has one reference")
    path = reference(words[0])
    if path is None:
        near = did_you_mean(words[0], references())
        raise Usage(f"no reference of {words[0]!r}{near}; there are {', '.join(references())}")
    for name in ("seeds", "episodes"):
        if values.get(name, 1) < 1:
            raise Usage(f"--{name} {values[name]} must be 1 or more")
    if "original" in values and values.get("episodes", 64) < 2:
        raise Usage("--episodes 1 has no standard error: give 2 or more")
    print(_described(words[0]))
    if "original" in values:
        return _in_original(path, values.get("episodes", 64))
    return _again(path, values.get("seeds", 3), values.get("first_seed", 1000), values.get("out", "runs"))


def _described(task: str) -> str:
    """Returns a line about a reference."""
    from comity.runs.saved import open_run
    from comity.training.references import reference_of

    path = reference(task)
    assert path is not None
    said, run = reference_of(path), open_run(path)
    name = run.algorithm.partition("@")[0]
    scores = ", ".join(f"{x:.4g}" for x in said.scores)
    return (
        f"reference of {task}: {name}, {said.metric} {said.mean:.4g}, {said.policy} (seeds: {scores}; untrained "
        f"{said.untrained:.3g}), {len(said.scores)} seeds in {said.seconds:.0f} s"
    )


def _again(path: Path, seeds: int, first: int, out: str) -> int:
    from comity.cli.train import finish
    from comity.training.loop import train
    from comity.training.progress import Narrator
    from comity.training.references import again, reference_of
    from comity.training.run import Run

    said, (recipe, training) = reference_of(path), again(path, seeds, first)
    with Narrator() as narrator:
        directory = train(recipe, training, out, None, narrator, command("comity", "verify", path.name))
    finish(directory.path)
    lines = Run(directory).play(said.episodes)
    scores = [line["mean"][said.metric] for line in lines if line["policy"] == said.policy]
    mean, least = sum(scores) / len(scores), said.least(seeds)
    passes = mean >= least
    print(
        f"{said.metric} {mean:.4g} here ({seeds} seeds), {said.mean:.4g} in the reference, at least {least:.4g} is "
        f"expected: this installation {'learns' if passes else 'does NOT learn'} as it should"
    )
    return 0 if passes else 1


def _in_original(path: Path, episodes: int) -> int:
    from comity.interop.originals import original_of
    from comity.training.references import reference_of
    from comity.training.run import load

    run = load(path)
    game, name = original_of(path.name, run.env)
    policy = reference_of(path).policy
    ours, theirs = _returns(run, policy, episodes), _returns(run.on(game), policy, episodes)
    difference, error = theirs[0] - ours[0], (ours[1] ** 2 + theirs[1] ** 2) ** 0.5
    agrees = abs(difference) <= 3 * error
    print(
        f"return {ours[0]:.4g} here, {theirs[0]:.4g} in {name}, {episodes} episodes each; difference {difference:.3g}, "
        f"standard error {error:.3g}: {'they agree' if agrees else 'they do NOT agree'} (within three)"
    )
    return 0 if agrees else 1


def _returns(run: Any, policy: str, episodes: int) -> tuple[float, float]:
    """Returns (mean over episodes of the mean return of agents, its standard error)."""
    import numpy as np

    line = next(line for line in run.play(episodes) if line["policy"] == policy)
    each = np.asarray(line["values"]["return"], float)
    each = each.reshape(len(each), -1).mean(-1)
    return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5)
