"""Gifts in closed form: values and derivatives of the specification's tables (3.6), fixed points, and flows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.experiments.hidden_gifts import gift_flows as games

logit = jax.scipy.special.logit


@pytest.mark.parametrize(
    ("game", "p", "q", "value", "of_p", "of_q", "with_mixed", "with_own"),
    [
        ("g1", 0.3, 0.6, 0.18, 0.126, 0.072, 0.252, 0.198),
        ("g1", 0.7, 0.6, 0.42, 0.126, 0.168, 0.252, -0.042),
        ("g3", 0.3, 0.6, 0.378, 0.2268, 0.108, 0.43848, 0.2898),
        ("g3", 0.7, 0.6, 0.714, 0.126, 0.1848, 0.2038909, -0.45948),
    ],
)
def test_rules_move_by_the_numbers_of_the_specification(game, p, q, value, of_p, of_q, with_mixed, with_own):
    played, place = games.GAMES[game], (logit(jnp.float32(p)), logit(jnp.float32(q)))
    np.testing.assert_allclose(played.values(*place), (value, value), rtol=1e-5)
    moved = {name: rule(played, *place) for name, (_, _, rule) in games.RULES.items()}
    np.testing.assert_allclose(moved["pg"], (of_p, of_q), rtol=1e-5)
    np.testing.assert_allclose(moved["mixed"], (with_mixed, of_q), rtol=1e-4)
    np.testing.assert_allclose(moved["own"], (with_own, of_q), rtol=1e-4)
    np.testing.assert_allclose(moved["anti"], (2 * of_p - with_mixed, of_q), atol=1e-5)


def test_who_looks_ahead_without_a_rate_climbs_the_plain_gradient(monkeypatch):
    monkeypatch.setattr(games, "AHEAD_RATE", 0.0)
    place = logit(jnp.float32(0.3)), logit(jnp.float32(0.6))
    for game in games.GAMES.values():
        plain = games.RULES["pg"][2](game, *place)
        for name in ("lola", "dice", "coala"):
            np.testing.assert_allclose(games.RULES[name][2](game, *place), plain, rtol=1e-5)


def test_looking_ahead_adds_the_derivative_of_the_others_step():
    """G1: LOLA's term is rate d/dtheta (dJ/dphi)^2 / 2 with the first factor fixed: rate p q^2 (1-q)^2 p (1-p)."""
    p, q = 0.3, 0.6
    place = logit(jnp.float32(p)), logit(jnp.float32(q))
    mine = games.RULES["lola"][2](games.GAMES["g1"], *place)[0]
    of_term = games.AHEAD_RATE * (p * q * (1 - q)) * (p * (1 - p) * q * (1 - q))
    assert float(mine) == pytest.approx(q * p * (1 - p) + of_term, rel=1e-4)


def test_flows_end_where_the_formulas_say():
    p, q = jnp.array([0.2, 0.5, 0.8]), jnp.array([0.5, 0.3, 0.7])
    ends = {name: games.flow(games.GAMES["g1"], games.RULES[name][2], p, q, 400) for name in ("pg", "own", "anti")}
    assert (ends["pg"].gives > 0.95).all()
    np.testing.assert_allclose(ends["own"].gives, 2 / 3, atol=0.01)  # (1 + c) / (1 + 2 c), c = 1
    np.testing.assert_allclose(ends["anti"].gives, p, atol=1e-4)
    assert ends["pg"].steps.tolist() == [15, 11, 0]  # the last start has p q of one half already
    assert ends["anti"].steps.tolist()[:2] == [400, 400]


def test_a_price_counts_for_the_giver_alone():
    place = logit(jnp.float32(0.3)), logit(jnp.float32(0.4))
    priced, free = (games.RULES["pg"][2](games.GAMES[name], *place) for name in ("priced", "g1"))
    assert float(priced[0]) == pytest.approx(0.3 * 0.7 * (0.4 - games.PRICE), rel=1e-4)
    assert float(priced[1]) == pytest.approx(float(free[1]))
