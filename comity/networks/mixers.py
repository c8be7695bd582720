"""Networks that put the agents' values together, with weights that depend on the state."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.dense import ACTIVATIONS, MLP, Activation
from comity.types import Key


class MonotoneMixer(eqx.Module):
    """Q_tot = f(q) with dQ_tot/dq_i >= 0, weights from hypernetworks of the state (Rashid et al. 2018, eq. 5).

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
    ):
        """width: E; hyper: hidden layers of the networks for W_1 and w_2; out_bias: of the one for b_2."""
        keys = jax.random.split(key, 4)
        self.weights = MLP(keys[0], state, hyper, agents * width)
        self.bias = MLP(keys[1], state, (), width)
        self.out_weights = MLP(keys[2], state, hyper, width)
        self.out_bias = MLP(keys[3], state, out_bias, 1)
        self.activation = activation

    def __call__(self, q: Array, state: Array) -> Array:
        """q [..., N], state [..., S] -> Q_tot [..., 1]."""
        first = jnp.abs(self.weights(state)).reshape(*q.shape, -1)  # [..., N, E]
        hidden = ACTIVATIONS[self.activation]((q[..., None] * first).sum(-2) + self.bias(state))  # [..., E]
        return (hidden * jnp.abs(self.out_weights(state))).sum(-1, keepdims=True) + self.out_bias(state)
