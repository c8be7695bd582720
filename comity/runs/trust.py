"""Decides which code is run: comity's own, the user's, and code that came with a run only if the user allows it.

A run's config names a game and an algorithm. Shipped ones are found by their names in a table. A user's file is run if
it lies where the run says, belongs to the user, lies in no run directory, and has the hash that the run recorded. All
other code, above all the copies inside the run, came with the run and may come from a stranger. It is run only with
`--trust`, or after a yes in a terminal.
"""

import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from comity.names import Named
from comity.runs import sources
from comity.runs.reading import printable
from comity.runs.sources import Files


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Trust:
    """The user's permission to run code."""

    given: bool = False  # --trust: run the code that came with a run
    ask: Callable[[str], bool] | None = None  # asks in a terminal
    say: Callable[[str], None] = _say
    named: tuple[str, ...] = ()  # names that the user gave on the command line, in addition to the config


NOTHING = Trust()  # no code that came with a run is run


def trusting(trust: "bool | Trust") -> Trust:
    return trust if isinstance(trust, Trust) else Trust(given=trust)


def in_terminal(given: bool, named: tuple[str, ...] = ()) -> Trust:
    """The `Trust` of a command: it asks if there is a terminal in which somebody can answer."""

    def ask(question: str) -> bool:
        _say(f"{question} It can do all that you can. Run it? [y/N]")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return Trust(given, ask if sys.stdin and sys.stdin.isatty() and sys.stderr.isatty() else None, named=named)


def chosen(kind: str, name: str, named: Named, version: str, folder: Path | None, trust: Trust) -> Files:
    """Chooses the files of a task or algorithm that a config names and that may be run now.

    name: the name in the config; folder: the run directory. Hashes are compared; nothing is run. Raises ValueError, one
    line, if no file may be run.
    """
    copy = sources.copies(folder, kind, named.target) if folder else None
    wanted = version.partition("+")[0]  # the versions of wrappers follow it
    if copy and wanted and copy.version != wanted:
        raise ValueError(
            f"{copy.path} is not what the run was made with: its version is {copy.version}, the config's {wanted}; "
            "nothing was run"
        )
    old = folder is None or sources.described(folder, kind) is None  # then the version is of the file alone
    own = [place for place in _places(kind, named, folder) if _may_be_own(place.path, folder)]
    for place in own:
        same = wanted in (place.version, *([sources.content_hash(place.content[place.main])] if old else []))
        if (same and place.binds(named.attribute or "make")) or (not wanted and name in trust.named):
            return place
    if not copy and not own:
        raise ValueError(f"{kind} {name}: this is neither shipped with comity nor a file of yours: nothing was run")
    here = _what_changed(own[0], copy, wanted) if own else f"{Path(named.target).name} is not here, or not yours"
    if not copy and wanted:
        raise ValueError(
            f"{kind} {name}: {here}, of which the run holds no copy: its rules have changed, so results would not "
            "compare; put the file back as it was"
        )
    return _with_consent(f"{kind} {name}: {here}", copy or own[0], copy is not None, trust)


REGISTERED = ("gymnasium",)  # packages of which a run may name environments in gymnasium's registry
PARALLEL = ("pettingzoo", "mpe2")  # packages of which a run may name modules that make an environment by `parallel_env`


def allowed(kind: str, name: str, package: str, function: str | None, trust: Trust) -> None:
    """Raises ValueError unless code of an installed package that a run's config names may be run.

    function: the function or class of the package that the config names; None: the name is in gymnasium's registry.
    Environments of `REGISTERED` and `PARALLEL` may be run. Any other function may do anything with the options that
    the config gives it: `gymnasium.make` imports the module in an id. So the user must type the name or trust the run.
    """
    top = package.partition(".")[0]
    known = top in REGISTERED if function is None else top in PARALLEL and function == "parallel_env"
    if known or trust.given or name in trust.named:
        return
    what = f"{kind} {name} runs {function or 'code'} of the installed package {package}, which the config names"
    if not (trust.ask and trust.ask(f"{what}.")):
        raise ValueError(f"{what}: nothing was run; give --trust (from Python trust=True)")


def _with_consent(what: str, code: Files, came: bool, trust: Trust) -> Files:
    """Returns `code` and says so if the user lets it run. Raises ValueError if not."""
    whose = f"{code.path}, which {'came with the run' if came else 'the config names'}"
    if trust.given or (trust.ask and trust.ask(f"{what}; version {code.version} is {whose}.")):
        trust.say(f"{what}; running version {code.version}, {whose}")
        return code
    raise ValueError(
        f"{what}; version {code.version} is {whose}: code that can do all that you can, so nothing was run; read it, "
        "then give --trust (from Python trust=True)"
    )


def _places(kind: str, named: Named, folder: Path | None) -> Iterator[Files]:
    """Yields the files at the places where a user's own file may be: its name from here, and where the run was made."""
    if named.is_file:
        file = Path(named.target)
        if file.is_file():
            yield sources.of_file(file)
    elif found := find_module(named.target):
        yield found
    entry = sources.described(folder, kind) if folder else None
    if entry and (Path(entry["place"]) / entry["main"]).is_file():
        yield sources.of_module(Path(entry["place"]), entry["main"])


def _may_be_own(path: Path, folder: Path | None) -> bool:
    real = path.resolve()
    if folder and real.is_relative_to(folder.resolve()):
        return False
    library = [Path(p) for p in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")) if p]
    packages = any(part in ("site-packages", "dist-packages") for part in real.parts)
    standard = not packages and any(real.is_relative_to(one.resolve()) for one in library)
    return not standard and not sources.in_a_run(path) and sources.belongs_to_user(real)


def _what_changed(here: Files, copy: Files | None, wanted: str) -> str:
    """Describes how a user's file differs from the run's."""
    if not wanted:
        return "the config says no version"
    if here.version == wanted:
        return f"{here.path} does not define it"
    names = sorted(here.content.keys() | copy.content.keys()) if copy else []
    other = [name for name in names if copy and here.content.get(name) != copy.content.get(name)]
    files = ", ".join(other) or here.path.name
    return f"{files} here differ{'s' * (len(other) < 2)} ({here.version}) from what the run was made with ({wanted})"


def find_module(name: str) -> Files | None:
    """Finds the file of `package.module` as `python -m` does, in the current folder first. Nothing is imported.

    Returns None if there is no file of Python code.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts) or parts[0] in sys.builtin_module_names:
        return None
    for root in _roots(parts[0]):
        for main in ("/".join(parts) + ".py", "/".join(parts) + "/__init__.py"):
            if (root / main).is_file():
                return sources.of_module(root, main, None if root == Path() else parts[0])
    return None


def _roots(top: str) -> list[Path]:
    """Folders in which a package may be: the current one, and the one where Python finds it."""
    try:
        spec = importlib.util.find_spec(top)  # a name without dots, so nothing is imported
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return [Path()]
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return [Path(), *(folder.parent for folder in folders or [Path(spec.origin or "x")])]
