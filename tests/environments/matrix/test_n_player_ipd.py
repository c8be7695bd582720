"""The prisoner's dilemma of several players: with two it is `ipd`; with more, it is tested against sums over pairs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.checking import check
from comity.environments.matrix.ipd import IPD
from comity.environments.matrix.n_player_ipd import NPlayerIPD, State

KEY = jax.random.key(0)
JOINT = jnp.array(list(itertools.product((0, 1), repeat=4)))


def test_it_is_a_game():
    check(NPlayerIPD())


def test_two_players_play_ipd():
    """Views, rewards and ends of every pair of joint actions."""
    game, known = NPlayerIPD(agents=2, length=2), IPD(length=2)
    pairs = jnp.array(list(itertools.product((0, 1), repeat=4))).reshape(-1, 2, 2)

    def told(env):
        def play(actions):
            state, first = env.reset(KEY)
            state, second = env.step(KEY, state, actions[0])
            _, third = env.step(KEY, state, actions[1])
            views = jnp.stack([first.view, second.observation.view, third.observation.view])
            return views, second.reward, third.reward, second.terminated, third.terminated

        return jax.jit(jax.vmap(play))(pairs)

    jax.tree.map(np.testing.assert_array_equal, told(game), told(known))


def test_four_players_are_paid_by_pairs():
    payoffs = {(0, 0): 3.0, (0, 1): -1.0, (1, 0): 5.0, (1, 1): 0.5}
    game = NPlayerIPD(agents=4, payoffs=tuple(payoffs.values()))
    state = game.reset(KEY)[0]
    _, timestep = jax.vmap(lambda action: game.step(KEY, state, action))(JOINT)
    for joint, reward, view in zip(np.asarray(JOINT), timestep.reward, timestep.observation.view, strict=True):
        for i in range(4):
            others = [joint[j] for j in range(4) if j != i]
            assert reward[i] == pytest.approx(np.mean([payoffs[joint[i], other] for other in others]))
            assert view[i].argmax() == 1 + 4 * joint[i] + sum(others)
            assert view[i].sum() == 1
    assert game.spec.best_symmetric == pytest.approx(float(timestep.reward.mean(-1).max()))


@pytest.mark.parametrize(
    ("name", "wanted"), [("all-c", (0, 0, 0, 0, 0)), ("all-d", (1,) * 5), ("majority", (0, 0, 0, 1, 1))]
)
def test_scripts(name, wanted):
    """At the start, and beside 0, 1, 2, 3 defectors of three others."""
    game = NPlayerIPD(agents=4)
    lasts = [[-1] * 4, *([0] + [1] * k + [0] * (3 - k) for k in range(4))]
    _, act = game.script(name)
    for last, action in zip(lasts, wanted, strict=True):
        view = game.observation(State(jnp.array(last, jnp.int32), jnp.int32(1))).view
        assert act((), view)[0][0] == action


def test_what_it_refuses():
    with pytest.raises(ValueError, match="payoffs has 3 numbers"):
        NPlayerIPD(payoffs=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="unknown script 'all-e'"):
        NPlayerIPD().script("all-e")
