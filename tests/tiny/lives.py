"""Starts `comity` again and again in fresh processes and has them killed: a program that is controlled by JSON lines.

It imports comity once and forks before jax has made a backend, so that a life costs no import. A line
{"arguments": [...], "cores": [0], "death": ...} runs one command and answers {"signal": 9} or {"exit": 0}. Deaths:
null; {"after": seconds}, a SIGKILL from outside this long after the programs were compiled; {"operation": n, "how": h},
a SIGKILL at the n-th sync, rename or removal of a file: `before` it, `after` it, or `torn` with the end of the file not
yet written.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import comity.cli.train
import comity.report.curves
import comity.report.tables
import comity.training.loop  # noqa: F401
from comity.cli.main import main


def live(arguments: list[str], cores: list[int], death: dict[str, Any] | None, said: str) -> None:
    """The child's life."""
    os.sched_setaffinity(0, cores)
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if death and "operation" in death:
        mortal(death["operation"], death["how"])
    code = 1
    with contextlib.suppress(SystemExit):
        code = main(arguments)
    sys.stdout.flush()
    os._exit(code)


def mortal(last: int, how: str) -> None:
    """This process kills itself at its `last` disk operation."""
    count = 0

    def counted(operation: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == last:
                if how == "torn" and operation.__name__ == "fsync":
                    with contextlib.suppress(OSError):  # a folder is synced too
                        os.ftruncate(arguments[0], max(0, os.fstat(arguments[0]).st_size - 100))
                if how == "after":
                    operation(*arguments, **named)
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **named)

        return wrapped

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))


def kill_later(child: int, after: float, said: Path) -> None:
    """SIGKILL `after` seconds from the moment the child says that its programs are compiled."""
    while "compiled" not in said.read_text() if said.exists() else True:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.005)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)  # the child is not yet waited for, so its number is its own


for line in sys.stdin:
    order = json.loads(line)
    said, death = Path(order["said"]), order["death"]
    said.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        live(order["arguments"], order["cores"], death, str(said))
    if death and "after" in death:
        kill_later(child, death["after"], said)
    status = os.waitpid(child, 0)[1]
    ended = {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else {"exit": os.WEXITSTATUS(status)}
    print(json.dumps(ended), flush=True)
