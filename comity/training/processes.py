"""Several processes, on one or many hosts, that train one run together: seeds are sharded over the devices of all.

Every process holds the results of all seeds and does the host's work, in step with the others. The run directory of the
first process is the run; the others write theirs to a temporary folder.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Sharding

from comity.types import PyTree

COORDINATOR, PROCESSES, PROCESS = "COMITY_COORDINATOR", "COMITY_PROCESSES", "COMITY_PROCESS"


def meet() -> None:
    """Connects to the other processes if the environment variables ask for it. Call it before jax is used.

    COMITY_COORDINATOR: HOST:PORT of the first process, or `auto` under Slurm, Open MPI and clouds that jax knows;
    COMITY_PROCESSES: number of processes; COMITY_PROCESS: number of this process, from 0. Raises ValueError.
    """
    coordinator = os.environ.get(COORDINATOR)
    if not coordinator:
        return
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    count, index = os.environ.get(PROCESSES, ""), os.environ.get(PROCESS, "")
    if not (count.isdigit() and index.isdigit() and int(index) < int(count)):
        raise ValueError(
            f"{PROCESSES} {count!r} must be how many processes there are, {PROCESS} {index!r} which one this is, from 0"
        )
    jax.distributed.initialize(coordinator, int(count), int(index))


def first() -> bool:
    """True in the process that prints and whose files stay."""
    return jax.process_index() == 0


def agreed(flag: bool) -> bool:
    """The flag of the first process. All must act alike, but their clocks and signals differ."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(flag))


def spread(tree: PyTree, over: Sharding) -> PyTree:
    """Shards arrays that every process holds over the devices of all processes."""

    def cut(x: Array) -> Array:
        return jax.make_array_from_callback(x.shape, over, lambda index: x[index])

    return jax.device_put(tree, over) if jax.process_count() == 1 else jax.tree.map(partial(_plain, cut), tree)


def gathered(tree: PyTree) -> PyTree:
    """Gathers arrays that are sharded over processes, so that each process holds all of them."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    whole = partial(multihost_utils.process_allgather, tiled=True)
    return jax.tree.map(partial(_plain, whole), tree)


def _plain(f: Callable[[Array], Array], x: Array) -> Array:
    """Applies f to x, or to the numbers of its keys if x holds keys."""
    if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return f(x)
    return jax.random.wrap_key_data(f(jax.random.key_data(x)), impl=jax.random.key_impl(x))


def own_folder(out: Path | str) -> Path | str:
    """The folder in which this process makes its run directory."""
    return out if first() else tempfile.mkdtemp(prefix="comity-")


def own_copy(run: Path) -> Path:
    """The run directory in which this process continues: a copy, unless it is the first one. All must have access to
    the run."""
    if jax.process_count() == 1:
        return run
    from jax.experimental import multihost_utils

    copy = run if first() else Path(shutil.copytree(run, Path(tempfile.mkdtemp(prefix="comity-")) / run.name))
    multihost_utils.sync_global_devices("copied")  # from here on the first process writes
    return copy
