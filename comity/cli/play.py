"""`comity play`: plays trained teams and scripted partners with each other (cross-play)."""

from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.cli.runs import flags, on_task, one_run, task_flags, to_write
from comity.runs.commands import command
from comity.runs.reading import printable
from comity.runs.trust import in_terminal

HELP = """  --episodes N     episodes per pairing (320; with --schelling 32)
  --policy P       sampled (default) or greedy
  --metric NAME    what the matrix shows (the task's headline); NAME.0: of
                   agent 0 alone
  --task.NAME V    another setting of the game than in training
  --trust          runs code that came with a run (docs/trust.md)
  --out FILE       also writes the numbers of all pairings as CSV
  --picture FILE   where the heatmap goes (RUN/figures/cross_play_METRIC.png)
TASK --schelling   trains nothing: what the game's scripted cooperators and
                   defectors earn, by how many cooperate; --out FILE.csv
                   also writes FILE.md and the picture FILE.png
RUN RUN --schelling  the same with trained teams: first the cooperators, then
                   the defectors; one of them may be scripted:NAME
Every seed of every RUN is a team. Row team gives agent 0, column
team all others; the diagonal is a team with itself."""


def play(arguments: list[str]) -> None:
    from rich.console import Console

    from comity.report.heatmap import draw_heatmap
    from comity.training.crossplay import cross_play, crossplay_sheets, partner
    from comity.training.run import load

    arguments, settings = task_flags(arguments)
    words, values = flags(
        arguments,
        {"episodes": int, "policy": str, "metric": str, "out": to_write, "picture": to_write},
        switches=("trust", "schelling"),
    )
    if "schelling" in values:
        return schelling(words, values, settings)
    if not words:
        raise Usage("play needs one RUN or more, and may take scripted:NAME")
    policy, episodes = values.get("policy", "sampled"), values.get("episodes", 320)
    if policy not in ("sampled", "greedy"):
        raise Usage(f"--policy {policy!r} is not one of sampled, greedy")
    if episodes < 1:
        raise Usage(f"--episodes {episodes} must be 1 or more")
    trust = in_terminal("trust" in values)
    runs = [on_task(load(one_run(word), trust=trust), settings) for word in words if not word.startswith("scripted:")]
    if not runs:
        raise Usage("play needs at least one trained RUN: it says which game is played")
    partners = [partner(word.removeprefix("scripted:"), runs[0].env) for word in words if word.startswith("scripted:")]
    results = cross_play(runs, partners, episodes, policy)
    console = Console()
    for sheet in crossplay_sheets(results, values.get("metric", results.headline)):
        sheet.show(console)
    metric = values.get("metric", results.headline)
    own = Path() if runs[0].is_reference else runs[0].path / "figures"  # nothing is written into the package
    if not runs[0].is_reference:
        runs[0].directory.refuse_links()
    picture = values.get("picture", own / f"cross_play_{metric}.png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    files = draw_heatmap(results.labels, results.matrix(metric), heatmap_title(results, metric), picture, metric)
    files += [results.to_csv(values["out"])] if "out" in values else []
    print(printable("\n".join(["files", *(f"  {file}" for file in files)])))
    first = f"reference:{runs[0].path.name}" if runs[0].is_reference else runs[0].path
    print(f"next\n  {command('comity', 'watch', first)}\n  {command('comity', 'evaluate', first)}")


def schelling(words: list[str], values: dict[str, Any], settings: list[str]) -> None:
    """Runs `comity play TASK --schelling`, or `comity play RUN RUN --schelling`."""
    from rich.console import Console

    from comity.environments import TASKS

    trained = len(words) == 2 and not set(words) & set(TASKS)
    if len(words) != 1 and not trained:
        raise Usage(
            "play --schelling needs one TASK, whose scripted cooperators and defectors play, or two RUNs: "
            "who cooperates, who defects; one of them may be scripted:NAME"
        )
    allowed = {"metric", "picture"} if trained else {"policy", "metric", "picture", "trust"}
    if strange := allowed & set(values):
        why = "it shows returns, and --out names the picture" if trained else "scripts play, and it shows returns"
        raise Usage(f"--{min(strange)} has no meaning with --schelling: {why}")
    if values.get("policy", "sampled") not in ("sampled", "greedy"):
        raise Usage(f"--policy {values['policy']!r} is not one of sampled, greedy")
    if values.get("episodes", 32) < 1:
        raise Usage(f"--episodes {values['episodes']} must be 1 or more")
    if "out" in values and values["out"].suffix != ".csv":
        raise Usage(f"--out {values['out']} does not end in .csv: the table .md and the picture .png stand beside it")
    found = of_runs(words, values, settings) if trained else of_scripts(words[0], values, settings)
    found.sheet().show(Console())
    if "out" in values:
        print("files\n  " + "\n  ".join(str(path) for path in found.save(values["out"])))


def of_scripts(word: str, values: dict[str, Any], settings: list[str]) -> Any:
    """Returns the diagram of a task's scripted cooperators and defectors."""
    from comity.cli.setting_flags import parse
    from comity.recipes import find_task, settings_of
    from comity.training.schelling import diagram

    source = find_task(word)
    env = settings_of(source, None, "profile")
    env = parse(settings, command("comity", "play", word), task=env)["task"] if settings else env
    return diagram(source.name, env, values.get("episodes", 32))


def of_runs(words: list[str], values: dict[str, Any], settings: list[str]) -> Any:
    """Returns the diagram of cooperators and defectors of which at least one kind is trained."""
    from comity.training.run import load
    from comity.training.schelling import between, scripted, trained

    if all(word.startswith("scripted:") for word in words):
        raise Usage("play --schelling of two needs a trained RUN: it says which game is played")
    trust = in_terminal("trust" in values)
    kinds = [
        word if word.startswith("scripted:") else on_task(load(one_run(word), trust=trust), settings) for word in words
    ]
    runs = [kind for kind in kinds if not isinstance(kind, str)]
    env = runs[0].env
    if not all(run.recipe.plays_as(runs[0].recipe) for run in runs):
        raise Usage("these runs play other games: give runs of one task with equal settings, or --task.NAME for both")
    cooperators, defectors = [
        [scripted(kind.removeprefix("scripted:"), env)] if isinstance(kind, str) else trained(kind) for kind in kinds
    ]
    names = tuple(kind if isinstance(kind, str) else f"{kind.recipe.algorithm.stem}/{kind.short}" for kind in kinds)
    episodes, policy = values.get("episodes", 32), values.get("policy", "sampled")
    return between(runs[0].recipe.task.name, env, cooperators, defectors, names, episodes, policy)


def heatmap_title(results: Any, metric: str) -> str:
    return f"{results.task}, cross-play: {metric}, {results.policy}, {results.episodes} episodes a pairing"
