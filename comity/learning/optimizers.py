"""Optimizers, of optax, for parameters stacked on an agent axis."""

import jax
import optax


def per_agent_optimizer(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """`optimizer` for each agent apart: what is a norm over all parameters becomes a norm over one agent's."""

    def update(updates, state, params=None):
        return jax.vmap(optimizer.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimizer.init), update)
