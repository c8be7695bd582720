"""The coin game: its rules, random play with expected return 0, the return of collecting only the own colour."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking, rollout
from comity.environments.dilemmas.coin_game import CoinGame, State
from comity.environments.wrappers.preferences import Preferences
from tests.tiny.steps import assert_plain_jit_and_vmap_agree

KEY = jax.random.key(0)
RIGHT, LEFT, DOWN, UP = range(4)
STEPS = {RIGHT: (0, 1), LEFT: (0, -1), DOWN: (1, 0), UP: (-1, 0)}


def state_of(agents, coins, there=(True, True)) -> State:
    return State(jnp.asarray(agents, jnp.int32), jnp.asarray(coins, jnp.int32), jnp.asarray(there), jnp.int32(0))


def stepped(env, state, *action):
    return jax.jit(env.step)(KEY, state, jnp.array(action))


# Closed forms ---------------------------------------------------------------------------------------------------------


def every_situation(env: CoinGame):
    """All situations of one coin on the board, and all joint actions: [S] states, [S, 2] actions."""
    size = env.size
    cells = list(itertools.product(range(size), repeat=2))
    rows = [
        (a, b, coin, colour, act, other)
        for a, b, coin in itertools.product(cells, repeat=3)
        for colour in range(2)
        for act, other in itertools.product(range(4), repeat=2)
    ]
    agents = np.array([[row[0], row[1]] for row in rows])
    coins = np.array([[row[2], row[2]] for row in rows])
    there = np.array([[row[3] == 0, row[3] == 1] for row in rows])
    state = State(*map(jnp.asarray, (agents, coins, there, np.zeros(len(rows), int))))
    return state, jnp.array([row[4:] for row in rows])


@pytest.fixture(scope="module")
def rewards():
    """Rewards of each situation and joint action by the game: [9 x 9 x 9 cells, 2 colours, 4 x 4 actions, 2]."""
    env = CoinGame()
    state, action = every_situation(env)
    keys = jax.random.split(KEY, len(action))
    _, timestep = jax.jit(jax.vmap(env.step))(keys, state, action)
    return np.asarray(timestep.reward, np.float64).reshape(9, 9, 9, 2, 16, 2), timestep, state, action


def test_random_play_is_worth_exactly_nothing(rewards):
    """Step by step from the uniform start, by the exact chain of (agents, coin, colour): 0 for both at every step."""
    expected = rewards[0].mean(-2)  # [a, b, coin, colour, 2]
    cells = list(itertools.product(range(3), repeat=2))
    walk = np.zeros((9, 9))
    for i, (row, column) in enumerate(cells):
        for down, right in STEPS.values():
            walk[i, cells.index(((row + down) % 3, (column + right) % 3))] += 0.25
    free = np.ones((9, 9, 9))  # [a, b, coin], where a new coin may lie
    for a in range(9):
        free[a, :, a] = free[:, a, a] = 0
    spawn = free / free.sum(-1, keepdims=True)
    now = np.broadcast_to(spawn[..., None] / 162, (9, 9, 9, 2))
    paid, i = [], np.arange(9)
    for _ in range(12):
        paid.append(np.einsum("abck,abckr->r", now, expected))
        now = np.einsum("abck,ax,by->xyck", now, walk, walk)
        taken = np.zeros_like(now)
        taken[i, :, i] = now[i, :, i]
        taken[:, i, i] = now[:, i, i]
        now = now - taken + np.einsum("abk,abc->abck", taken.sum(2)[..., ::-1], spawn)
    assert now.sum() == pytest.approx(1)
    assert np.abs(paid).max() < 1e-14
    assert expected.max() > 0.2  # it is no game of zeros


def test_random_play_by_the_game_itself():
    for env in (CoinGame(length=20), CoinGame(length=20, coins="two"), CoinGame(length=20, both="one")):

        def act(key, memory, observation):
            return jax.random.randint(key, (4000, 2), 0, 4), memory, {}

        steps = jax.jit(lambda key, env=env, act=act: rollout.collect_episodes(key, env, act, rollout.start(key, env, (), 4000)))(KEY)  # noqa: E501  # fmt: skip
        returns = np.asarray(steps.reward).sum(0)
        assert np.abs(returns.mean(0)).max() < 5 * (returns.std(0) / math.sqrt(4000)).max()
        assert returns.std() > 1
        share = env.summary(steps.reward, steps.info, steps.valid)["own_share"]
        assert abs(float(jnp.nanmean(share)) - 0.5) < 0.02


def followed(env, names, games=500):
    parts = [env.script(name)[1] for name in names]

    def act(key, memory, observation):
        return jnp.stack([act((), observation.view[..., k, :])[0] for k, act in enumerate(parts)], -1), memory, {}

    @jax.jit
    def run(key):
        steps = rollout.collect_episodes(key, env, act, rollout.start(key, env, (), games))
        return steps.reward.mean(0), env.summary(steps.reward, steps.info, steps.valid)

    reward, found = run(KEY)
    return np.asarray(reward), {name: np.asarray(x) for name, x in found.items()}


def value_of_own_only() -> float:
    """Points per step and agent of two that walk straight to their own coins, one at a time, on 3 x 3.

    A new coin lies on any cell without an agent. Its owner is the one that did not take the last, and stands where it
    stepped aside to; from any cell of the torus, four others are one step away and four two. With both agents apart
    7 cells are free, and the taker's is not among them: distance 1 or 2 by where the taker stands. Solved as a chain.
    """
    cells = list(itertools.product(range(3), repeat=2))
    around = lambda cell: [((cell[0] + d) % 3, (cell[1] + r) % 3) for d, r in STEPS.values()]  # noqa: E731
    away = lambda a, b: sum(min(abs(x - y), 3 - abs(x - y)) for x, y in zip(a, b, strict=True))  # noqa: E731
    index = {(o, w, c): k for k, (o, w, c) in enumerate(itertools.product(cells, repeat=3))}  # owner, other, coin
    chain, paid = np.zeros((729, 729)), np.zeros(729)
    for (owner, other, coin), k in index.items():
        owner_to = min(around(owner), key=lambda cell: away(cell, coin))  # the first of the nearest
        other_to = next(cell for cell in around(other) if cell != coin)
        if owner_to == coin:
            paid[k] = 1
            free = [cell for cell in cells if cell not in (owner_to, other_to)]
            for cell in free:
                chain[k, index[other_to, owner_to, cell]] += 1 / len(free)
        else:
            chain[k, index[owner_to, other_to, coin]] = 1
    now = np.zeros(729)
    for (owner, other, coin), k in index.items():
        now[k] = (coin not in (owner, other)) / (81 * (7 if owner != other else 8))
    total = 0.0
    for _ in range(60):
        total += now @ paid
        now = now @ chain
    return float(total) / 60 / 2


def test_what_keeping_to_ones_own_colour_is_worth():
    """About 1/3 of a point per step: a coin in a step and a half, every second one one's own."""
    reward, found = followed(CoinGame(length=60), ("own-only", "own-only"), 2000)
    exact = value_of_own_only()
    assert exact == pytest.approx(1 / 3, abs=0.01)
    assert np.abs(reward.mean(0) - exact).max() < 5 * reward.std() / math.sqrt(2000)
    assert found["own_share"].min() == 1


def test_greed():
    """It pays against one that keeps to its own colour, and ruins two: they get what is taken less what is lost."""
    env = CoinGame(length=60)
    reward, found = followed(env, ("greedy", "own-only"))
    assert reward[:, 0].mean() > 0.45 > 1 / 3
    assert reward[:, 1].mean() < 0
    assert np.nanmean(found["own_share"][:, 0]) < 0.7
    both, _ = followed(env, ("greedy", "greedy"))
    assert np.abs(both.mean(0)).max() < 0.08


def test_two_coins_at_once():
    """Each walks to its own: a coin in a step and a half, less where the other's lies in the way or under it."""
    reward, found = followed(CoinGame(length=60, coins="two"), ("own-only", "own-only"))
    assert 0.5 < reward.mean() < 2 / 3
    assert found["own_share"].mean() > 0.85


# Rules ----------------------------------------------------------------------------------------------------------------


def test_the_rules_of_one_coin_in_every_situation(rewards):
    """Every situation and joint action, written again; and the coin is gone from where it was taken."""
    _, timestep, state, action = rewards
    agents, coin, there, action = (np.asarray(x) for x in (state.agents, state.coins[:, 0], state.there, action))
    colour = there.argmax(-1)
    moves = np.array([STEPS[k] for k in range(4)])
    on = ((agents + moves[action]) % 3 == coin[:, None]).all(-1)  # [S, 2]
    wanted = on.astype(float)
    rows = np.arange(len(on))
    wanted[rows, colour] -= 2 * on[rows, 1 - colour]
    np.testing.assert_array_equal(timestep.reward, wanted)
    seen = np.asarray(timestep.observation.view).reshape(-1, 2, 4, 9)
    np.testing.assert_array_equal(seen[:, 0, 2].any(-1), (colour == 0) ^ on.any(-1))  # the colour changes with a coin
    np.testing.assert_array_equal(seen[:, :, 2], seen[:, ::-1, 3])  # own and other's, from the other side
    np.testing.assert_array_equal(seen[:, :, 0], seen[:, ::-1, 1])
    coin_seen = seen[:, 0, 2:].sum(1)
    assert (coin_seen.sum(-1) == 1).all()
    fresh = on.any(-1)
    assert not (coin_seen[fresh][:, None] * seen[fresh][:, 0, :2]).any()  # a new one lies where nobody stands
    np.testing.assert_array_equal(coin_seen[~fresh].argmax(-1), (coin @ [3, 1])[~fresh])


def test_new_coins_are_alike_likely():
    env = CoinGame()
    agents = jnp.array([[0, 0], [1, 1]])
    coins = np.asarray(jax.vmap(lambda key: env.drawn(key, agents))(jax.random.split(KEY, 7000)))[:, 0] @ [3, 1]
    counts = np.bincount(coins, minlength=9)
    assert counts[[0, 4]].sum() == 0
    assert np.abs(counts[[1, 2, 3, 5, 6, 7, 8]] - 1000).max() < 5 * math.sqrt(1000)


def test_who_takes_a_coin_that_two_step_on():
    state = state_of([[0, 0], [0, 2]], [[0, 1]] * 2, [True, False])
    _, timestep = stepped(CoinGame(), state, RIGHT, LEFT)
    assert timestep.reward.tolist() == [-1, 1]
    env = CoinGame(both="one")
    _, timestep = jax.vmap(env.step, (0, None, None))(jax.random.split(KEY, 2000), state, jnp.array([RIGHT, LEFT]))
    rewards = np.asarray(timestep.reward)
    first = (rewards == [1, 0]).all(-1)
    assert (first | (rewards == [-2, 1]).all(-1)).all()
    assert abs(first.mean() - 0.5) < 5 * 0.5 / math.sqrt(2000)


def test_two_coins_come_anew_one_by_one():
    env = CoinGame(size=5, coins="two")
    state = state_of([[0, 0], [4, 4]], [[0, 1], [2, 2]])
    after, timestep = stepped(env, state, RIGHT, RIGHT)  # the other one walks over the edge
    assert timestep.reward.tolist() == [1, 0]
    assert after.agents.tolist() == [[0, 1], [4, 0]]
    assert after.coins[1].tolist() == [2, 2]
    assert after.there.tolist() == [True, True]
    _, timestep = stepped(env, state_of([[0, 0], [2, 1]], [[2, 2], [0, 1]]), RIGHT, RIGHT)
    assert timestep.reward.tolist() == [-1, -1]
    assert timestep.info["other_coins"].tolist() == [1, 1]


def test_staying():
    env = CoinGame(stay=True)
    after, _ = stepped(env, state_of([[1, 1], [2, 2]], [[0, 0]] * 2, [True, False]), 4, 4)
    assert after.agents.tolist() == [[1, 1], [2, 2]]
    assert len(env.spec.action_names) == env.spec.action.n == 5


def test_pictures_of_views():
    """The image holds the vector's planes."""
    state, flat = CoinGame().reset(KEY)
    image = CoinGame(view="image").observation(state).view
    assert (image.shape, image.dtype) == ((2, 3, 3, 4), jnp.uint8)
    np.testing.assert_array_equal(image.transpose(0, 3, 1, 2).reshape(2, -1), flat.view)
    assert CoinGame(view="image").spec.scripts == ()


@pytest.mark.parametrize("options", [{}, {"view": "image", "coins": "two"}])
def test_the_interface(options):
    checking.check(CoinGame(length=4, **options))


def test_preferences_and_columns():
    assert Preferences(CoinGame()).spec.view.size == 36 + 6
    entities = CoinGame().spec.view.entities
    assert entities is not None
    seen = CoinGame().observation(state_of([[0, 1], [2, 2]], [[1, 1], [0, 0]])).view[0]
    assert np.flatnonzero(seen[np.array(entities.others[0])]).tolist() == [8]
    assert np.flatnonzero(seen[np.array(entities.own)]).tolist() == [1, 9 + 4, 18]


def test_plain_jit_and_vmap_agree():
    env = CoinGame(coins="two")
    assert_plain_jit_and_vmap_agree(env, jnp.array([UP, LEFT]), KEY)


@pytest.mark.parametrize("clock", [True, False])
def test_the_clock(clock):
    env = CoinGame(length=1, clock_terminates=clock)
    _, timestep = env.step(KEY, env.reset(KEY)[0], jnp.array([UP, UP]))
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (clock, not clock)


def test_drawings_show_what_there_is():
    env = CoinGame()
    state = jax.tree.map(np.asarray, state_of([[0, 0], [1, 1]], [[2, 2]] * 2, [True, False]))
    picture = env.draw(state)
    assert (picture.shape, picture.dtype) == ((120, 120, 3), np.uint8)
    theirs = env.draw(state._replace(there=np.array([False, True])))
    changed = (theirs != picture).any(-1)
    assert changed[80:, 80:].any()
    assert not changed[:80].any()


def test_unknown_scripts_are_refused():
    with pytest.raises(ValueError, match="did you mean"):
        CoinGame().script("greed")
