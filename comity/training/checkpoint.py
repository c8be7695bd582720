"""Checkpoints: a tree of arrays as one npz file of plain arrays and a JSON manifest, without pickle.

A file is written under another name, synced and renamed. So a kill at any moment leaves the old file or the new one,
never half a file.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.runs.renamed import saved_as
from comity.runs.writing import whole
from comity.types import PyTree

FORMAT = 1
MANIFEST = "manifest.json"  # beside the arrays in the zip file


class CorruptCheckpoint(ValueError):
    """Raised if a file is not a whole checkpoint, or does not fit this program."""


def save(path: Path, tree: PyTree, about: dict[str, Any]) -> None:
    """Writes `tree` (leaves: arrays, typed keys) and `about` (JSON values) to `path`, whole or not at all.

    Raises OSError (such as a full disk), ValueError (two leaves have the same name).
    """
    arrays, leaves = {}, {}
    for name, leaf in named(tree):
        if name in arrays:
            raise ValueError(f"two arrays of the state are named {name}: rename a key that contains a dot")
        array, kind = _plain(leaf)
        arrays[name] = array
        leaves[name] = {"shape": list(array.shape), "dtype": str(array.dtype), "kind": kind}
    manifest = {"format": FORMAT, "about": about, "leaves": leaves, "sha256": _checksum(arrays)}
    with whole(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def about(path: Path) -> dict[str, Any]:
    """The JSON values `about` that were saved with the arrays. Raises CorruptCheckpoint."""
    return _open(path)[0]["about"]


def arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns (`about`, the arrays by name). Raises CorruptCheckpoint."""
    manifest, found = _whole(path)
    return manifest["about"], found


def load(path: Path, like: PyTree, part: bool = False) -> tuple[PyTree, dict[str, Any]]:
    """Reads the tree at `path` in the structure of `like` (arrays or shapes, such as `jax.eval_shape(init)` gives).

    part: `like` may be a part of the tree that was saved. Returns (tree, about). Raises CorruptCheckpoint, which names
    the file and the first array that does not fit.
    """
    manifest, arrays = _whole(path)
    wanted = named(like)
    names = {name for name, _ in wanted}
    saved = saved_as(names, arrays)
    missing, extra = names - saved.keys(), set() if part else arrays.keys() - set(saved.values())
    if missing or extra:
        name, what = (min(missing), "lacks") if missing else (min(extra), "has an unknown")
        raise CorruptCheckpoint(f"{path} {what} array {name}: it was saved by other settings or another version")
    leaves = []
    for name, leaf in wanted:
        value = _array_of(arrays[saved[name]], manifest["leaves"][saved[name]]["kind"])
        if value.shape != leaf.shape or value.dtype != leaf.dtype:
            raise CorruptCheckpoint(
                f"{path} holds {name} as {value.dtype}{list(value.shape)}, not {leaf.dtype}{list(leaf.shape)}: "
                "it was saved by other settings or another version"
            )
        leaves.append(value)
    return jax.tree.unflatten(jax.tree.structure(like), leaves), manifest["about"]


def newest(
    paths: list[Path],
    like: PyTree,
    part: bool = False,
    skipped: Callable[[CorruptCheckpoint], None] = lambda error: None,
    check: Callable[[Path, dict[str, Any]], None] = lambda path, about: None,
) -> tuple[PyTree, dict[str, Any]] | None:
    """Loads the newest whole checkpoint of `paths` (oldest first); None if there are no paths.

    skipped: is called with the error of each damaged file that is skipped. check: raises CorruptCheckpoint for a
    checkpoint that does not belong to the run. Raises CorruptCheckpoint if no file is whole.
    """
    for path in reversed(paths):
        try:
            tree, about = load(path, like, part)
            check(path, about)
            return tree, about
        except CorruptCheckpoint as error:
            if path == paths[0]:
                raise
            skipped(error)
    return None


def _whole(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Does the same as `_open` and compares the checksum."""
    manifest, arrays = _open(path)
    if manifest["sha256"] != _checksum(arrays):
        raise CorruptCheckpoint(f"{path} is corrupt: its checksum does not match")
    return manifest, arrays


def _open(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        arrays = _arrays(path)
        manifest = json.loads(arrays.pop(MANIFEST).tobytes())
        if manifest["format"] != FORMAT:
            raise CorruptCheckpoint(f"{path} has checkpoint format {manifest['format']}; this comity reads {FORMAT}")
        if not isinstance(manifest["about"], dict):
            raise CorruptCheckpoint(f"{path} has an impossible entry: about {str(manifest['about'])[:60]!r}")
        return manifest, arrays
    except (CorruptCheckpoint, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # damaged bytes make the readers of zip and npy files raise almost anything
        raise CorruptCheckpoint(f"{path} is corrupt ({type(error).__name__}: {error})") from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays by name, and the manifest as bytes.

    The sizes that the file states are compared with the size of the file first. So a few bytes that claim to be
    gigabytes are refused.
    """
    if not path.is_file() and path.exists():
        raise CorruptCheckpoint(f"{path} is not a plain file")
    found = {}
    with zipfile.ZipFile(path) as archive:
        entries, size = archive.infolist(), path.stat().st_size
        if sum(entry.file_size for entry in entries) > size or any(entry.compress_type for entry in entries):
            raise CorruptCheckpoint(
                f"{path} is compressed or states more bytes than it has: comity writes no such file"
            )
        for entry in entries:
            data = archive.read(entry)
            if entry.filename == MANIFEST:
                found[MANIFEST] = np.frombuffer(data, np.uint8)
            else:
                found[entry.filename.removesuffix(".npy")] = _array(data, entry.filename)
    return found


def _array(data: bytes, name: str) -> np.ndarray:
    """Reads the array of an .npy entry."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size != len(data) - file.tell() or any(n < 0 for n in shape):
        raise ValueError(f"{name} states {list(shape)} of {dtype}, which are not its {len(data) - file.tell()} bytes")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C").copy("K")


def named(tree: PyTree) -> list[tuple[str, Any]]:
    """(name, leaf) pairs of a tree, with names such as 0.state.actor.encoder.weight."""
    return [(jax.tree_util.keystr(path, simple=True, separator="."), x) for path, x in jax.tree.leaves_with_path(tree)]


def _plain(leaf: Any) -> tuple[np.ndarray, str]:
    """Returns (an array that npz stores without pickle, the kind of the leaf, by which `_array_of` restores it)."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf)), f"key:{jax.random.key_impl(leaf)}"
    array = np.asarray(leaf)
    if array.dtype == jnp.bfloat16:
        return array.view(np.uint16), "bfloat16"
    return array, "array"


def _array_of(array: np.ndarray, kind: str) -> jax.Array:
    if kind.startswith("key:"):
        return jax.random.wrap_key_data(jax.device_put(array), impl=kind.removeprefix("key:"))
    return jax.device_put(array.view(jnp.bfloat16) if kind == "bfloat16" else array)  # `asarray` compiles a program


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
