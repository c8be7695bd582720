"""Puts ten errors into the code on purpose; the named test must notice each: `python tests/mutations.py`.

Every error is made in a copy of the package. A line says whether the tests failed, as they must. The exit code is the
number of errors that no test noticed. `tests/test_architecture.py` checks that the lines to be changed still exist.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mutation(NamedTuple):
    what: str
    file: str  # under comity/
    code: str  # stands there exactly once
    wrong: str
    tests: str  # a file


MUTATIONS = (
    Mutation(
        "what follows the end of an episode counts",
        "learning/returns.py",
        "following = reward + gamma * jnp.where(terminated, 0.0, following)",
        "following = reward + gamma * following",
        "tests/learning/test_learning.py",
    ),
    Mutation(
        "a surrogate takes the better of two",
        "learning/losses.py",
        "jnp.minimum(ratio * advantage,",
        "jnp.maximum(ratio * advantage,",
        "tests/algorithms/test_ppo.py",
    ),
    Mutation(
        "a replay that is full writes past its end",
        "learning/replay.py",
        "position % used, filled)",
        "jnp.minimum(position, used), filled)",
        "tests/learning/test_replay.py",
    ),
    Mutation(
        "of several heads the first alone has a log-probability",
        "learning/actions.py",
        "        return jnp.stack(each).sum(0)\n\n",
        "        return each[0]\n\n",
        "tests/learning/test_actions.py",
    ),
    Mutation(
        "the mixer is not monotonic",
        "networks/mixers.py",
        "first = jnp.abs(self.weights(state))",
        "first = (self.weights(state))",
        "tests/networks/test_networks.py",
    ),
    Mutation(
        "a door is opened without the key",
        "environments/grid/manitokan/rules.py",
        "(action == TOGGLE) & state.holding & same(",
        "(action == TOGGLE) & same(",
        "tests/environments/grid/manitokan/test_manitokan.py",
    ),
    Mutation(
        "all iterations draw the same numbers",
        "training/programs.py",
        "jax.random.split(jax.random.fold_in(key, iteration), 3)",
        "jax.random.split(key, 3)",
        "tests/training/test_loop.py",
    ),
    Mutation(
        "a damaged checkpoint is read",
        "training/checkpoint.py",
        'if manifest["sha256"] != _checksum(arrays):',
        'if manifest["sha256"] != _checksum(arrays) and False:',
        "tests/training/test_checkpoint.py",
    ),
    Mutation(
        "two workers claim one row",
        "sweeps/claims.py",
        "    except FileExistsError:\n        return False\n    except OSError:",
        "    except FileExistsError:\n        return True\n    except OSError:",
        "tests/sweeps/test_claims.py",
    ),
    Mutation(
        "rearrangements as large as what was found do not count",
        "experiments/significance.py",
        "sums >= found - 1e-9 * np.abs(values).sum()",
        "sums > found + 1e-9 * np.abs(values).sum()",
        "tests/experiments/test_significance.py",
    ),
)


def failed(one: Mutation | None, tests: list[str], folder: Path) -> bool:
    """Whether tests fail on a copy of the repository with this error. folder: an empty one."""
    for name in ("comity", "tests", "docs", "studies"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    if one:
        file = folder / "comity" / one.file
        file.write_text(file.read_text(encoding="utf-8").replace(one.code, one.wrong), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *tests]
    path = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=path, capture_output=True, check=False).returncode == 1


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        if failed(None, sorted({one.tests for one in MUTATIONS}), Path(folder)):
            print("tests fail on the code as it is: mend that first")
            return len(MUTATIONS)
    missed = 0
    for one in MUTATIONS:
        with tempfile.TemporaryDirectory() as folder:
            seen = failed(one, [one.tests], Path(folder))
        missed += not seen
        print(f"{'noticed' if seen else 'MISSED '}  {one.what} ({one.file}; {one.tests})", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
