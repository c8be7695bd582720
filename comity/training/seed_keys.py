"""Computes in Python the keys that `jax.random` would give.

A jax function that is called outside of a program compiles a program of its own. For the few keys of a run that takes a
tenth of a second together.
"""

from typing import Any

import jax
import numpy as np

from comity.types import Key

WORD = 2**32
PARITY = 0x1BD11BDA  # constant in the third key word (Salmon et al. 2011, Threefry)
ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)


def key_of(seed: int, *numbers: int) -> Key:
    """The key `jax.random.key(seed)` after `jax.random.fold_in` with each number, one after the other."""
    config: Any = jax.config  # pyright sees none of its settings
    if config.jax_default_prng_impl != "threefry2x32" or config.jax_random_seed_offset:
        key = jax.random.key(seed)
        for number in numbers:
            key = jax.random.fold_in(key, number)
        return key
    words = seed // WORD % WORD if config.jax_enable_x64 else 0, seed % WORD
    for number in numbers:
        words = threefry(words, (0, number % WORD))
    return jax.random.wrap_key_data(jax.device_put(np.array(words, np.uint32)), impl="threefry2x32")


def threefry(key: tuple[int, int], count: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): encrypts two words of 32 bits with a key of two words."""
    keys = *key, key[0] ^ key[1] ^ PARITY
    x, y = (count[0] + keys[0]) % WORD, (count[1] + keys[1]) % WORD
    for group in range(5):
        for turn in ROTATIONS[group % 2]:
            x = (x + y) % WORD
            y = (y << turn | y >> 32 - turn) % WORD ^ x
        x = (x + keys[(group + 1) % 3]) % WORD
        y = (y + keys[(group + 2) % 3] + group + 1) % WORD
    return x, y
