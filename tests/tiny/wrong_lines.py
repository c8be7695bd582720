"""Wrong command lines of every command, made from a seed; each is wrong by construction."""

import functools
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Literal

from comity.algorithms import ALGORITHMS
from comity.cli.listing import TABLES
from comity.cli.main import COMMANDS
from comity.environments import TASKS
from comity.experiments import FIGURES
from comity.recipes import find_algorithm, find_task, settings_of
from comity.settings import Positive
from comity.training.settings import Training
from tiny.wrong_words import hints, typo, word

PAIRS = [("manitokan", "pg"), ("matrix", "random"), ("ipd", "lola"), ("two-step", "qmix"), ("repeated-matrix", "saf")]
Count, Policy, File = Positive[int], Literal["sampled", "greedy"], "a file"
FLAGS: dict[str, dict[str, Any]] = {  # of the commands that have their own: {flag: type}
    "resume": {"iterations": Count, "minutes": Positive[float]},
    "evaluate": {"episodes": Count, "draw": int},
    "watch": {"seed": int, "episode": int, "in-turn": int, "policy": Policy, "gif": File, "html": File,
        "mp4": File},
    "play": {"episodes": Count, "policy": Policy, "out": File},
    "compare": {"metric": Literal["return"]},
    "reproduce": {"scale": Literal["smoke"], "seeds": Count, "at-once": Count, "minutes": Positive[float],
        "arms": Literal["?"]},
    "bench": {"iterations": Count, "repeats": Count, "only": Literal["start"], "before": File},
    "demo": {"minutes": Positive[float], "seeds": Count},
    "report": {"out": File, "metric": Literal["return"]},
    "sweep": {"workers": Count, "seeds": Count, "iterations": Count, "trials": Count, "batch": Count},
    "grid": {"cpu-seconds": Positive[float], "seeds": Count, "workers": Count},
    "verify": {"seeds": Count, "episodes": Count},
    "new": {},
    "list": {},
}  # fmt: skip
STRAYS = [
    "stray",
    "--",
    "-",
    "-x",
    "-seeds",
    "---seeds=2",
    "=",
    "=5",
    "--=5",
    "--.x=3",
    "\x1b[31m",
    "\u202e",
    "x" * 9000,
]
STRAYS += [
    "a b",
    "--\n",
    "--task.=3",
    "-=",
    "''",
    "--seeds'",
    "🙂",
    "*",
    "..",
    "/dev/null",
    "nowhere/",
    "-1",
    "{}",
    "\\",
]


@functools.cache
def settings(task: str, algorithm: str) -> dict[str, Any]:
    """{flag of `train`: type}."""
    parts: dict[str, Any] = {"": Training, "task.": find_task(task).thing}
    config = settings_of(find_algorithm(algorithm), None, "preset")
    parts |= {"algorithm.": type(config)} if config is not None else {}
    return {p + n.replace("_", "-"): hint for p, kind in parts.items() for n, hint in hints(kind).items()}


def line(seed: int, run: Path) -> list[str]:
    """The words after `comity` of one wrong command line. run: a run directory that is whole."""
    rng = Random(f"line {seed}")
    command = rng.choice(["train"] * 8 + [*COMMANDS])
    if rng.random() < 0.06:
        return [rng.choice([typo(command, COMMANDS, rng), *STRAYS]), *_names(command, rng, run)]
    wrong = _train if command == "train" else _other
    return [command, *wrong(command, rng, run)]


def _names(command: str, rng: Random, run: Path) -> list[str]:
    """What stands first, right."""
    if command == "train":
        return list(rng.choice(PAIRS))
    if command in ("demo", "bench", "list"):
        return []
    if command in ("sweep", "grid", "verify", "new"):
        return {"verify": ["two-step"], "new": ["task", "thing"]}.get(command, ["matrix", "random"])
    return [rng.choice([*FIGURES]) if command == "reproduce" else str(run)]


def _said(flag: str, value: str, rng: Random, bare: bool = True) -> list[str]:
    """A flag and its value in one of the ways to write them. bare: NAME=VALUE may be one."""
    if value.startswith("--") or not value:
        return [f"--{flag}={value}"]
    ways = [[f"--{flag}", value], [f"--{flag}={value}"], [f"--{flag.replace('-', '_')}", value]]
    return rng.choice([*ways, [f"{flag}={value}"]] if bare else ways)


def _train(command: str, rng: Random, run: Path) -> list[str]:
    names = rng.choice(PAIRS)
    flags = settings(*names)
    flag = rng.choice([name for name, hint in flags.items() if word(hint, Random(0)) is not None])
    right = [*names, *rng.choice([[], ["--seeds", "2"], ["envs=8", "--chunk=2"], ["--minutes", "1"]])]
    known = {*flags, *OWN}
    valued = [name for name, hint in flags.items() if hint is not bool and "tuple" not in str(hint)]
    kinds: list[Callable[[], list[str]]] = [
        lambda: [*right, *_said(flag, word(flags[flag], rng) or "", rng)],
        lambda: [*right, *_said(flag, word(flags[flag], rng) or "", rng)],
        lambda: [*right, *_said(typo(flag, known | {f.replace(".", ".no-") for f in flags}, rng), "1", rng, False)],
        lambda: [*right, f"--{rng.choice(valued)}", *rng.choice([[], ["--chunk=2"]])],
        lambda: [*right, f"--{flag}="],
        lambda: [*right, *_said(flag, word(flags[flag], Random(0)) or "", rng), *_said(flag, word(flags[flag],
            rng) or "", rng)],
        lambda: [*right, rng.choice(STRAYS)],
        lambda: [*rng.choice([(typo(names[0], TASKS, rng), names[1]), (names[0], typo(names[1], ALGORITHMS, rng))]),
            *right[2:]],
        lambda: rng.choice([[], [names[0]], [names[1]], [*names, names[1]], [*reversed(names)], [names[0], names[0]]]),
        lambda: [*rng.choice([(odd, names[1]) for odd in ODD_NAMES] + [(names[0], odd) for odd in ODD_NAMES]),
            *right[2:]],
        lambda: [*right, f"--{rng.choice(['config', 'initialise'])}", rng.choice(NOWHERE)],
        lambda: [*right, f"--{rng.choice(['preset', 'profile'])}={rng.choice(ODD_PRESETS)}"],
        lambda: [*right, f"--{rng.choice(OWN[2:])}", *rng.choice([[], ["--seeds=2"], ["seeds=2"]])],
    ]  # fmt: skip
    return rng.choice(kinds)()


OWN = ["preset", "profile", "config", "initialise", "out"]  # the first two may stand alone: then they list names
ODD_PRESETS = ["papr", "x" * 3000, "=", " ", "\x1b[0m"]
NOWHERE = [
    "nowhere",
    "folder",
    "a file",
    "nowhere/*",
    "a file/b",
    "~nobody/runs",
    "\x1b[31m",
    "x" * 300,
    "folder/..",
    "?",
]
ODD_NAMES = ["nowhere.py:Game", "folder/x.py", "a file.py:", ".py", ":", "+", "os:system", "os", "matrix+",
    "ipd+nothing", "@1", "matrix@1",
             "builtins:print", ".", "..", "comity", "no.such.module", "\u202ematrix", "a\nb", "x" * 4000,
             "manitokan:Manitokan", "PG", " pg",
             "folder.py:Game", "subprocess:run", "pathlib:Path.touch", "matrix.matrix", "1", "🙂"]  # fmt: skip


def _other(command: str, rng: Random, run: Path) -> list[str]:
    names, flags = _names(command, rng, run), FLAGS[command]
    known = {*flags, "best", "trust", "metric", "out", "runs", "plan", "fresh", "no-train", "against", "gif", "html"}
    said = lambda flag, value: _said(flag, value, rng)  # noqa: E731
    kinds: list[Callable[[], list[str]]] = [lambda: [*names, *_stray(command, rng)]]
    if command == "list":
        return rng.choice([lambda: [typo(rng.choice([*TABLES]), TABLES, rng)], kinds[0]])()
    if command == "new":
        kinds += [
            lambda: [typo("task", ["task"], rng), "thing"],
            lambda: ["task", rng.choice(["", "1", "a b"])],
        ]
        return rng.choice(kinds)()
    flag = rng.choice([*flags])
    kinds += [
        lambda: [*names, *said(flag, _value(flags[flag], rng))],
        lambda: [*names, *said(flag, _value(flags[flag], rng))],
        lambda: [*names, *said(typo(flag, known, rng), "1")],
        lambda: [*names, f"--{flag}", *rng.choice([[], ["--trust"]])],
        lambda: [*names, f"--{flag}="],
        lambda: [*names, *said(flag, _value(flags[flag], rng)), *said(flag, _value(flags[flag], rng))],
    ]
    if command in ("resume", "evaluate", "watch", "play", "compare", "report"):
        kinds += [lambda: [], lambda: [rng.choice(NOWHERE), *rng.choice([[], ["--trust"]])]]
    if command == "reproduce":
        kinds += [lambda: [typo(rng.choice([*FIGURES]), FIGURES, rng)], lambda: [], lambda: ["rusp/fig3", "lica"]]
    if command in ("evaluate", "play"):
        kinds.append(lambda: [*names, *said("task." + typo("length", ["length"], rng), "3")])
        kinds.append(lambda: [*names, *said("task.length", word(Count, rng) or "")])
    return rng.choice(kinds)()


def _value(hint: Any, rng: Random) -> str:
    return rng.choice(["folder", "a file/b"]) if hint is File else word(hint, rng) or ""


def _stray(command: str, rng: Random) -> list[str]:
    several = command in ("watch", "report")  # a folder of runs is one more
    return [rng.choice([stray for stray in STRAYS if not (several and stray in ("..", "*"))])]
