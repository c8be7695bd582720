"""Loops over time. On an accelerator they are unrolled, because launching a round costs more than running it."""

import os
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from comity.types import PyTree

UNROLLED = int(os.environ.get("COMITY_UNROLL", "5"))  # steps of one round on an accelerator; docs/performance.md


def over_time(step: Callable[[Any, Any], tuple[Any, Any]], start: PyTree, xs: PyTree, reverse: bool = False):
    """Calls `lax.scan(step, start, xs)`, on an accelerator with several steps in each round of the loop.

    A step is a few dozen kernels of microseconds, and each round costs extra time, for its launch and its results.
    """
    unroll = 1 if jax.default_backend() == "cpu" else UNROLLED
    return lax.scan(step, start, xs, reverse=reverse, unroll=unroll)
