"""`comity sweep`: trains many runs as one study. Imports no jax if every row is over, or only a table is asked for."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.cli.runs import value_of
from comity.extras import needed
from comity.runs.commands import command
from comity.runs.reading import printable
from comity.runs.trust import in_terminal
from comity.settings import did_you_mean
from comity.sweeps import launch, plan, submit, worker

HELP = """FILE is a study in YAML (docs/sweeps.md). TASKS and ALGORITHMS are names with commas between them. Or give the
folder of a sweep, to continue it: finished rows are skipped, and rows that were stopped go on.
  --vary NAME=V,V ...    settings, all combinations; task.NAME or algorithm.NAME if both have it; preset=A,B
  --search NAME=LOW:HIGH:log ...   trials drawn by Optuna: LOW:HIGH, LOW:HIGH:log, LOW:HIGH:STEP, or choices V,V
  --trials 20            trials for each combination
  --objective METRIC     what the search maximises (success, or the return)
  --prune HOW            ends poor trials early: median (default) | halving | none
  --seeds 5, --iterations N, --envs N, ...   as in comity train
  --apart                makes each seed a run of its own, so that machines can share the seeds
  --dry-run              lists the rows, or prints an array's script; trains and writes nothing
  --table                prints the table of the results so far, trains nothing
  --workers N            processes here, or jobs of the array (one for each core)
  --launch HOW           processes (default) | slurm: submits an array | print: prints its script | ray
  --submit               submits an array with submitit, which requeues stopped jobs; needs --slurm "--time=1:00:00"
  --slurm "--time=1:00:00 --mem=4G"   options for sbatch
  --address HOST:PORT    address of a Ray cluster
  --batch N              a worker trains up to N rows side by side, if they differ only in floats and seeds
  --worker I/N           runs this process as one of N workers
  --retry                trains failed rows again; of a search, also trials that became not finite
  --out DIR              the sweep's folder (sweeps/NAME)
  --trust                runs code that the study names and that is not yours (docs/trust.md)"""

VALUES = ("out", "workers", "worker", "launch", "slurm", "address", "batch")
SWITCHES = ("dry-run", "table", "apart", "retry", "submit", "trust")
LAUNCHERS = ("processes", "slurm", "print", "ray")


def sweep(arguments: list[str]) -> int:
    words, own, vary, settings = _split(arguments)
    trust, how = in_terminal("trust" in own), own.get("launch", "processes")
    if how not in LAUNCHERS:
        raise Usage(f"--launch {how!r} is not one of {', '.join(LAUNCHERS)}{did_you_mean(how, LAUNCHERS)}")
    if "submit" in own and "launch" in own:
        raise Usage("--submit and --launch are two ways to start workers: give one of them")
    for name in ("workers", "batch"):
        number = own.get(name, "1")
        if not (number.isdecimal() and int(number) >= 1):
            raise Usage(f"--{name} {number!r} is not a whole number of 1 or more: give one")
    say = lambda text: print(printable(text) if "\n" not in text else text, flush=True)  # noqa: E731
    one = _sweep_of(words, own, vary, settings, say)
    if "dry-run" in own:
        return _listed(one, own, say)
    if "retry" in own and (again := worker.retry(one)):
        say(f"{_rows(again)} that failed will be trained again")
    if any(row.search for row in one.rows) and "table" not in own and worker.left(one):
        needed("optuna", "give the settings to --vary")
    if "worker" in own:
        return _as_worker(one, own["worker"], say, trust, int(own.get("batch", "1")))
    status = 0
    if "table" not in own and (left := worker.left(one)):
        status, submitted = _launched(one, own, len(left), say, _more(own))
        if submitted:
            return status
    return _report(one, status)


def _listed(one: plan.Sweep, own: dict[str, str], say: Any) -> int:
    """Prints the rows, or the script of an array. Writes nothing."""
    left = len(worker.left(one))
    if own.get("launch") in ("slurm", "print") and left:
        number = min(int(own.get("workers", left)), left)
        say(launch.slurm_script(one, number, own.get("slurm", ""), _more(own)).rstrip())
        say("nothing written or submitted")
        return 0
    for number, row in enumerate(one.rows, 1):
        state = (worker.done(one.of(row)) or {}).get("status", "")
        say(f"{number:4d}  {row.label}{f'  ({state})' if state else ''}")
    say(f"{_rows(len(one.rows))}, nothing trained or written; {one.path}")
    return 0


def _more(own: dict[str, str]) -> tuple[str, ...]:
    """Returns the flags that are passed on to workers."""
    return (*(("--trust",) if "trust" in own else ()), *(("--batch", own["batch"]) if "batch" in own else ()))


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _as_worker(one: plan.Sweep, text: str, say: Any, trust: Any, batch: int) -> int:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise Usage(f"--worker {text!r} is not I/N, such as 1/3: which of how many")
    one = dataclasses.replace(one, path=one.path.resolve())
    if worker.left(one):
        worker.as_worker(one)
        trained = worker.work(one, int(found[1]), int(found[2]), say, trust, batch=batch)
        say(f"worker {text}: {_rows(trained)} trained, none is left for it")
    return 0


def _launched(one: plan.Sweep, own: dict[str, str], left: int, say: Any, more: tuple[str, ...]) -> tuple[int, bool]:
    """Starts the workers. Returns (exit status, True if the work goes on elsewhere)."""
    how, count = own.get("launch", "processes"), own.get("workers")
    number = None if count is None else int(count)
    if how == "processes" and "submit" not in own:
        return launch.processes(one, number, say, more), False
    number = min(number or left, left)
    if "submit" in own:
        return submit.submit(one, number, own.get("slurm", ""), say, more), True
    if how == "ray":
        return launch.ray(one, number, own.get("address"), say, more), False
    return launch.slurm(one, number, own.get("slurm", ""), say, how == "slurm", more), True


def _report(one: plan.Sweep, status: int) -> int:
    """Prints the table, its files and the next command. Returns `status`, or 1 if a row failed or is left."""
    from rich.console import Console

    from comity.runs.writing import write_text
    from comity.sweeps.table import sheet, winner

    table, counts = sheet(one), worker.states(one)
    table.show(Console())
    write_text(one.path / "table.md", table.markdown())
    print(printable(f"files\n  {table.to_csv(one.path / 'table.csv')}\n  {one.path / 'table.md'}"))
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    print("next")
    over = sum(counts.get(state, 0) for state in _good(one))
    if len(one.rows) - over:
        failed, lost = counts.get("failed", 0), counts.get("not finite", 0)
        if failed or worker.left(one):
            print(f"  {command('comity', 'sweep', one.path, *(['--retry'] if failed else []))}")
        if lost and not one.rows[0].search:  # --retry leaves them alone
            print(f"  {_rows(lost)} became not finite: give other settings, such as a lower learning rate")
    if best := winner(one):
        row, about = best
        more = {name: row.config["training"][name] for name in ("seeds", "first_seed")}
        words = ["--seeds", more["seeds"], "--first-seed", more["first_seed"] + more["seeds"]]
        config = one.of(row) / about["run"] / "config.yaml"
        print(f"  {command('comity', 'train', '--config', config, *words)}  # the best, with other seeds")
    elif counts.get("finished"):
        print(f"  {command('comity', 'compare', one.path)}")
    return status or int(over < len(one.rows))


def _good(one: plan.Sweep) -> tuple[str, ...]:
    """Returns the states that count as success. In a search, pruned and not finite trials count, too."""
    return ("finished", "pruned", "not finite") if any(row.search for row in one.rows) else ("finished",)


def _split(arguments: list[str]) -> tuple[list[str], dict[str, str], dict[str, list[Any]], dict[str, Any]]:
    """Splits arguments into (words, flags of this command, values to vary, settings of all rows)."""
    words, own, vary, settings, rest = [], {}, {}, {}, list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            words.append(word)
            continue
        flag, equals, value = word.partition("=")
        name, given = flag[2:].replace("_", "-"), value if equals else None
        if name in SWITCHES and not equals:
            own[name] = ""
        elif name in VALUES:
            if name == "slurm" and given is None and rest:  # its value begins with --
                given = rest.pop(0)
            own[name] = value_of(flag, given, rest)
        elif name in ("vary", "search"):
            taken = [value] if equals else []
            while not equals and rest and not rest[0].startswith("--"):
                taken.append(rest.pop(0))
            for one in taken or [""]:
                setting, has, values = one.partition("=")
                if not (has and setting and values):
                    raise Usage(
                        f"--vary {one!r} is not NAME=VALUE,VALUE: such as --vary learning_rate=1e-4,5e-4"
                        if name == "vary"
                        else f"--search {one!r} is not NAME=LOW:HIGH: such as --search learning_rate=1e-5:1e-2:log"
                    )
                setting = setting.replace("-", "_")
                if name == "vary":
                    vary[setting] = plan.several(values)
                else:
                    settings.setdefault("search", {})[setting] = values if ":" in values else plan.several(values)
        else:
            text = value_of(flag, given, rest)
            settings[name.replace("-", "_")] = plan.scalar(text)
    return words, own, vary, settings


def _sweep_of(
    words: list[str], own: dict[str, str], vary: dict[str, Any], settings: dict[str, Any], say: Any
) -> plan.Sweep:
    """Returns the sweep that the words name; plans it if it is new. Raises Usage, ValueError."""
    file = None
    if len(words) == 1 and Path(words[0]).is_dir():
        if vary or settings or "apart" in own or "out" in own:
            raise Usage(f"{words[0]} is a sweep already: what it trains is in its study; give a new study instead")
        return plan.opened(Path(words[0]))
    if len(words) == 1 and (words[0].endswith((".yaml", ".yml")) or os.path.isfile(words[0])):
        file = Path(words[0])
        study: dict[str, Any] = plan.study_of(file)
    elif len(words) == 2:
        study = {"tasks": plan.names_of(words[0], "task"), "algorithms": plan.names_of(words[1], "algorithm")}
    else:
        raise Usage(
            f"sweep needs FILE, or TASKS and ALGORITHMS, or a sweep's folder, got {' '.join(words) or 'nothing'}: "
            "comity sweep manitokan ippo,qmix --vary learning_rate=1e-4,5e-4"
        )
    given = {**settings, "vary": vary, "apart": True} if "apart" in own else {**settings, "vary": vary}
    sections = {key: value for key, value in settings.items() if "." in key or key in ("preset", "profile")}
    if "search" in settings:  # added to what the file searches
        settings["search"] = {**(study.get("search") or {}), **settings["search"]}
    study |= {key: value for key, value in settings.items() if key not in sections}
    if vary or sections:
        study["vary"] = {**(study.get("vary") or {}), **{k: [v] for k, v in sections.items()}, **vary}
    if "apart" in own:
        study["apart"] = True
    plan.check(study)
    if "out" in own:
        path = Path(own["out"])
    elif file:
        path = Path("sweeps") / file.stem
        if (settings or vary or "apart" in own) and not plan.is_of(path, study):  # such as a short try
            path = path.with_name(f"{file.stem}_{plan.digest(given)[:6]}")
    else:
        given = study
        short = "-".join(re.sub(r"[^A-Za-z0-9_.+-]+", "-", x) for x in (*study["tasks"], *study["algorithms"]))
        path = Path("sweeps") / f"{short[:60]}_{plan.digest(study)[:6]}"
    return plan.planned(path, study, file, given, "dry-run" not in own, say)
