"""Loops over time, unrolled where launching them costs more than running them."""

import os
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from comity.types import PyTree

UNROLLED = int(os.environ.get("COMITY_UNROLL", "5"))  # steps of one round on an accelerator; docs/performance.md


def over_time(step: Callable[[Any, Any], tuple[Any, Any]], start: PyTree, xs: PyTree, reverse: bool = False):
    """`lax.scan(step, start, xs)`. On an accelerator several steps are one round of the loop: a step is a few dozen
    kernels of microseconds, and each round is launched, and its results written, at a price of its own."""
    unroll = 1 if jax.default_backend() == "cpu" else UNROLLED
    return lax.scan(step, start, xs, reverse=reverse, unroll=unroll)
