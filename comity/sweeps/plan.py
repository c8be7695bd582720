"""The plan of a sweep as data: tasks x algorithms x settings become rows, each a complete config, before training.

Only `rows_of` reads games and algorithms, so an existing sweep is read without jax.
"""

import copy
import dataclasses
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from comity.names import host_of, members, parsed, unknown
from comity.runs import sources
from comity.runs.reading import Unreadable, read_json, read_yaml
from comity.runs.saved import DONE, ROWS
from comity.runs.saved import SWEEP as FILE
from comity.runs.trust import find_module
from comity.runs.writing import write_text
from comity.settings import did_you_mean
from comity.sweeps import claims, ranges

FORMAT = 1
SEARCH = ("search", "trials", "objective", "prune")  # keys of a study that searches, see `sweeps.ranges`
OWN = ("tasks", "algorithms", "vary", "apart", *SEARCH)  # keys of a study that are no settings of training
MOST_ROWS = 100_000


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of a sweep."""

    name: str  # of its folder: a hash of its config
    task: str
    algorithm: str
    settings: dict[str, Any]  # the settings that vary
    config: dict[str, Any]  # as in a config.yaml; of a trial, with the first values of its ranges
    search: dict[str, Any] | None = None  # of a trial: its study, ranges, objective and pruner

    @property
    def label(self) -> str:
        return " · ".join([f"{self.algorithm} on {self.task}", *described(self.settings)])


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep on disk: its folder, the study it was made from, its rows."""

    path: Path
    study: dict[str, Any]
    folder: Path  # to which file names refer
    rows: tuple[Row, ...]

    def of(self, row: Row) -> Path:
        return self.path / ROWS / row.name


def described(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name.replace('_', '-')}={text_of(value)}" for name, value in settings.items()]


def text_of(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def scalar(text: str) -> Any:
    """Returns the value of a word of the command line: true, none, a number, a list in brackets, or the word itself."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [scalar(part) for part in text[1:-1].split(",") if part.strip()]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() in ("none", "null"):
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def several(text: str) -> list[Any]:
    """Splits values at commas; those in brackets belong together: `[64,64],[128]`."""
    return [scalar(part) for part in re.findall(r"\[[^]]*\]|[^,]+", text)]


def names_of(text: str, kind: str) -> list[str]:
    """Splits names at commas. A population, `good:maddpg,adversary:ddpg`, is one name."""
    return [text] if kind == "algorithm" and members(text) else [name for name in text.split(",") if name]


def study_of(path: Path) -> dict[str, Any]:
    """Returns the study in a YAML file. Raises ValueError with one line."""
    try:
        study = read_yaml(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file; give a study in YAML or a sweep's folder") from None
    except Unreadable as error:
        raise ValueError(str(error)) from None
    if not isinstance(study, dict):
        raise ValueError(f"{path} is no study: give tasks, algorithms, and what to vary (docs/sweeps.md)")
    return study


def check(study: Mapping[str, Any]) -> None:
    """Raises ValueError with one line if the study is wrong. `rows_of` checks the rest, for which jax is needed."""
    for key in ("tasks", "algorithms"):
        entries = study.get(key)
        if not isinstance(entries, list) or not entries:
            raise ValueError(f"the study has no {key}: give a list of names, such as {key}: [{_example(key)}]")
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else entry
            if not isinstance(name, str):
                raise ValueError(f"{key}: {entry!r} has no name: give a name, or name: NAME with settings beside it")
            if complaint := unknown(key[:-1], name):
                raise ValueError(complaint)
    _axes(study.get("vary"), "vary")
    if not isinstance(study.get("apart", False), bool):
        raise ValueError(f"apart {study['apart']!r}: give true, a run for each seed, or false, all seeds in one run")
    ranges.check(study)


def _example(key: str) -> str:
    return "manitokan" if key == "tasks" else "ippo, qmix"


def _axes(vary: Any, where: str) -> dict[str, list[Any]]:
    if vary is None:
        return {}
    if not isinstance(vary, dict):
        raise ValueError(f"{where} {vary!r}: give settings with lists of values, such as learning_rate: [1e-4, 5e-4]")
    for name, values in vary.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{where}: {name} {values!r} is no list: give its values in brackets")
    return {str(name).replace("-", "_"): values for name, values in vary.items()}


def rows_of(study: Mapping[str, Any]) -> list[Row]:
    """Returns every row of a study, as a recipe whose game and algorithm fit. Raises ValueError with one line."""
    from comity.training.settings import Training

    check(study)
    if study.get("search"):
        return _trials(study)
    fields = {field.name for field in dataclasses.fields(Training)}
    fixed = {str(key).replace("-", "_"): value for key, value in study.items() if key not in OWN}
    for key in fixed.keys() - fields:
        raise ValueError(f"the study has no {key}{did_you_mean(key, (*OWN, *fields))}: settings go below vary")
    made = [row for pair in itertools.product(study["tasks"], study["algorithms"]) for row in _of_pair(study, *pair)]
    if len(made) > MOST_ROWS:
        raise ValueError(f"the study has {len(made):,} rows, more than {MOST_ROWS:,}: vary less at a time")
    seen: dict[str, Row] = {}
    for row in made:
        if row.name in seen:
            raise ValueError(f"two rows are the same: {seen[row.name].label} and {row.label}; keep one of them")
        seen[row.name] = row
    return made


def _trials(study: Mapping[str, Any]) -> list[Row]:
    """Returns the trials of a search: `trials` of them for each combination that is not searched."""
    from comity.recipes import find_algorithm, find_task, from_config
    from comity.training.best import aim
    from comity.training.settings import Training

    asked = ranges.asked(study)
    plain = {key: value for key, value in study.items() if key not in SEARCH}
    varied = {str(name).replace("-", "_"): values for name, values in (study.get("vary") or {}).items()}
    tried = [  # with the ends of all ranges, so that values outside a setting's range are refused now
        rows_of({**plain, "vary": {**varied, **{name: [one.tried(i)] for name, one in asked.items()}}})
        for i in range(max(len(one.ends) for one in asked.values()))
    ]
    fields = [field.name for field in dataclasses.fields(Training)]
    found = []
    for base in tried[0]:
        source, learner = find_task(base.task), find_algorithm(base.algorithm)
        settled = []
        for name, one in asked.items():
            section, setting = place(name, source, learner, fields)
            low = _get(base.config[section], setting)
            settled.append(one.settled(section, setting, low, _whole(base, section, setting, one)))
        objective = study.get("objective") or aim(from_config(base.config).env)
        about = {"ranges": settled, "objective": objective, "prune": ranges.pruner(study)}
        about = {"study": digest([base.config, about])[:10], **about}
        for number in range(1, int(study.get("trials", ranges.TRIALS)) + 1):
            name = digest([about["study"], number])[:10]
            settings = {**base.settings, "trial": number}
            found.append(Row(name, base.task, base.algorithm, settings, base.config, about))
    if len(found) > MOST_ROWS:
        raise ValueError(f"the study has {len(found):,} trials, more than {MOST_ROWS:,}: give fewer trials")
    return found


def _whole(base: Row, section: str, setting: str, one: ranges.Range) -> bool:
    """True if a setting takes only whole numbers: it then refuses a value between the ends of its range."""
    from comity.recipes import from_config
    from comity.training.settings import training_of

    if one.choices:
        return False
    config = copy.deepcopy(base.config)
    _put(config[section], setting, one.ends[0] + 0.382 * (one.ends[1] - one.ends[0]))
    try:
        training_of(config) if section == "training" else from_config(config)
    except (ValueError, TypeError):
        return True
    return False


def with_values(row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a trial's config with the values that were drawn."""
    config = copy.deepcopy(row.config)
    for one in (row.search or {})["ranges"]:
        _put(config[one["section"]], one["setting"], values[one["name"]])
    return config


def entry_of(named: Any) -> dict[str, Any]:
    """Returns a task or algorithm of a study, given by name or with settings, as {"name": ..., setting: value}."""
    return {"name": named} if isinstance(named, str) else dict(named)


def from_preset(source: Any, kind: str, given: dict[str, Any]) -> tuple[str | None, Any]:
    """Returns (preset, settings) of a source: the given settings over the preset that they name, or over the first."""
    from comity.recipes import settings_of

    values = dict(given)
    preset = values.pop(kind, None) or source.first
    return preset, settings_of(source, preset, kind, values)


def _of_pair(study: Mapping[str, Any], task: Any, algorithm: Any) -> Iterator[Row]:
    from comity.recipes import Recipe, find_algorithm, find_task, settled
    from comity.training.settings import Training, training_of

    task, algorithm = entry_of(task), entry_of(algorithm)
    source, learner = find_task(task.pop("name")), find_algorithm(algorithm.pop("name"))
    own = [
        _axes(entry.pop("vary", None), f"{kind.name}: vary") for entry, kind in ((task, source), (algorithm, learner))
    ]
    axes = _axes(study.get("vary"), "vary")
    axes |= {f"task.{name}": values for name, values in own[0].items()}
    axes |= {f"algorithm.{name}": values for name, values in own[1].items()}
    training_fields = [field.name for field in dataclasses.fields(Training)]
    places = {name: place(name, source, learner, training_fields) for name in axes}
    general = {str(key).replace("-", "_"): value for key, value in study.items() if key not in OWN}
    if isinstance(general.get("track"), str):
        general["track"] = general["track"].split(",")
    for values in itertools.product(*axes.values()):
        given = {"task": dict(task), "algorithm": dict(algorithm), "training": dict(general)}
        for (section, name), value in zip(places.values(), values, strict=True):
            _put(given[section], name, value)
        shown = [name for name, choices in axes.items() if len(choices) > 1]
        last = [name.rpartition(".")[2] for name in shown]
        short = {name: one if last.count(one) == 1 else name for name, one in zip(shown, last, strict=True)}
        settings = {**task, **algorithm}
        settings |= {short[name]: x for name, x in zip(axes, values, strict=True) if name in short}
        label = " · ".join([f"{learner.name} on {source.name}", *described(settings)])
        try:
            profile, env = from_preset(source, "profile", given["task"])
            preset, config = from_preset(learner, "preset", given["algorithm"])
            recipe = settled(Recipe(source, env, learner, config, profile, preset))
            recipe.make(recipe.config, recipe.env)  # refuses what does not fit; nothing is traced
            training = training_of({"training": given["training"]})
        except (ValueError, TypeError) as error:
            raise ValueError(f"{label}: {' '.join(str(error).split())}") from None
        about = recipe.describe()
        fitted = {**about, "training": dataclasses.asdict(training)}  # YAML reads "1e-3" as text; here it is a number
        settings |= {short[name]: _get(fitted[places[name][0]], places[name][1]) for name in short}
        if "object" in (source.version, learner.version):
            raise ValueError(f"{label}: no file holds all of it, so workers could not load it: give names of files")
        for seed in range(training.first_seed, training.first_seed + training.seeds) if study.get("apart") else (None,):
            one = training if seed is None else dataclasses.replace(training, seeds=1, first_seed=seed)
            whole = {**about, "training": dataclasses.asdict(one)}
            more = settings if seed is None else {**settings, "seed": seed}
            yield Row(digest(whole)[:10], source.name, learner.name, more, whole)


def place(name: str, source: Any, learner: Any, training: list[str]) -> tuple[str, str]:
    """Returns (section, setting) of a name: `task.NAME`, `algorithm.NAME`, or NAME if only one of them has it."""
    from comity.runs.values import declared

    first, dot, rest = name.partition(".")
    if dot and first in ("task", "algorithm"):
        return first, rest
    if name in training:
        return "training", name
    if name in ("preset", "profile"):
        return ("algorithm", name) if name == "preset" else ("task", name)
    of_task, of_algorithm = (declared(x) or {} for x in (source.thing, getattr(learner.thing, "Config", dict)))
    has = [section for section, known in (("algorithm", of_algorithm), ("task", of_task)) if first in known]
    if len(has) == 1:
        return has[0], name
    if has:
        raise ValueError(
            f"{name} is a setting of {learner.name} and of {source.name}: write algorithm.{name} or task.{name}"
        )
    near = did_you_mean(name, [*of_algorithm, *of_task, *training])
    raise ValueError(f"neither {learner.name} nor {source.name} has a setting {name}{near}")


def _put(section: dict[str, Any], name: str, value: Any) -> None:
    """Sets a value of nested settings, such as `counts.weight`."""
    *outer, last = name.split(".")
    for part in outer:
        section[part] = dict(section.get(part) or {})
        section = section[part]
    section[last] = value


def _get(section: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        section = section[part]
    return section


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint(study: Mapping[str, Any]) -> str:
    """Returns a hash of a study and of the users' files that it names: the same hash means the same rows.

    The files are those that a game or an algorithm is made of, also those that its file imports. Nothing is imported.
    """
    files = {}
    for key in ("tasks", "algorithms"):
        for entry in study.get(key) or ():
            name = str(entry.get("name") if isinstance(entry, dict) else entry)
            if found := _files_of(name):
                files[name] = found.digest
    return digest([FORMAT, study, files, os.getcwd()])


def _files_of(name: str) -> sources.Files | None:
    """Returns the user's files that a task or an algorithm is made of; None if it has none."""
    host = host_of(name)
    named = parsed(name.removeprefix(f"{host}:") if host else name)
    if named.is_file:
        return sources.of_file(Path(named.target)) if os.path.isfile(named.target) else None
    if host:
        return None if sources.installed(named.target) else find_module(named.target)
    own = "." in named.target or named.attribute  # other names are of comity
    return find_module(named.target) if own and not members(name) else None


def planned(
    path: Path, study: Mapping[str, Any], file: Path | None = None, given: Mapping[str, Any] | None = None,
    write: bool = True, say: Callable[[str], None] = lambda text: None,
) -> Sweep:  # fmt: skip
    """Returns the sweep of a study in `path`; plans it if it is new or the study changed.

    file: the file that the study was read from. given: the part of the study that is from the command line. write:
    False writes nothing. say: is told how many rows that are over leave the plan. Raises OSError, and ValueError, also
    if rows would leave the plan of another file or command line, or while a worker trains.
    """
    if is_of(path, study):
        return opened(path)
    return replaced(path, study, rows_of(study), fingerprint(study), file, given, write, say)


def replaced(
    path: Path, study: Mapping[str, Any], rows: list[Row], made_from: str, file: Path | None,
    given: Mapping[str, Any] | None, write: bool, say: Callable[[str], None],
) -> Sweep:  # fmt: skip
    """Returns the sweep of these rows in `path`, in the place of the one that is there. See `planned`.

    made_from: the fingerprint of the study as its user gave it.
    """
    origin = {"file": file and os.path.relpath(file.resolve(), path.resolve()), "given": digest(given or {})[:10]}
    if (path / FILE).is_file():
        _check_leaving(opened(path), {row.name for row in rows}, origin, say)
    if not write:
        return Sweep(path, dict(study), Path.cwd(), tuple(rows))
    path.mkdir(parents=True, exist_ok=True)
    value = {"format": FORMAT, "made_from": made_from, "study": study, "folder": os.getcwd(), "from": origin}
    text = json.dumps({**value, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1)
    write_text(path / FILE, text + "\n")
    return opened(path)


def is_of(path: Path, study: Mapping[str, Any]) -> bool:
    """True if `path` has the plan of exactly this study."""
    return (path / FILE).is_file() and _read(path).get("made_from") == fingerprint(study)


def _check_leaving(old: Sweep, names: set[str], origin: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Raises ValueError if a plan must not be replaced by one with rows of these names. Says which results it loses."""
    if not (leaving := [row for row in old.rows if row.name not in names]):
        return
    left = f"{len(leaving)} of its {len(old.rows)} rows would leave the plan"
    before = _read(old.path).get("from") or origin  # older plans do not say where they are from
    if before != origin:
        whose = f"of {os.path.normpath(old.path / before['file'])}" if before["file"] else "of another command"
        if before["file"] == origin["file"]:
            whose = "with other settings on the command line"
        raise ValueError(f"{old.path} holds the sweep {whose}, and {left}: give --out DIR for a folder of its own")
    for row in old.rows:
        if claims.alive(old.of(row) / f"claim.{claims.newest(old.of(row))}"):
            raise ValueError(
                f"{old.path}: the study has changed, and {left}, but a worker trains {row.label}: stop it first"
            )
    over = sum((old.of(row) / DONE).is_file() for row in leaving)
    if over:
        say(f"the study has changed: {over} of the rows that are over leave the plan, so no table counts them; their "
            f"runs stay in {old.path / ROWS}")  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path / FILE)
    except FileNotFoundError:
        raise ValueError(f"{path} is no sweep: it has no {FILE}; begin one with comity sweep FILE") from None


def opened(path: Path) -> Sweep:
    """Returns the sweep in a folder. Raises ValueError with one line."""
    value = _read(path)
    try:
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}")
        rows = tuple(Row(**row) for row in value["rows"])
        wrong = next((row.name for row in rows if not re.fullmatch("[0-9a-f]{10}", row.name)), None)
        if wrong:
            raise ValueError(f"a row called {wrong!r}")
        return Sweep(path, value["study"], Path(value["folder"]), rows)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path / FILE} is not what comity sweep wrote ({error}): remove it and begin again") from None
