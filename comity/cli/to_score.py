"""`comity bench --to-score`: measures the seconds of training until a stated score is held. This process imports jax
only to read names; each seed runs in a fresh process of its own.
"""

import json
import time
from pathlib import Path
from typing import Any

from comity.bench import PAIRS, to_score
from comity.cli.main import Usage
from comity.cli.runs import flags, to_write
from comity.cli.setting_flags import parse
from comity.names import unknown
from comity.runs.commands import command
from comity.settings import did_you_mean

HEADS = ("task", "algorithm", "preset", "score", "held by", "{unit} s of training", "from", "to", "compile, {unit} s")
HEADS += ("together", "iterations", "env steps", "evaluations, {unit} s")
POLICIES = ("sampled", "greedy")
COUNTS = {"seeds": 5, "first-seed": 0, "envs": 32, "every": 10, "episodes": 128, "in-a-row": 2}
KNOWN = {**dict.fromkeys(COUNTS, int), "preset": str, "profile": str, "score": float, "limit": float, "metric": str}
KNOWN |= {"policy": str, "out": to_write, "beside": Path}


def bench_to_score(arguments: list[str]) -> None:
    """Measures every named learner, prints the table and writes it after each seed."""
    settings, others = _settings([word for word in arguments if word != "--to-score"])
    words, values = flags(others, KNOWN)
    counts = {name.replace("-", "_"): values.get(name.replace("-", "_"), count) for name, count in COUNTS.items()}
    for name, count in counts.items():
        if count < (name != "first_seed"):
            raise Usage(f"--{name.replace('_', '-')} {count} must be {int(name != 'first_seed')} or more")
    if not values.get("limit", 120.0) > 0:
        raise Usage(f"--limit {values['limit']:g} must be more than 0")
    policy = values.get("policy")
    if policy not in (None, *POLICIES):
        raise Usage(f"--policy {policy!r}{did_you_mean(policy, POLICIES)}; allowed: {', '.join(POLICIES)}")
    if not words:
        raise Usage("--to-score needs TASK:ALGORITHM, such as manitokan:pg --preset fast --score 0.95 --metric success")
    if settings and len(words) > 1:
        raise Usage(f"{settings[0]}: settings go with one TASK:ALGORITHM, and there are {len(words)}")
    if ("score" in values) == ("beside" in values):
        raise Usage("--to-score needs either --score X or --beside FILE, which has the score of JaxMARL")
    peers = _peers(values["beside"]) if "beside" in values else {}
    asked = [_learner(word, values, counts, settings, peers) for word in words]

    from comity.bench import measure
    from comity.cli.bench import MACHINE
    from comity.cli.bench import _run as run
    from comity.training.progress import Steps

    machine = json.loads(run("-c", MACHINE))
    unit = "CPU" if machine["platform"] == "cpu" else machine["platform"].upper()
    found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), **machine, "unit": unit, "complete": False}
    found["learners"] = asked
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['devices'][0]}; {found['date']}")
    steps = Steps(len(asked) * counts["seeds"], "measuring")
    try:
        for one in asked:
            for seed in range(counts["first_seed"], counts["first_seed"] + counts["seeds"]):
                steps.next(f"{one['algorithm']} on {one['task']}, seed {seed}")
                request = {"config": one["config"], "seed": seed, "envs": counts["envs"], "aim": one["aim"]}
                row = measure.in_process(["-m", "comity.bench.to_score", json.dumps(request)])
                one["rows"].append(row)
                steps.close()
                print(f"  {one['algorithm']} on {one['task']}, seed {seed}: {_outcome(row, unit)}", flush=True)
                _write(values.get("out"), found)
        found["complete"] = True
    finally:
        steps.close()
        print("\n".join(table(found, counts["seeds"])), flush=True)
        _write(values.get("out"), found)
    if "out" in values:
        print(f"\nwritten: {values['out']}")


def table(found: dict[str, Any], wanted: int) -> list[str]:
    """Returns the table's lines. wanted: seeds of every learner; a learner with fewer was interrupted."""
    unit, beside = found["unit"], any("peer" in one for one in found["learners"])
    heads = [head.format(unit=unit) for head in HEADS] + ["JaxMARL's", "ratio"] * beside
    lines = ["", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for one in found["learners"]:
        aim = to_score.Aim(**one["aim"])
        cells = [one["task"], one["algorithm"], one["preset"] or "-", f"{aim.policy} {aim.metric} {aim.score:g}"]
        cells += _cells(one, aim, wanted) + (_beside(one) if beside else [])
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cells(one: dict[str, Any], aim: to_score.Aim, wanted: int) -> list[str]:
    """Returns the cells of what was measured for a learner."""
    if not one["rows"]:
        return ["interrupted", *[""] * (len(HEADS) - 5)]
    row = to_score.row(one["rows"])
    cells = [f"{row['held']} of {row['seeds']}" + f", interrupted: {wanted} wanted" * (row["seeds"] < wanted)]
    never = f"not within {aim.limit:g}"
    shown = lambda x, form="{:.1f}": never if x is None else form.format(x)  # noqa: E731
    cells += [shown(row["seconds"]), shown(row["least"]), shown(row["most"]), shown(row["compile"])]
    cells += [shown(row["together"]), shown(row["iterations"], "{:,.0f}"), shown(row["env_steps"], "{:,.0f}")]
    return [*cells, shown(row["evaluating"])]


def _beside(one: dict[str, Any]) -> list[str]:
    """Returns JaxMARL's seconds of training, and their ratio to ours."""
    row, peer = to_score.row(one["rows"]) if one["rows"] else {"seconds": None}, one.get("peer")
    if peer is None:
        return ["", ""]
    return [f"{peer:.1f}", f"{peer / row['seconds']:.1f}" if row["seconds"] else "-"]


def _outcome(row: dict[str, Any], unit: str) -> str:
    last = f"last score {row['points'][-1]['score']:.4g}"
    if row["ended"] != "held":
        return f"{row['ended']}: not held within {row['spent']:.1f} {unit} s, {last}"
    return f"held from {row['seconds']:.1f} {unit} s on, compile {row['compile']:.1f}, {last}"


def _settings(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Splits arguments into (flags of task and algorithm with their values, all others)."""
    found, others, rest = [], [], list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith(("--task.", "--algorithm.")):
            others.append(word)
            continue
        found.append(word)
        while "=" not in word and rest and not rest[0].startswith("--") and ":" not in rest[0]:
            found.append(rest.pop(0))
    return found, others


def _learner(
    word: str,
    values: dict[str, Any],
    counts: dict[str, int],
    settings: list[str],
    peers: dict[str, tuple[float, float]],
) -> dict[str, Any]:
    """Returns one learner to measure: its config, and when a score counts as held. Raises Usage."""
    import dataclasses

    from comity.recipes import Recipe, find_algorithm, find_task, settings_of
    from comity.spec import functions

    task, colon, name = word.rpartition(":")
    if problem := (unknown("task", task) if colon else None) or unknown("algorithm", name):
        raise Usage(problem)
    if not colon and name not in PAIRS:
        raise Usage(f"{name} has no task of its own in the table: write TASK:{name}")
    if peers and name not in peers:
        raise Usage(f"--beside {values['beside']}: JaxMARL's {name} was not measured; there are {', '.join(peers)}")
    game, learner = find_task(task or PAIRS[name]), find_algorithm(name)
    profile = values.get("profile") or game.first
    preset = values.get("preset") or learner.first
    env, config = settings_of(game, profile, "profile"), settings_of(learner, preset, "preset")
    whole: dict[str, Any] = {"task": env, "algorithm": config}
    parts = {name: value for name, value in whole.items() if dataclasses.is_dataclass(value)}
    parts = whole | parse(settings, command("comity", "train", game.name, name), **parts) if settings else whole
    recipe = Recipe(game, parts["task"], learner, parts["algorithm"], profile, preset)
    metric = values.get("metric") or recipe.env.spec.headline
    if "metric" in values and functions(recipe.env).host is None:
        known = to_score.metrics_of(recipe)
        if metric not in known:
            raise Usage(f"--metric {metric!r}{did_you_mean(metric, known)}; of {game.name}: {', '.join(known)}")
    score, seconds = peers[name] if peers else (values["score"], None)
    policy = values.get("policy") or ("greedy" if peers and name != "ippo" else "sampled")
    more = {name: counts[name] for name in ("episodes", "in_a_row", "every")}
    aim = to_score.Aim(score, metric, policy, limit=values.get("limit", 120.0), **more)
    about = {"task": game.name, "algorithm": name, "preset": preset, "settings": settings, "envs": counts["envs"]}
    peer = {} if seconds is None else {"peer": seconds}
    return {**about, "config": recipe.describe(), "aim": aim._asdict(), **peer, "rows": []}


def _peers(file: Path) -> dict[str, tuple[float, float]]:
    """Returns {algorithm: (mean return at the end, median seconds of training)} of JaxMARL, from the file that
    `--against jaxmarl --keep FILE` wrote. Raises ValueError.
    """
    import statistics

    from comity.bench import peers

    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        theirs = [one for one in lines if one["side"] == "jaxmarl" and one["what"] in peers.POLICY]
        found = {}
        for name in dict.fromkeys(one["what"] for one in theirs):
            rows = [one for one in theirs if one["what"] == name]
            score = statistics.mean(one[peers.POLICY[name]] for one in rows)
            found[name] = (score, statistics.median(one["train_cpu"] for one in rows))
    except (ValueError, KeyError, TypeError):
        found = {}
    if not found:
        raise ValueError(f"{file} has no training of JaxMARL: give what `comity bench --against jaxmarl --keep` wrote")
    return found


def _write(out: Path | None, found: dict[str, Any]) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
