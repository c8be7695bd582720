"""Traces and calls functions on trial, and compares their results."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.checking import words
from comity.types import PyTree

UNKNOWN_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerArrayConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
NO_MEMORY = "what changes belongs in the state, and randomness comes from the key"
BROKEN = "cannot be traced by jax"


def trace(name: str, f: Callable, *arguments: Any) -> tuple[Any, list[str]]:
    """Returns (shapes of the results of `f`, problems)."""
    try:
        return jax.eval_shape(lambda *xs: f(*xs), *arguments), []
    except UNKNOWN_VALUE as error:
        return None, [
            f"{name} {BROKEN}: it asks for the value of an array{words.place(error)}; use jnp and lax, jnp.where for if"
        ]
    except jax.errors.UnexpectedTracerError as error:
        return None, [f"{name} keeps arrays of an earlier call{words.place(error)}: {NO_MEMORY}"]
    except Exception as error:
        return None, [f"{name} {BROKEN}: {words.reason(error)}"]


def error_of(f: Callable, *arguments: Any) -> Exception | None:
    """Returns the error with which tracing `f` fails; None if it does not fail."""
    try:
        jax.eval_shape(lambda *xs: f(*xs), *arguments)  # a new function each time: jax remembers old ones
    except Exception as error:
        return error
    return None


def hidden_state_problems(name: str, jaxpr: Callable[[], Any]) -> list[str]:
    """Traces twice: the programs differ if Python keeps a counter or draws a random number."""
    try:
        first, second = jaxpr(), jaxpr()
        same = str(first.jaxpr) == str(second.jaxpr) and equal(tuple(first.consts), tuple(second.consts))
    except (jax.errors.UnexpectedTracerError, jax.errors.TracerArrayConversionError):
        return [f"{name} keeps arrays of an earlier call: {NO_MEMORY}"]
    return [] if same else [f"{name} does something else when it is called again: {NO_MEMORY}"]


def run(f: Callable, *arguments: Any) -> Any:
    """Returns the results as numpy arrays, or the error in words."""
    try:
        return jax.tree.map(_plain, f(*arguments))
    except Exception as error:
        return words.reason(error)


def _plain(x: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)


def equal(first: PyTree, second: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f") for x, y in pairs)


def close(first: PyTree, second: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.allclose(x, y, atol=1e-4) for x, y in pairs)


def change_problems(what: str, before: PyTree, after: PyTree, first: str, second: str) -> list[str]:
    """Lists changes of structure, shapes or dtypes: a tree that a scan carries must keep them."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        names = [{words.path(path) for path, _ in jax.tree.leaves_with_path(tree)} for tree in (before, after)]
        gone, new = sorted(names[0] - names[1]), sorted(names[1] - names[0])
        how = f"{what}{gone[0]} is gone" if gone else f"{what}{new[0]} is new" if new else f"it is {words.kind(after)}"
        return [f"the structure of {what} differs between {first} and {second}: {how}"]
    pairs = zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True)
    return [
        f"{what}{words.path(path)} is {words.shape(x)} from {first} and {words.shape(y)} from {second}: it must stay "
        "the same"
        for (path, x), y in pairs
        if x.shape != y.shape or x.dtype != y.dtype
    ]
