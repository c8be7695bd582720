"""Several processes, on one host or on many, that train one run together: seeds are sharded over the devices of all.

Every process holds the results of all seeds and does the host's work, in step with the others; the first one's run
directory is the run, the others write theirs into a temporary folder.
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
    """Meets the other processes where the environment says so; call it before jax is used.

    COMITY_COORDINATOR: HOST:PORT of the first process, or `auto` under Slurm, Open MPI and clouds that jax knows;
    COMITY_PROCESSES: how many there are; COMITY_PROCESS: which one this is, from 0. Raises ValueError.
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
    """Whether this process is the one that speaks and whose files stay."""
    return jax.process_index() == 0


def agreed(flag: bool) -> bool:
    """What the first process says, which all must do alike: clocks and signals differ."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(flag))


def spread(tree: PyTree, over: Sharding) -> PyTree:
    """Arrays that every process holds, cut over the devices of all."""

    def cut(x: Array) -> Array:
        return jax.make_array_from_callback(x.shape, over, lambda index: x[index])

    return jax.device_put(tree, over) if jax.process_count() == 1 else jax.tree.map(partial(_plain, cut), tree)


def gathered(tree: PyTree) -> PyTree:
    """The whole of arrays that are spread over processes, in each of them."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    whole = partial(multihost_utils.process_allgather, tiled=True)
    return jax.tree.map(partial(_plain, whole), tree)


def _plain(f: Callable[[Array], Array], x: Array) -> Array:
    """f(x), of a key's numbers where x holds keys."""
    if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return f(x)
    return jax.random.wrap_key_data(f(jax.random.key_data(x)), impl=jax.random.key_impl(x))


def own_folder(out: Path | str) -> Path | str:
    """Where this process makes its run directory."""
    return out if first() else tempfile.mkdtemp(prefix="comity-")


def own_copy(run: Path) -> Path:
    """The run directory that this process goes on in: a copy, unless it is the first one. All must see the run."""
    if jax.process_count() == 1:
        return run
    from jax.experimental import multihost_utils

    copy = run if first() else Path(shutil.copytree(run, Path(tempfile.mkdtemp(prefix="comity-")) / run.name))
    multihost_utils.sync_global_devices("copied")  # the first one begins to write
    return copy
