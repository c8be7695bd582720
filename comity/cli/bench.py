"""`comity bench`: measures the cost of algorithms on this machine, also relative to the matrix products that they
need. This process imports no jax: each measurement runs in a fresh process of its own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.bench import PAIRS
from comity.cli.main import Usage
from comity.cli.runs import flags, to_write
from comity.settings import did_you_mean

HELP = """  ALGORITHM ...      which algorithms (all), or TASK:ALGORITHM for another task than the table's own
  --only PART        start, algorithms or cores (all three)
  --iterations 5     updates per compiled call
  --repeats 3        number of rounds; medians are printed
  --out FILE         writes all numbers as JSON
  --before FILE      compares with a file that an earlier --out wrote
  --against jaxmarl  compares play and training with JaxMARL's on one core, and what each learns
      --python BIN   Python of the environment that has jaxmarl (this one)
      --baselines D  the folder `baselines` of a checkout of JaxMARL; without it only play is measured
      --only play,vdn,qmix,ippo   --seeds 3   --steps 500000   --keep FILE writes all measurements, JSON lines
      --table FILE   measures nothing: prints the tables of what --keep wrote
  --to-score         measures seconds of training until a score is held, without compiling and evaluations
      TASK:ALGORITHM ...   --score 0.95   --preset fast   --profile NAME   --algorithm.NAME V   --task.NAME V
      --metric NAME  what is measured (the task's headline), with --policy sampled (or greedy)
      --every 10     iterations between two evaluations; each plays --episodes 128 new ones
      --in-a-row 2   a score is held after so many evaluations in a row at or above it; the first gives the time
      --limit 120    seconds of training after which a seed gives up; it then has no number
      --seeds 5   --first-seed 0   --envs 32 games   --out FILE, written after every seed
      --beside FILE  takes JaxMARL's score and seconds from the file that --against jaxmarl --keep wrote
It uses preset sound and 32 games. A CPU's times are process CPU time on one pinned core, so other work disturbs them
little; an accelerator's times are wall time. Floor: the time of all matrix products of one rollout and update, 2 FLOP
per multiply-add, at the rate of a large product of the same rounds. Play: whole episodes of all games, without
learning. Peak: on a CPU the memory of the whole process, with compiling."""

COLUMNS = {  # heading: (entry, format)
    "{unit} ms per update": ("update_ms", "{:.4g}"),
    "spread": ("spread", "{:.0%}"),
    "play": ("play_ms", "{:.4g}"),
    "env steps per {unit} s": ("env_steps_per_second", "{:,.0f}"),
    "GFLOP": ("gflop", "{:.3g}"),
    "GFLOP/s": ("rate_gflops", "{:.0f}"),
    "floor, ms": ("floor_ms", "{:.3g}"),
    "ratio": ("ratio", "{:.1f}"),
    "compile, {unit} s": ("compile_s", "{:.1f}"),
    "temporary MB": ("temporary_mb", "{:.1f}"),
    "state MB": ("state_mb", "{:.1f}"),
    "peak MB": ("peak_mb", "{:.0f}"),
}
PARTS = ("start", "algorithms", "cores")


def bench(arguments: list[str]) -> None:
    if "--to-score" in arguments:
        from comity.cli.to_score import bench_to_score

        return bench_to_score(arguments)
    if any(word.partition("=")[0] == "--against" for word in arguments):
        return _against(arguments)
    known = {"only": str, "iterations": int, "repeats": int, "out": to_write, "before": Path}
    words, values = flags(arguments, known)
    pairs, iterations, repeats = _pairs(words), values.get("iterations", 5), values.get("repeats", 3)
    if iterations < 1 or repeats < 1:
        raise Usage(f"--iterations {iterations} and --repeats {repeats} must be 1 or more")
    only = values.get("only")
    if only not in (None, *PARTS):
        raise Usage(f"--only {only!r}{did_you_mean(only, PARTS)}; allowed: {', '.join(PARTS)}")
    parts = [only] if only else ["algorithms"] if words else PARTS
    before = _read(values["before"]) if "before" in values else {}
    rounds = {"iterations": iterations, "repeats": repeats}

    from comity.bench import measure
    from comity.training.progress import Steps

    steps = Steps(("start" in parts) + len(pairs) * ("algorithms" in parts) + ("cores" in parts), "measuring")
    machine = json.loads(_run("-c", MACHINE))
    found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), **machine, "sizes": rounds, "algorithms": {}}
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['devices'][0]}")
    print(", ".join(f"{name} {version}" for name, version in machine["versions"].items()) + f"; {found['date']}")
    if before and (unlike := differences(before, found)):
        print(f"{values['before']} was measured otherwise, so ratios are not of the code alone: {unlike}")
    sizes = ["--iterations", iterations, "--repeats", repeats]
    if "start" in parts:
        from comity.bench.start import WAYS, cold_and_warm

        steps.next("the start of a training")
        found["start"] = cold_and_warm(repeats)
        steps.close()
        print("\n`comity train manitokan pg`, wall seconds of compiling, and from start to first update, when there is")
        for way, text in WAYS.items():
            row = found["start"][way]
            print(f"  {text:<62}{row['compile_s']:6.1f} {row['first_update_s']:6.1f}")
    if "algorithms" in parts:
        unit = "CPU" if machine["platform"] == "cpu" else machine["platform"].upper()
        heads = [head.format(unit=unit) for head in COLUMNS] + (["before / now"] if before else [])
        print(f"\n| task | algorithm | {' | '.join(heads)} |", f"|{' --- |' * (len(heads) + 2)}", sep="\n", flush=True)
        for task, name in pairs:
            steps.next(f"{name} on {task}")
            row = measure.in_process(["-m", "comity.bench.measure", task, name, *sizes])
            row["ratio"] = ratio_to_floor(row["update_ms"], row["floor_ms"])
            found["algorithms"][f"{task}:{name}"] = row
            cells = ["-" if row[entry] is None else form.format(row[entry]) for entry, form in COLUMNS.values()]
            if before:
                then = before["algorithms"].get(f"{task}:{name}")
                cells.append(f"{then['update_ms'] / row['update_ms']:.2f}" if then else "")
            steps.close()
            print(f"| {task} | {name} | {' | '.join(cells)} |", flush=True)
    if "cores" in parts and (reason := _no_cores(machine)):
        print(f"\ncores: not measured, because {reason}")
    elif "cores" in parts:
        steps.next("seeds side by side")
        found["cores"] = _cores(machine["cores"], sizes, steps.close)
    if "out" in values:
        values["out"].parent.mkdir(parents=True, exist_ok=True)
        values["out"].write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten: {values['out']}")


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Returns in one line how an earlier measurement differs: platform, processor, sizes; "" if it does not. Files
    from before 30 November 2026 do not say their sizes.
    """
    pairs = [(name, before.get(name), now[name]) for name in ("platform", "processor")]
    pairs += [(name, before.get("sizes", {}).get(name), size) for name, size in now["sizes"].items()]
    return ", ".join(
        f"{name} {'unknown' if then is None else then} there, {here} here" for name, then, here in pairs if then != here
    )


def _no_cores(machine: dict[str, Any]) -> str:
    """Returns why seeds on all cores cannot be measured on this machine; "" if they can."""
    if machine["platform"] != "cpu":
        return f"jax computes on {machine['platform'].upper()} here"
    return "" if machine["cores"] > 1 else "there is one core"


def ratio_to_floor(update: float, floor: float) -> float | None:
    """Ratio of an update's time to the floor; None if products take under 1 % of it, so that the floor
    means nothing.
    """
    return update / floor if 100 * floor > update else None


def _against(arguments: list[str]) -> None:
    """Measures JaxMARL, in its own environment, and comity in this one."""
    import importlib.util

    known = {"against": str, "python": str, "baselines": Path, "only": str, "seeds": int, "steps": int}
    words, values = flags(arguments, {**known, "keep": to_write, "table": Path})
    if words or values["against"] != "jaxmarl":
        raise Usage(f"--against {values['against']!r} {' '.join(words)}: allowed is --against jaxmarl, and its flags")

    from comity.bench import peers

    if "table" in values:
        lines = values["table"].read_text(encoding="utf-8").splitlines()
        print(peers.tables([json.loads(line) for line in lines]))
        return
    kinds, baselines = ("play", *peers.POLICY), values.get("baselines")
    only = values.get("only", ",".join(kinds if baselines else kinds[:1])).split(",")
    if wrong := [kind for kind in only if kind not in kinds]:
        raise Usage(
            f"--only {wrong[0]!r}{did_you_mean(wrong[0], kinds)}; allowed: {', '.join(kinds)}, joined by commas"
        )
    if only != ["play"] and not (baselines and baselines.is_dir()):
        raise Usage(f"--baselines {baselines}: give the folder `baselines` of a checkout of JaxMARL, or --only play")
    if "python" not in values and importlib.util.find_spec("jaxmarl") is None:
        raise Usage("jaxmarl is not installed here: give --python BIN of an environment that has it")
    seeds, steps = values.get("seeds", 3), values.get("steps", 500_000)
    if seeds < 1 or steps < 1:
        raise Usage(f"--seeds {seeds} and --steps {steps} must be 1 or more")
    peers.against(values.get("python", sys.executable), baselines, only, seeds, steps, values.get("keep"))


def _cores(cores: int, sizes: list[Any], measured: Callable[[], None]) -> dict[str, float]:
    """Compares seeds trained at once with one core, and with the speed-up that plain matrix products get from all
    cores. Prints the result. measured: called before it is printed.
    """
    from comity.bench import measure

    arguments = ["-m", "comity.bench.measure", "manitokan", "pg", *sizes, "--seeds"]
    one, all_ = (measure.in_process(arguments, cores=count) for count in (1, cores))
    scaling = {"seeds": one["in_turn_ms"] / all_["at_once_ms"], "products": measure.products(cores)}
    measured()
    print(f"\n{measure.SEEDS} seeds of pg on manitokan, wall ms per update and seed, and what {cores} cores give")
    print(f"  in turn, one core{one['in_turn_ms']:12.1f}\n  at once, {cores} cores{all_['at_once_ms']:11.1f}")
    print(f"  seeds{scaling['seeds']:24.2f} times\n  plain matmul processes{scaling['products']:7.2f} times")
    return {**scaling, "one_core_ms": one["in_turn_ms"], "at_once_ms": all_["at_once_ms"]}


MACHINE = (
    "import json, jax; from comity.training.machine import hardware, versions; "
    "print(json.dumps({**hardware(), 'versions': versions(), 'platform': jax.default_backend()}))"
)


def _run(*words: str) -> str:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    """Returns (task, algorithm) of every word; without words, of the whole table."""
    from comity.names import unknown

    found = []
    for word in words or PAIRS:
        task, colon, name = word.rpartition(":")
        problem = (unknown("task", task) if colon else None) or unknown("algorithm", name)
        if problem and not colon and not unknown("task", name):
            raise Usage(f"{name} is a task: write {name}:ALGORITHM, such as {name}:iql")
        if problem:
            raise Usage(problem)
        if not colon and name not in PAIRS:
            raise Usage(f"{name} has no task of its own in the table: write TASK:{name}")
        found.append((task or PAIRS[name], name))
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from None
    if "algorithms" not in found:
        raise ValueError(f"{file} holds no measurements: give what `comity bench --out FILE` wrote")
    return found
