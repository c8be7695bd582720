"""Zero-determinant extortion: strategies that fix the ratio of their own surplus to the other player's.

Press and Dyson 2012 (PNAS 109), for players who remember one outcome of a symmetric game with two actions. The four
entries of a vector belong to the outcomes CC, CD, DC, DD, own action first.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

COOPERATES = jnp.array([1.0, 1.0, 0.0, 0.0])  # cooperation probabilities of a player who repeats its last action


def directions(points: Float[Array, " 4"]) -> tuple[Float[Array, " 4"], Float[Array, " 4"]]:
    """Returns (own points above those of mutual defection, minus the other's points above them).

    The policy is COOPERATES + phi (first + chi second).
    """
    theirs = points[jnp.array([0, 2, 1, 3])]
    return points - points[3], -(theirs - points[3])


def extortion(points: Float[Array, " 4"], chi: float, phi: float) -> Float[Array, " 4"]:
    """Cooperation probabilities after each outcome. The own surplus over DD is chi times the other's, against anyone.

    points: own points at each outcome. chi 1 with the largest phi is tit-for-tat.
    """
    mine, theirs = directions(points)
    return COOPERATES + phi * (mine + chi * theirs)


def extortion_fit(
    points: Float[Array, " 4"], policy: Float[Array, "*axes 4"]
) -> tuple[Float[Array, "*axes"], Float[Array, "*axes"]]:
    """Returns (chi, squared residual) of the extortion nearest to a policy, by least squares over phi and chi."""
    mine, theirs = directions(points)
    away = policy - COOPERATES
    a, b, c = mine @ mine, mine @ theirs, theirs @ theirs
    x, y = away @ mine, away @ theirs
    determinant = a * c - b * b
    phi, both = (c * x - b * y) / determinant, (a * y - b * x) / determinant  # phi, phi chi
    rest = away - phi[..., None] * mine - both[..., None] * theirs
    return both / jnp.where(jnp.abs(phi) > 1e-9, phi, 1e-9), jnp.square(rest).sum(-1)
