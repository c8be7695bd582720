"""`comity list`: lists tasks, algorithms, wrappers, bonuses and figures. Imports nothing heavy."""

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.cli.main import Usage
from comity.environments import TASKS, VARIANTS, WRAPPERS
from comity.experiments import FIGURES
from comity.settings import did_you_mean

HELP = """  comity list             everything
  comity list tasks       the games
  comity list algorithms  the learners
  comity list wrappers    games around a game: comity train ipd+rusp ippo
  comity list bonuses     intrinsic rewards: comity train manitokan pg+counts
  comity list figures     figures of papers: comity reproduce PAPER/FIGURE"""
GAMES = TASKS | {name: (task, line) for name, (task, _, line) in VARIANTS.items()}
TABLES = {"tasks": GAMES, "wrappers": WRAPPERS, "algorithms": ALGORITHMS, "bonuses": BONUSES, "figures": FIGURES}


def listing(arguments: list[str]) -> None:
    wanted = arguments or list(TABLES)
    for kind in wanted:
        if kind not in TABLES:
            raise Usage(f"unknown kind {kind!r}{did_you_mean(kind, TABLES)}; known: {', '.join(TABLES)}")
        width = max(map(len, TABLES[kind]))
        print(kind)
        for name, (_, line) in TABLES[kind].items():
            print(f"  {name:<{width}}  {line}")
    if wanted == list(TABLES):
        print("\nyour own: comity train my_game.py:MyGame my_algorithm.py (docs/your_own.md)")
