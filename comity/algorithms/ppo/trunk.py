"""One network for actor and critic: a trunk that both read, the value as one more output. docs/algorithms/ippo.md.

Everything up to the last layer is played, unrolled and learned once instead of twice.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array

from comity.spec import View

POLICY_GAIN, VALUE_GAIN = 0.01, 1.0  # of the head's orthogonal weights: a policy begins near uniform


def check(config: Any, each: bool, actor_view: View, critic_view: View) -> None:
    """ValueError, one line, where nothing can be shared. each: there is a critic for each agent."""
    if not each or actor_view != critic_view:
        raise ValueError(
            "trunk 'shared' needs a critic for each agent that reads what its actor reads, as IPPO's with critic_reads "
            "'view': a central critic reads more; set trunk to 'apart'"
        )
    if config.rows != "pieces" or config.post_terminal or config.core == "attention":
        raise ValueError("trunk 'shared' needs rows 'pieces', no post_terminal and a core other than 'attention'")


def gains(outputs: int) -> Array:
    """[1 + outputs] of the head's columns: the value's, then the policy's."""
    return jnp.full(1 + outputs, POLICY_GAIN).at[0].set(VALUE_GAIN)


def parted(outputs: Array) -> tuple[Array, Array]:
    """Outputs [..., 1 + O] as (what the policy is made of [..., O], the value [...])."""
    return outputs[..., 1:], outputs[..., 0]
