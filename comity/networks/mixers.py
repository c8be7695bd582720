"""Networks that combine the agents' values or actions into one value, mostly with weights that depend on the state."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.dense import ACTIVATIONS, MLP, Activation
from comity.types import Key


class MonotoneMixer(eqx.Module):
    """Q_tot = f(q) with dQ_tot/dq_i >= 0 and weights from hypernetworks of the state (Rashid et al. 2018, eq. 5).

    hidden = elu(q^T |W_1(s)| + b_1(s)), Q_tot = hidden^T |w_2(s)| + b_2(s).
    """

    weights: MLP  # s -> W_1, [N, E] flattened
    bias: MLP  # s -> b_1, [E], linear
    out_weights: MLP  # s -> w_2, [E]
    out_bias: MLP  # s -> b_2, [1]
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        agents: int,
        state: int,
        width: int = 32,
        hyper: tuple[int, ...] = (64,),
        out_bias: tuple[int, ...] = (32,),
        activation: Activation = "elu",
        bias_activation: Activation = "relu",
    ):
        """width: E; hyper: hidden layers of the networks for W_1 and w_2; out_bias: those of the one for b_2."""
        keys = jax.random.split(key, 4)
        self.weights = MLP(keys[0], state, hyper, agents * width)
        self.bias = MLP(keys[1], state, (), width)
        self.out_weights = MLP(keys[2], state, hyper, width)
        self.out_bias = MLP(keys[3], state, out_bias, 1, bias_activation)
        self.activation = activation

    def __call__(self, q: Array, state: Array) -> Array:
        """q [..., N], state [..., S] -> Q_tot [..., 1]."""
        first = jnp.abs(self.weights(state)).reshape(*q.shape, -1)  # [..., N, E]
        hidden = ACTIVATIONS[self.activation]((q[..., None] * first).sum(-2) + self.bias(state))  # [..., E]
        return (hidden * jnp.abs(self.out_weights(state))).sum(-1, keepdims=True) + self.out_bias(state)


class MixingCritic(eqx.Module):
    """Q(s, u) = w_2(s)^T relu(W_1(s)^T u + b_1(s)) + b_2(s): the value of all agents' actions u together, with weights
    from hypernetworks of the state (Zhou et al. 2020, LICA, section 4.1). The weights may have any sign.

    dQ/du = W_1(s) (w_2(s) where the hidden units are above 0): the value of an action depends on the state.
    """

    weights: MLP  # s -> W_1, [K, E] flattened
    bias: MLP  # s -> b_1, [E], linear
    out_weights: MLP  # s -> w_2, [E]
    out_bias: MLP  # s -> b_2, [1]

    def __init__(self, key: Key, state: int, actions: int, width: int = 64, layers: int = 2):
        """actions: K, size of all agents' actions together; width: E; layers: 1 or 2, number of layers of the
        hypernetworks for W_1 and w_2.

        The hidden layer of the hypernetwork for W_1 is as wide as its output.
        """
        keys = jax.random.split(key, 4)
        self.weights = MLP(keys[0], state, (actions * width,) * (layers - 1), actions * width)
        self.bias = MLP(keys[1], state, (), width)
        self.out_weights = MLP(keys[2], state, (width,) * (layers - 1), width)
        self.out_bias = MLP(keys[3], state, (width,), 1)

    def __call__(self, state: Array, actions: Array) -> Array:
        """state [..., S], actions [..., K] -> Q [...]."""
        first = self.weights(state).reshape(*actions.shape, -1)  # [..., K, E]
        hidden = jax.nn.relu((actions[..., None] * first).sum(-2) + self.bias(state))  # [..., E]
        return (hidden * self.out_weights(state)).sum(-1) + self.out_bias(state)[..., 0]


class FlatCritic(eqx.Module):
    """Q(s, u) of a plain network on state and actions, concatenated: two hidden layers, relu."""

    net: MLP

    def __init__(self, key: Key, state: int, actions: int, width: int = 64):
        self.net = MLP(key, state + actions, (width, width), 1)

    def __call__(self, state: Array, actions: Array) -> Array:
        """state [..., S], actions [..., K] -> Q [...]."""
        dtype = self.net.layers[0].weight.dtype
        return self.net(jnp.concatenate([state.astype(dtype), actions.astype(dtype)], -1))[..., 0]


def matched_width(inputs: int, parameters: int) -> int:
    """The width at which two hidden layers on `inputs` numbers, with one output, have about `parameters` parameters."""
    half = (inputs + 3) / 2  # (I + 1) w + (w + 1) w + w + 1 = P
    return max(1, round(math.sqrt(half**2 + parameters - 1) - half))
