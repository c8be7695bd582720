"""`comity evaluate`: plays new episodes with trained teams."""

from comity.cli.main import Usage
from comity.cli.runs import flags, on_task, one_run, task_flags
from comity.runs.commands import command
from comity.runs.trust import in_terminal

HELP = """  --episodes N     episodes per seed and policy (320)
  --best           plays the best checkpoint of each seed instead of the last policy
  --draw K         another set of episodes (0)
  --task.NAME V    another setting of the game than in training
  --trust          runs code that came with the run (docs/trust.md)
Plays each seed with greedy and with sampled actions; the table is over seeds."""


def evaluate(arguments: list[str]) -> None:
    from rich.console import Console

    from comity.report.tables import final_table
    from comity.training.run import load

    arguments, settings = task_flags(arguments)
    words, values = flags(arguments, {"episodes": int, "draw": int}, switches=("best", "trust"))
    if len(words) != 1:
        raise Usage("evaluate needs one RUN: a run directory, a glob with one match, or latest")
    episodes, draw = values.get("episodes", 320), values.get("draw", 0)
    if episodes < 1 or draw < 0:
        raise Usage(f"--episodes {episodes} must be 1 or more, --draw {draw} 0 or more")
    path = one_run(words[0])
    trust = in_terminal("trust" in values)
    run = on_task(load(path, which="best" if "best" in values else "last", trust=trust), settings)
    lines = run.play(episodes, draw)
    final_table(path, lines=lines).show(Console())
    print(f"iteration {run.iteration}; fresh episodes, draw {draw}: training and its evaluations never saw them")
    print(f"next\n  {command('comity', 'watch', path)}\n  {command('comity', 'compare', path)} OTHER_RUN")
