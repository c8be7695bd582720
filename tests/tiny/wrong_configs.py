"""Wrong config files, made from a seed: a correct one of a small run with one error in it."""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml

from comity.recipes import from_objects
from comity.training.settings import Training
from tiny.wrong_lines import ODD_NAMES, PAIRS
from tiny.wrong_words import hints, typo

SMALL = Training(seeds=1, envs=2, iterations=2, chunk=1, evaluations=1, evaluation_episodes=2, final_episodes=2)
HOLE = "hole in the text"  # where a fragment of YAML goes
DIGITS = "9" * 400
NEVER = ["[[1]]", "{a: 1}", "[{a: [b]}]", "2001-01-01", "2001-02-30", "!!binary aGFsbG8=", "!!set {a}",
    "!!omap [a: 1]", "[", "{", "'", "*x",
         "&x 1", "!!python/name:os.system", "!!python/object/apply:os.system ['touch MARKER']", "@", "%",
         "!!int many", "? ", "a: b: c",
         "!!timestamp x", "<<", "!x 1", "2001-01-01 25:61:00"]  # fmt: skip
OF_KIND: dict[Any, list[str]] = {
    int: ["many", "2.5", "1e3", "'2'", "true", ".nan", ".inf", "2147483648", DIGITS, "-" + DIGITS, "[1]", "''",
        "1,000", "🙂"],
    float: ["fast", "true", ".nan", "-.inf", "1e39", DIGITS, "[1e-3]", "'1e'", "0,5", "1/2", "''", "nan", "'inf'"],
    bool: ["'false'", "1", "0", "'no'", "[true]", "maybe", "''", "1.0"],
    str: ["3", "true", "[a]", "2.5"],
    tuple: ["3", "text", "[[1], x]", "[{a: 1}]", "true", "''"],
    "choice": ["nothing", "[a]", "''", "2.5", "false"],
}  # fmt: skip
MODULES = ["os:system", "os", "subprocess:run", "builtins:exec", "builtins:print", "pathlib:Path.touch",
    "comity.cli.main:main", "comity.api",
           "antigravity:geohash", "os:system@1", "shutil:rmtree@12345678", "game.py:Game", "game.py:Game@12345678",
           "game.py", "../game.py:Game@1",
           "/dev/null", "game:Game", "runpy:run_path@1", "code:interact", "pty:spawn"]  # fmt: skip


@functools.cache
def right(task: str, algorithm: str) -> dict[str, Any]:
    """A config as a run's, with every setting."""
    recipe = from_objects(task, algorithm)
    return {"comity": "0.1.0", **recipe.describe(), "training": dataclasses.asdict(SMALL)}


@functools.cache
def declared(task: str, algorithm: str) -> dict[str, dict[str, Any]]:
    """{section: {setting: type}}."""
    recipe = from_objects(task, algorithm)
    parts = {"task": type(recipe.env), "training": Training}
    parts |= {"algorithm": type(recipe.config)} if recipe.config is not None else {}
    return {section: hints(kind) for section, kind in parts.items()}


def fragment(hint: Any, rng: Random) -> str:
    """YAML that no setting of this type can be."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        low = next(rule.low for rule in inner[1:])
        return str(low - 1) if low is not None and rng.random() < 0.3 else fragment(inner[0], rng)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return fragment(next(kind for kind in inner if kind is not type(None)), rng)
    kind = {typing.Literal: "choice", tuple: tuple}.get(typing.get_origin(hint), hint)
    some = OF_KIND.get(kind, [])
    return rng.choice(some if some and rng.random() < 0.6 else NEVER)


def config(seed: int, folder: Path) -> bytes:
    """The bytes of one wrong config file. folder: where game.py lies, whose import leaves a marker."""
    rng = Random(f"config {seed}")
    pair = rng.choice(PAIRS)
    values = {name: dict(x) if isinstance(x, dict) else x for name, x in right(*pair).items()}
    return rng.choice(KINDS)(values, declared(*pair), rng, folder)


def text(values: Any, hole: str = "", rng: Random | None = None) -> str:
    """As YAML, with `hole` where HOLE stands; in one of its two styles."""
    flow = rng is not None and rng.random() < 0.3
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=flow, width=10**6).replace(HOLE, hole)


def _value(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    section = rng.choice([section for section in types_ if types_[section]])
    name = rng.choice([name for name, hint in types_[section].items() if not _is_game(hint)])
    values[section][name], hint = HOLE, types_[section][name]
    empty = type(None) not in typing.get_args(hint) and rng.random() < 0.1
    return text(values, rng.choice(["null", "~", ""]) if empty else fragment(hint, rng)).encode()


def _is_game(hint: Any) -> bool:
    return isinstance(hint, type) and hint not in (int, float, bool, str)


def _key(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    section = rng.choice(["", *types_])
    inside = values[section] if section else values
    known = [*inside, "initialise", "name", "profile", "preset"]
    odd = rng.choice([typo(rng.choice([*inside]), known, rng), None, 1, True, 2.5, "", "a b", "🙂", "x" * 3000, HOLE])
    hole = rng.choice(
        ["[1, 2]", "{a: 1}", "? [a]", "!!binary aGFsbG8=", "2001-01-01", "&a b", "*a", "!!set {a}", "<<", ".nan"]
    )
    return text({**inside, odd: 1} if not section else {**values, section: {**inside, odd: 1}}, hole).encode()


def _section(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    wrong: list[Any] = [3.5, "text", [1], [], True, [[{}]], 0, False, "", HOLE, ["name"], 10**30]
    section = rng.choice(["task", "algorithm", "training"])
    if section != "training" and rng.random() < 0.4:
        return text(
            rng.choice(
                [{**values, section: None}, {**values, section: {}}, {k: x for k, x in values.items() if k != section}]
            )
        ).encode()
    return text({**values, section: rng.choice(wrong)}, rng.choice(NEVER), rng).encode()


def _name(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    section = rng.choice(["task", "algorithm"])
    was = values[section]["name"]
    plain, version = was.split("@")
    wrong = [
        f"{plain}@{int(version) + 1}",
        f"{plain}@99+1",
        f"{plain}@object",
        f"{plain}@12345678",
        f"{plain}@",
        f"{plain}@1@1",
        f"{plain} @{version}",
    ]
    wrong += [
        typo(plain, (), rng) + f"@{version}",
        plain.upper(),
        None,
        3,
        True,
        [was],
        {was: was},
        "",
        HOLE,
        "\x1b[31m" + was,
        "\u202e" + was,
        "x" * 9000,
    ]
    wrong += MODULES + [name for name in ODD_NAMES if "@" not in name]
    values[section]["name"] = rng.choice(wrong)
    if rng.random() < 0.3:
        values[section] = {"name": rng.choice(MODULES), "command": f"touch {folder / 'MARKER'}"}
    return text(values, rng.choice(NEVER), rng).encode()


def _doubled(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    section = rng.choice([*types_])
    whole = text(values)
    if rng.random() < 0.3:
        return (whole + text({section: values[section]})).encode()
    name = rng.choice([*values[section]])
    line = text({section: {name: values[section][name]}}).splitlines(keepends=True)
    return whole.replace(f"{section}:\n", "".join(line), 1).encode()


def _bytes(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    flow = yaml.safe_dump(values, sort_keys=False, default_flow_style=True, width=10**6)
    data, at = flow.encode(), rng.randrange(1, len(flow) - 3)
    odd = bytes(rng.choice(range(0x80, 0xC0)) for _ in range(rng.randrange(1, 9)))
    return rng.choice([
        lambda: data[:at],
        lambda: data[:at] + odd + data[at:],
        lambda: data[:at] + b"\x00" + data[at:],
        lambda: rng.randbytes(rng.randrange(1, 4000)) + b"\xff",
        lambda: flow.encode("utf-32"),
        lambda: flow.replace("name", "n\u00e4me").encode("latin-1"),
        lambda: flow.encode("cp037"),
        lambda: b"",
        lambda: b"\n\n# nothing\n",
        lambda: data + b"\n--- " + data,
        lambda: b"- " + data,
        lambda: data + b"#" * (1 << 20),
        lambda: data + b"]",
        lambda: b"\t" + data.replace(b", ", b",\n\t") + b"\t: {",
        lambda: b"%YAML 9.9\n" + data,
    ])()  # fmt: skip


def _depth(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    deep = rng.choice([40, 400, 20_000])
    section = rng.choice(["", *types_])
    (values[section] if section else values)["steps"] = HOLE
    hole = rng.choice(["[" * deep + "]" * deep, "{a: " * deep + "1" + "}" * deep, "[" * deep, "- " * deep, "? " * deep])
    bomb = ["&a [x, x]", *(f"&a{n} [{', '.join(['*a'] * 9)}]" for n in range(9))]
    return text(values, rng.choice([hole, f"[{', '.join(bomb)}]"])).encode()


def _other(values: Any, types_: Any, rng: Random, folder: Path) -> bytes:
    training, values["training"] = values["training"], dict(values["training"])
    changes: list[Callable[[], Any]] = [
        lambda: values["training"].update(chunk=7, evaluate_every=10),
        lambda: values["training"].update(seeds=training["seeds"] + 2**30),
        lambda: values["training"].update(envs=2**31 - 1),
        lambda: values["training"].update(first_seed=2**31 - 1, seeds=2),
        lambda: values.update(
            initialise=rng.choice([3, [1], "nowhere", {"a": 1}, True, "x" * 300, 2.5, ["runs"], "game.py"])
        ),
        lambda: values["task"].update(
            name=values["task"]["name"].split("@")[0], profile=rng.choice(["papr", [1], 3, {"a": 1}])
        ),
        lambda: values["algorithm"].update(
            name=values["algorithm"]["name"].split("@")[0], preset=rng.choice(["papr", [1], 3])
        ),
    ]
    rng.choice(changes)()
    return text(values, rng=rng).encode()


KINDS = [_value, _value, _value, _key, _section, _name, _name, _doubled, _bytes, _depth, _other]
