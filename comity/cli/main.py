"""The command line: finds the command, sets the environment for jax before jax is imported, and turns errors into one
line. Nothing heavy is imported here, so that help and error messages appear at once.
"""

import gc
import importlib
import itertools
import os
import signal
import sys

from comity.names import parsed, unknown
from comity.runs.private import own_cache
from comity.runs.reading import printable, whole
from comity.settings import did_you_mean

COMMANDS = {  # name: (module, usage, one line)
    "train": ("train", "TASK ALGORITHM [FLAGS]", "train all seeds of an algorithm on a task"),
    "resume": ("train", "RUN [--iterations N|+N] [--minutes M]", "continue a run from its last checkpoint"),
    "evaluate": ("evaluate", "RUN [--episodes 320]", "play new episodes and print a table over seeds"),
    "watch": ("watch", "RUN ... [--seed 0] [--gif FILE] [--html FILE]", "show an episode: a GIF, a page to scrub"),
    "play": ("play", "RUN [RUN ...] [scripted:random]", "cross-play: combine teams and partners"),
    "compare": ("compare", "RUN RUN ...", "make a table and learning curves of several runs"),
    "sweep": ("sweep", "FILE | TASKS ALGORITHMS [--vary NAME=V,V]", "train many runs: here, by Slurm or by Ray"),
    "report": ("report", "RUN ... [--out FILE]", "write one HTML file: curves, tables, settings, replay"),
    "grid": (
        "grid",
        "TASKS ALGORITHMS [--cpu-seconds 60]",
        "train every algorithm on every task, at one budget",
    ),
    "reproduce": (
        "reproduce",
        "PAPER[/FIGURE] ... [--scale laptop]",
        "train and draw a paper's figures, test their claims",
    ),
    "verify": (
        "verify",
        "[TASK] [--seeds 3]",
        "check this installation: train a shipped team again",
    ),
    "bench": ("bench", "[ALGORITHM ...] [--out FILE]", "measure what algorithms cost on this machine"),
    "new": ("new", "task|algorithm|bonus|wrapper NAME", "write a file of your own to start from, and its test"),
    "list": ("listing", "[tasks|wrappers|algorithms|bonuses|figures]", "list tasks, algorithms, figures"),
    "demo": ("demo", "[--minutes 4]", "train a team on Manitokan and show it, in minutes"),
}


LONGEST_WORD = 1000  # characters of a word that an error message repeats; a path is shorter
MOST_THREADS = 4096  # of XLA's pool, as a manifest gives it; anybody may have written the manifest


class Usage(ValueError):
    """Raised if the command line itself is wrong."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    It is 0, 1 for an error, 2 for wrong usage, or 128 + N for signal N (130 for Ctrl-C, 143 for SIGTERM).
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # what a console cannot show becomes a question mark
        if getattr(stream, "errors", None) == "strict" and "utf" not in (stream.encoding or "utf").lower():
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        return run(arguments)
    except BrokenPipeError:  # `comity list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as error:
        complain("stopped at once; what was saved before is whole")
        number = error.args[0] if error.args else signal.SIGINT
        os._exit(128 + number)  # a thread that compiles or plays cannot be asked to stop, and Python would wait for it
    except Exception as error:
        if os.environ.get("COMITY_TRACEBACK"):
            raise
        if type(error).__name__ == "Interrupted":
            complain(str(error))
            return getattr(error, "status", 130)
        if "Unable to initialize backend" in str(error):
            asked = f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}"
            complain(f"error: {asked} asks for a device that jax does not find here: unset it, or install jax for it")
            return 1
        expected = isinstance(error, (ValueError, OSError)) or type(error).__name__ in ("NotFinite", "InUse")
        if not expected:
            from comity.cli.unexpected import message

            complain(f"error: {message(error, arguments)}")
            return 1
        complain(f"error: {one_line(error)}")
        return 2 if isinstance(error, Usage) else 1


def complain(text: str) -> None:
    """Prints one line on stderr, if stderr can still be written."""
    try:
        print(f"comity: {text}", file=sys.stderr, flush=True)
    except OSError:  # the terminal is closed; without this, the text in the buffer would fail again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def run(arguments: list[str]) -> int:
    if arguments[:1] == ["help"] and arguments[1:]:  # `comity help train manitokan pg`
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"comity {version('comity')}")
        return 0
    command, rest, names = arguments[0], spelled(arguments[1:]), []
    if command not in COMMANDS:
        raise Usage(f"unknown command {command!r}{did_you_mean(command, COMMANDS)}; known: {', '.join(COMMANDS)}")
    module, usage, line = COMMANDS[command]
    if command == "train":
        names = list(itertools.takewhile(lambda word: not word.startswith("-"), rest))
        for kind, name in zip(("task", "algorithm"), names, strict=False):
            if problem := unknown(kind, name):
                raise Usage(problem)
    asks_help = any(word in ("-h", "--help") for word in rest)
    if asks_help and (command != "train" or len(names) < 2):  # with both names, train lists the settings of both
        text = importlib.import_module(f"comity.cli.{module}").HELP
        print(f"comity {command} {usage}\n\n  {line}\n\n{text[command] if isinstance(text, dict) else text}")
        return 0
    surroundings(command, rest)
    return getattr(importlib.import_module(f"comity.cli.{module}"), command.replace("list", "listing"))(rest) or 0


def overview() -> str:
    width = max(len(f"{name} {usage}") for name, (_, usage, _) in COMMANDS.items())
    rows = "\n".join(f"  comity {name + ' ' + usage:<{width}}  {line}" for name, (_, usage, line) in COMMANDS.items())
    return (
        "comity: when do learning agents cooperate, and which learning rule gets them there?\n\n"
        f"{rows}\n\n"
        "RUN is a run directory, a glob, or latest. `comity help COMMAND` explains a command;\n"
        "`comity help train TASK ALGORITHM` lists every setting of both."
    )


# Flags whose values are words like max_cycles=25.
LISTS = ("--options", "--task.options", "--vary", "--search", "--slurm")


def spelled(arguments: list[str]) -> list[str]:
    """Turns `key=value` into `--key value`; leaves `--key=value` and the values of the flags in `LISTS` as they are."""
    result, listed = [], False
    for word in arguments:
        listed = word in LISTS or (listed and not word.startswith("-"))
        if listed:
            result.append(word)
            continue
        key, equals, value = word.partition("=")
        plain = equals and key and not key.startswith("-") and all(c.isalnum() or c in "._-" for c in key)
        plain = plain and not (parsed(word).is_file and os.path.isfile(parsed(word).target))  # a=b.py is a file's name
        result += [f"--{key}", value] if plain else [word]
    return result


def surroundings(command: str, arguments: list[str]) -> None:
    """Sets how often garbage is collected, and jax's environment variables, unless the user has set them."""
    gc.set_threshold(50_000, 20, 50)  # Python's own values take a tenth of the time in which jax traces programs
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides XLA's notes to its developers
    for variable, name in (("JAX_COMPILATION_CACHE_DIR", "jax"), ("COMITY_PROGRAMS", "programs")):
        if variable not in os.environ and (folder := own_cache(name)):
            os.environ[variable] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
    if command == "resume":
        from comity.cli.runs import RESUME, flags, manifest_of

        words, _ = flags(arguments, *RESUME)
        bits = words and manifest_of(words[0]).get("bits")
        pool = bits.get("pool") if isinstance(bits, dict) else None
        if whole(pool, 1, MOST_THREADS):  # bits of floats depend on how XLA's pool divides work
            os.environ["NPROC"] = str(pool)


def one_line(error: Exception) -> str:
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
    words = (word if len(word) <= LONGEST_WORD else f"{word[:100]}..." for word in text.split())
    return printable(" ".join(words)) or type(error).__name__
