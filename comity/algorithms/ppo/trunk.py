"""One network for actor and critic: both share the trunk, and the value is one more output. docs/algorithms/ippo.md.

All layers except the last are computed once instead of twice, in play and in learning.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array

from comity.spec import View

POLICY_GAIN, VALUE_GAIN = 0.01, 1.0  # gains of the head's orthogonal weights; the first policy is nearly uniform


def check(config: Any, each: bool, actor_view: View, critic_view: View) -> None:
    """Raises ValueError, one line, if actor and critic cannot share a trunk. each: True if each agent has a critic."""
    if not each or actor_view != critic_view:
        raise ValueError(
            "trunk 'shared' needs a critic for each agent that reads what its actor reads, as IPPO's with critic_reads "
            "'view': a central critic reads more; set trunk to 'apart'"
        )
    if config.rows != "pieces" or config.post_terminal or config.core == "attention":
        raise ValueError("trunk 'shared' needs rows 'pieces', no post_terminal and a core other than 'attention'")


def gains(outputs: int) -> Array:
    """Returns the gains of the head's columns, [1 + outputs]: the value's, then the policy's."""
    return jnp.full(1 + outputs, POLICY_GAIN).at[0].set(VALUE_GAIN)


def parted(outputs: Array) -> tuple[Array, Array]:
    """Splits outputs [..., 1 + O] into (outputs of the policy [..., O], the value [...])."""
    return outputs[..., 1:], outputs[..., 0]
