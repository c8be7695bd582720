"""Describes findings in words: shapes, types, and the line of a user's file that an error comes from."""

import traceback
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp


def name(env: Any) -> str:
    return type(env).__name__


def kind(x: Any) -> str:
    if isinstance(x, tuple) and not hasattr(x, "_fields"):
        return f"a tuple of {len(x)}"
    return "None" if x is None else f"{'an' if type(x).__name__[0] in 'AEIOUaeiou' else 'a'} {type(x).__name__}"


def shape(x: Any) -> str:
    """Describes an array as float32[2, 4], a tuple as a tuple of such, and other objects by their type."""
    if isinstance(x, tuple):
        return f"({', '.join(map(shape, x))})"
    return f"{x.dtype}{list(x.shape)}" if is_array(x) else kind(x)


def path(path: Any) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return f".{name}" if name else ""


def reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = lines[0] if len(lines[0]) <= 200 else lines[0][:197] + "..."
    return (text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}") + place(error)


def place(error: Exception) -> str:
    """' (my_game.py, line 31)': the last line outside jax and its packages that led to the error."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not {"jax", "jaxlib", "equinox", "optax"} & set(Path(frame.filename).parts)
        and Path(frame.filename).parent != Path(__file__).parent
    ]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def is_number(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.number) or x.dtype == bool
