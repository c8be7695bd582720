"""Checkpoints: complete or absent, readable by anyone, refused in one line if they do not fit."""

import errno
import io
import os
import random
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.runs import writing
from comity.training import checkpoint
from comity.training.checkpoint import CorruptCheckpoint


class State(NamedTuple):
    params: dict[str, Any]
    key: Any
    count: Any
    nothing: Any = ()


def state(seed: int = 0) -> State:
    """One leaf of every kind."""
    key = jax.random.key(seed)
    params = {
        "weight": jax.random.normal(key, (3, 4)),
        "half": jax.random.normal(key, (5,), jnp.bfloat16),
        "half16": jnp.float16(1.5),
        "one": jnp.bfloat16(2.5),
        "none": jnp.zeros((0, 2)),
        "numpy": np.arange(3, dtype=np.int8),
        "mask": jnp.array([True, False]),
        "unusual": jnp.array([jnp.nan, jnp.inf, -0.0]),
    }
    keys = {"one": jax.random.key(seed + 1), "many": jax.random.split(jax.random.key(seed, impl="rbg"), 3)}
    return State(params, keys, jnp.int32(7))


def shapes(tree: Any) -> Any:
    return jax.eval_shape(lambda: tree)


def plain(leaf: Any) -> tuple:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(jax.random.key_impl(leaf)), np.asarray(jax.random.key_data(leaf)).tobytes()
    return str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()


def assert_same(one: Any, two: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(two)
    assert [plain(x) for x in jax.tree.leaves(one)] == [plain(x) for x in jax.tree.leaves(two)]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "00000010.npz"
    checkpoint.save(path, state(), {"iteration": 10, "failed": {"1": "params.weight"}})
    return path


def test_every_kind_of_leaf_comes_back(saved):
    tree, about = checkpoint.load(saved, shapes(state()))
    assert_same(tree, state())
    assert about == checkpoint.about(saved) == {"iteration": 10, "failed": {"1": "params.weight"}}


def test_no_pickle_and_plain_names(saved):
    with np.load(saved, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files if name != checkpoint.MANIFEST}
    assert {"params.weight", "params.half", "key.many", "count"} <= arrays.keys()
    assert all(x.dtype.kind in "fiub" for x in arrays.values())
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        checkpoint.save(saved, {"thing": np.array([object()])}, {})
    assert_same(checkpoint.load(saved, shapes(state()))[0], state())  # the refused one left it alone


@pytest.mark.parametrize("name", ["file", "manifest", "allow_pickle", "arr_0", "a/b", "äß ü", "x.npy"])
def test_any_name_of_a_leaf(tmp_path, name):
    tree = {name: jnp.arange(3.0), "other": jnp.ones(2)}
    checkpoint.save(tmp_path / "x.npz", tree, {})
    assert_same(checkpoint.load(tmp_path / "x.npz", shapes(tree))[0], tree)


def test_a_single_array_is_a_tree(tmp_path):
    checkpoint.save(tmp_path / "x.npz", jnp.arange(3), {})
    assert_same(checkpoint.load(tmp_path / "x.npz", shapes(jnp.arange(3)))[0], jnp.arange(3))
    checkpoint.save(tmp_path / "x.npz", (), {"iteration": 1})  # random has no state
    assert checkpoint.load(tmp_path / "x.npz", ()) == ((), {"iteration": 1})


def test_names_that_collide_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"two arrays of the state are named a\.b: rename"):
        checkpoint.save(tmp_path / "x.npz", {"a.b": jnp.ones(1), "a": {"b": jnp.ones(1)}}, {})


def change(tree: State, **params: Any) -> State:
    return tree._replace(params={k: v for k, v in {**tree.params, **params}.items() if v is not None})


@pytest.mark.parametrize(
    ("like", "says"),
    [
        (change(state(), weight=jnp.zeros((3, 5))), r"params\.weight as float32\[3, 4\], not float32\[3, 5\]"),
        (change(state(), weight=jnp.zeros((3, 4), jnp.int32)), r"params\.weight as float32\[3, 4\], not int32\[3, 4\]"),
        (change(state(), half=jnp.zeros(5, jnp.float16)), r"params\.half as bfloat16\[5\], not float16\[5\]"),
        (change(state(), new=jnp.zeros(1)), r"lacks array params\.new"),
        (change(state(), weight=None), r"has an unknown array params\.weight"),
        (state()._replace(count=jax.random.key(0)), r"count as int32\[\], not key<fry>\[\]"),
    ],
)
def test_what_does_not_fit_is_named(saved, like, says):
    with pytest.raises(CorruptCheckpoint, match=says) as error:
        checkpoint.load(saved, shapes(like))
    assert str(saved) in str(error.value)
    assert "\n" not in str(error.value)
    assert "other settings or another version" in str(error.value)


def test_a_part_can_be_read(saved):
    tree, _ = checkpoint.load(saved, {"count": shapes(state().count)}, part=True)
    assert tree["count"] == 7


def damaged(data: bytes):
    draw = random.Random(0)
    yield "empty", b""
    yield "text", b"not a checkpoint\n" * 50
    yield "zeros", bytes(len(data))
    yield "an array alone", npy(np.arange(5))
    yield "another zip", npz(x=np.arange(5))
    yield "a manifest that is none", npz(**{"manifest.json": np.arange(5)})
    for cut in sorted(draw.sample(range(1, len(data)), 40)):
        yield f"cut at {cut}", data[:cut]
    for place in draw.sample(range(len(data)), 300):
        yield f"bit of byte {place}", data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]


def npy(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def test_damage_is_found(saved):
    """Cut anywhere, or with one bit turned: refused in one line, or (in zip's own dates and flags) of no effect."""
    original, like = saved.read_bytes(), shapes(state())
    refused = passed = 0
    for what, data in damaged(original):
        saved.write_bytes(data)
        try:
            tree, about = checkpoint.load(saved, like)
        except CorruptCheckpoint as error:
            refused += str(saved) in str(error) and "\n" not in str(error)
        else:
            assert what.startswith("bit"), what
            assert_same(tree, state())
            assert about["iteration"] == 10, what
            passed += 1
    assert refused > 250
    assert refused + passed == 346


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "no.npz", ())


class Killed(BaseException):
    pass


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("write", ["save", "write_text"])
def test_a_kill_while_writing_leaves_the_old_file(saved, monkeypatch, where, write):
    before = saved.read_bytes()

    def kill(*arguments):
        raise Killed

    monkeypatch.setattr(os, where, kill)
    with pytest.raises(Killed):
        checkpoint.save(saved, state(1), {}) if write == "save" else writing.write_text(saved, "new")
    assert saved.read_bytes() == before


@pytest.mark.parametrize("write", ["save", "write_text"])
def test_a_full_disk_is_one_line_and_loses_nothing(saved, monkeypatch, write):
    before = saved.read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*00000010\.npz \(No space left on device\)$"):
        checkpoint.save(saved, state(1), {}) if write == "save" else writing.write_text(saved, "new")
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_full_disk_in_earnest(saved, monkeypatch):
    """/dev/full: every write of the file itself fails."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    real = open
    monkeypatch.setattr(
        "builtins.open", lambda file, mode="r", **k: real("/dev/full" if mode == "wb" else file, mode, **k)
    )
    with pytest.raises(OSError, match=r"cannot write .* \(No space left on device\)"):
        checkpoint.save(saved, state(1), {})
    assert_same(checkpoint.load(saved, shapes(state()))[0], state())


def test_a_whole_file_of_other_numbers_is_refused(saved):
    """Written anew by numpy, so that nothing but the checksum tells."""
    with np.load(saved) as file:
        arrays = {name: file[name] for name in file.files}
    (name,) = [name for name in arrays if name.endswith("weight")]
    arrays[name] = arrays[name] + 1
    np.savez(saved, **arrays)
    with pytest.raises(CorruptCheckpoint, match="its checksum does not match"):
        checkpoint.load(saved, shapes(state()))
