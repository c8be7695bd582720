"""`comity new`: writes a file for the user to start from, and its test. Imports no jax."""

import importlib.util
import keyword
import re
import sys
from pathlib import Path

from comity.cli.main import Usage
from comity.cli.runs import flags
from comity.runs.commands import command
from comity.settings import did_you_mean

HELP = """  comity new task NAME        a game: NAME.py with a class, and test_NAME.py
  comity new algorithm NAME   a learner
  comity new bonus NAME       an intrinsic reward, and a learner that uses it
  comity new wrapper NAME     a game around a game
  --recurrent                 the algorithm's policy gets a memory
  --out DIR                   folder for the files (.)
Both files work as they are: the first trains, and its test passes, in any
folder and without a checkout (docs/your_own.md)."""

KINDS = ("task", "algorithm", "bonus", "wrapper")
HERE = Path(__file__).parent / "scaffolds"


def new(arguments: list[str]) -> None:
    words, values = flags(arguments, {"out": Path}, switches=("recurrent",))
    if len(words) != 2:
        raise Usage(f"new needs a kind and a NAME: comity new task my_game; kinds: {', '.join(KINDS)}")
    kind, name = words[0], module_name(words[1])
    if kind not in KINDS:
        raise Usage(f"unknown kind {kind!r}{did_you_mean(kind, KINDS)}; known: {', '.join(KINDS)}")
    if "recurrent" in values and kind != "algorithm":
        raise Usage(f"--recurrent goes with an algorithm, not with a {kind}")
    out, source = values.get("out", Path()), "recurrent" if "recurrent" in values else kind
    files = {out / f"{name}.py": f"{source}.py", out / f"test_{name}.py": f"test_{kind}.py"}
    for path in files:
        if path.exists():
            raise ValueError(f"{path} exists already: give another name, or --out DIR")
    out.mkdir(parents=True, exist_ok=True)
    for path, template in files.items():
        path.write_text(renamed((HERE / template).read_text(encoding="utf-8"), kind, name), encoding="utf-8")
    file = str(out / f"{name}.py")
    game = f"{file}:{class_name(name)}"
    few = ("--iterations", "200")
    first = {
        "task": command("comity", "train", game, "pg", *few),
        "wrapper": command("comity", "train", game, "pg", *few),
        "algorithm": command("comity", "train", "two-step", file, *few),
        "bonus": command("comity", "train", "two-step", file, *few),
    }[kind]
    print("files", *(f"  {path}" for path in files), "next", f"  {first}", sep="\n")
    how = "" if importlib.util.find_spec("pytest") else "  (first: pip install pytest)"
    print(f"  {command('python', '-m', 'pytest', str(out / f'test_{name}.py'))}{how}")


def module_name(text: str) -> str:
    """Turns `StagHunt`, `stag-hunt`, `stag_hunt.py` into stag_hunt. Raises Usage if the name is invalid or taken."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.removesuffix(".py")).replace("-", "_").lower()
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise Usage(f"{text!r} is no name for a file: give letters, digits and _, such as stag_hunt")
    if name in sys.stdlib_module_names or name.startswith("test_") or _installed(name):
        raise Usage(f"{name!r} is the name of another module: give one of your own, such as my_{name}")
    return name


def _installed(name: str) -> bool:
    """True if an installed package has this name; a file of the current folder does not count."""
    found = importlib.util.find_spec(name)
    return bool(found and found.origin and Path(found.origin).resolve().parent != Path.cwd())


def class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def renamed(text: str, kind: str, name: str) -> str:
    """Returns the scaffold with the user's name in it."""
    old = f"my_{kind}"
    return text.replace(old, name).replace(class_name(old), class_name(name))
