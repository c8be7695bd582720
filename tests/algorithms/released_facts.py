"""Recorded results of the released learners of "hidden gifts" (tests/golden/README.md), as modules of ours.

Recorded layers are in the layout of PyTorch: weights [out, in]; a GRU has two weights and two biases, gates in the
order reset, update, new, which is ours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from comity.networks import MLP, Activation, DeepRecurrentNet, RecurrentNet
from comity.networks.dense import Linear
from comity.networks.gru import GRU
from comity.types import Observation, PyTree, Transition

GOLDEN = Path(__file__).parents[1] / "golden"
KEY = jax.random.key(0)
Arrays = Mapping[str, np.ndarray]


def facts(file: str) -> dict[str, np.ndarray]:
    """All arrays of tests/golden/FILE."""
    with np.load(GOLDEN / file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def below(arrays: Arrays, *prefixes: str) -> dict[str, np.ndarray]:
    """Arrays whose names begin with "A/B/...", without that beginning."""
    start = "/".join(prefixes) + "/"
    return {name.removeprefix(start): x for name, x in arrays.items() if name.startswith(start)}


def of_variant(arrays: Arrays, variant: str, part: str) -> dict[str, np.ndarray]:
    """VARIANT/PART/...; what a variant has not is that of the name before its last `_`, and so on."""
    shorter = variant.rpartition("_")[0]
    return (of_variant(arrays, shorter, part) if shorter else {}) | below(arrays, variant, part)


def sampled(x: np.ndarray) -> np.ndarray:
    """What is kept of a parameter after updates: of more than 2,000 numbers every eleventh, flattened."""
    return x.reshape(-1)[::11] if x.size > 2000 else x


def rollout_of(
    batch: Arrays, reward: np.ndarray, history: bool = False, padding: int = 0, hidden: int = 64
) -> Transition:
    """The recorded batch as a rollout, with `padding` steps more in which nobody plays; reward [B, L or L + 1, N]."""
    first = lambda name: np.moveaxis(batch[name], 1, 0)  # noqa: E731  # time first
    view = first("obs")
    if history:
        taken = np.eye(6, dtype=np.float32)[first("actions")[..., 0]]  # [L + 1, B, N, 6]
        view = np.concatenate([view, np.concatenate([np.zeros_like(taken[:1]), taken[:-1]])], -1)
    over = first("terminated")[:-1, :, 0] > 0
    valid = ~np.concatenate([np.zeros_like(over[:1]), over[:-1]])
    times = len(over) + padding

    def longer(x: np.ndarray, fill) -> jax.Array:
        """Up to `times` entries; behind the longest game stands what no learner may read."""
        return jnp.asarray(np.concatenate([x, np.full((times, *x.shape[1:]), fill, x.dtype)])[:times])

    def observe(start: int) -> Observation:
        available = longer(first("avail_actions")[start:] > 0, True)
        return Observation(longer(view[start:], 7.0), jnp.zeros((times, view.shape[1], 1)), available)

    return Transition(
        observation=observe(0),
        memory=jnp.zeros((1, *view.shape[1:3], hidden)),
        action=longer(first("actions")[:-1, ..., 0].astype(np.int32), 0),
        reward=longer(np.moveaxis(reward, 1, 0)[: len(over)] * valid[..., None], 0.0),
        next_observation=observe(1),
        next_memory=jnp.zeros((1, *view.shape[1:3], hidden)),
        terminated=longer(over & valid, False),
        truncated=longer(np.zeros_like(over), False),
        valid=longer(valid, False),
        notes={},
        info={},
    )


def linear(arrays: Arrays, name: str) -> Linear:
    """`NAME.weight` [out, in], `NAME.bias` [out]."""
    weight, bias = arrays[f"{name}.weight"].T, arrays[f"{name}.bias"]
    return _with(Linear(KEY, *weight.shape), lambda net: (net.weight, net.bias), (weight, bias))


def gru(arrays: Arrays, name: str, suffix: str = "") -> GRU:
    """`NAME.weight_ih` [3H, in], `NAME.weight_hh` [3H, H], `NAME.bias_ih`, `NAME.bias_hh` [3H]; suffix: "_l0" or ""."""
    given, held, bias, held_bias = (
        arrays[f"{name}.{kind}{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    parts = lambda net: (net.inputs.weight, net.weight, net.inputs.bias, net.bias)  # noqa: E731
    return _with(GRU(KEY, given.shape[1], held.shape[1]), parts, (given.T, held.T, bias, held_bias))


def recurrent(arrays: Arrays, network: str, activation: Activation = "gelu") -> RecurrentNet:
    """NETWORK with layers fc1, rnn, fc2. The memory may be wider than the encoder."""
    encoder, cell, head = (
        linear(arrays, f"{network}.fc1"),
        gru(arrays, f"{network}.rnn"),
        linear(arrays, f"{network}.fc2"),
    )
    net = RecurrentNet(KEY, 1, 1, 1, activation)
    return eqx.tree_at(lambda net: (net.encoder, net.cell, net.head), net, (encoder, cell, head))


def mlp(arrays: Arrays, network: str, activation: Activation = "gelu") -> MLP:
    """NETWORK with layers fc1, fc2, ..."""
    names = sorted(
        name.removesuffix(".weight") for name in arrays if name.startswith(f"{network}.fc") and "weight" in name
    )
    layers = tuple(linear(arrays, name) for name in names)
    return eqx.tree_at(lambda net: net.layers, MLP(KEY, 1, (1,) * (len(layers) - 1), 1, activation), layers)


def recorded(net: RecurrentNet | MLP, network: str) -> dict[str, np.ndarray]:
    """A net's parameters by their recorded names, in the recorded layout: the inverse of `recurrent` and `mlp`."""

    def dense(layer: Linear, name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": np.asarray(layer.weight).T, f"{name}.bias": np.asarray(layer.bias)}

    if isinstance(net, MLP):
        layers = [dense(layer, f"{network}.fc{number}") for number, layer in enumerate(net.layers, 1)]
        return {name: x for layer in layers for name, x in layer.items()}
    cell: Any = net.cell
    return {
        **dense(net.encoder, f"{network}.fc1"),
        f"{network}.rnn.weight_ih": np.asarray(cell.inputs.weight).T,
        f"{network}.rnn.weight_hh": np.asarray(cell.weight).T,
        f"{network}.rnn.bias_ih": np.asarray(cell.inputs.bias),
        f"{network}.rnn.bias_hh": np.asarray(cell.bias),
        **dense(net.head, f"{network}.fc2"),
    }


def deep(arrays: Arrays, network: str, head: str, activation: Activation) -> DeepRecurrentNet:
    """NETWORK with a 3 x 3 kernel on a 3 x 3 window (a dense layer), two dense layers, GRU, layer norm, HEAD."""
    kernel = arrays[f"{network}.base.cnn.cnn.0.weight"]
    flat = {"k.weight": kernel.reshape(len(kernel), -1), "k.bias": arrays[f"{network}.base.cnn.cnn.0.bias"]}
    dense = tuple(linear(arrays, f"{network}.base.cnn.cnn.{number}") for number in (3, 5))
    cell = gru(arrays, f"{network}.rnn.rnn", "_l0")
    scale, shift = (jnp.asarray(arrays[f"{network}.rnn.norm.{part}"]) for part in ("weight", "bias"))
    parts = lambda net: (net.layers, net.cell, net.norm.scale, net.norm.shift, net.head)  # noqa: E731
    values = (linear(flat, "k"), *dense), cell, scale, shift, linear(arrays, f"{network}.{head}")
    return eqx.tree_at(parts, DeepRecurrentNet(KEY, 1, (1, 1, 1), 1, 1, activation), values)


def recorded_deep(net: DeepRecurrentNet, network: str, head: str) -> dict[str, np.ndarray]:
    """The inverse of `deep`, with kernels flattened to [out, in]."""
    cell, norm = cast(Any, net.cell), net.norm
    assert norm is not None
    dense = {f"{network}.base.cnn.cnn.{number}": layer for number, layer in zip((0, 3, 5), net.layers, strict=True)}
    dense |= {f"{network}.{head}": net.head}
    return {
        **{f"{name}.weight": np.asarray(layer.weight).T for name, layer in dense.items()},
        **{f"{name}.bias": np.asarray(layer.bias) for name, layer in dense.items()},
        f"{network}.rnn.rnn.weight_ih_l0": np.asarray(cell.inputs.weight).T,
        f"{network}.rnn.rnn.weight_hh_l0": np.asarray(cell.weight).T,
        f"{network}.rnn.rnn.bias_ih_l0": np.asarray(cell.inputs.bias),
        f"{network}.rnn.rnn.bias_hh_l0": np.asarray(cell.bias),
        f"{network}.rnn.norm.weight": np.asarray(norm.scale),
        f"{network}.rnn.norm.bias": np.asarray(norm.shift),
    }


def stack(*nets: PyTree) -> PyTree:
    """The networks of all agents: leaves [N, ...]."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)


def _with(module: PyTree, parts, values) -> PyTree:
    old = parts(module)
    assert [x.shape for x in old] == [x.shape for x in values]
    return eqx.tree_at(parts, module, tuple(map(jnp.asarray, values)))
