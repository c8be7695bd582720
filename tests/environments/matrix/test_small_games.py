"""The four small games: every transition against their tables, written again here."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.checking import check
from comity.environments.matrix.matrix import Matrix
from comity.environments.matrix.n_step import NONE, NStep
from comity.environments.matrix.n_step import State as NStepState
from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction
from comity.environments.matrix.two_step import FIRST, RISKY, SAFE, TwoStep
from comity.environments.matrix.two_step import State as TwoStepState

KEY = jax.random.key(0)
SMALL = Matrix((1.0, 2.0, 3.0, 4.0))  # not symmetric: rows and columns are told apart
BEST = {TwoStep(): 8, Matrix(): 8, SMALL: 4, NStep(): 13, NStep(3): 6, OneStepTrafficJunction(): 1}  # returns
ONE_OF_EACH = [TwoStep(), Matrix(), NStep(3), OneStepTrafficJunction()]
Plan = list[tuple[int, int]]  # joint actions, one for each step


def paid_by_rules(game, plan: Plan) -> list[float]:
    """Rewards of a sequence of joint actions up to the end of the episode, from the papers' words."""
    if isinstance(game, TwoStep):
        (first, _), second = plan
        return [0, 7 if first == 0 else {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 8}[second]]
    if isinstance(game, Matrix):
        rows = {9: [[8, -12, -12], [-12, 0, 0], [-12, 0, 0]], 4: [[1, 2], [3, 4]]}[len(game.payoff)]
        return [rows[plan[0][0]][plan[0][1]]]
    if isinstance(game, OneStepTrafficJunction):
        return [1 if plan[0] in [(0, 1), (1, 0)] else 0]
    rewards = []
    for t, joint in enumerate(plan):
        if plan[0] == (0, 0) and t == game.n - 1:
            rewards.append(4 if joint == (1, 1) else 1)
        else:
            rewards.append(1 if plan[0] in [(0, 0), (1, 1)] and joint == plan[0] else 0)
        if rewards[-1] == 0:
            break
    return rewards


def sees(game, plan: Plan) -> tuple[list, list]:
    """(views, state) after a sequence of joint actions that has not ended before its last."""
    ids = np.eye(2, dtype=int).tolist()
    if isinstance(game, TwoStep):
        where = np.eye(3, dtype=int)[0 if not plan else 1 + plan[0][0]].tolist()
        return [where + id for id in ids], where
    if isinstance(game, Matrix):
        return [[1, *id] for id in ids], [1]
    if isinstance(game, OneStepTrafficJunction):
        return ids, [1]
    branch = [0, 0, 0, 0] if not plan else np.eye(4, dtype=int)[2 * plan[0][0] + plan[0][1]].tolist()
    both = np.eye(game.n + 1, dtype=int)[len(plan)].tolist() + branch
    return [both, both], both


def play(game, plan: Plan, step=None):
    """Timesteps of a sequence of joint actions, stopped where the game ends it."""
    state, observation = game.reset(KEY)
    np.testing.assert_array_equal(observation.view, sees(game, [])[0])
    np.testing.assert_array_equal(observation.state, sees(game, [])[1])
    timesteps = []
    for joint in plan:
        state, timestep = (step or game.step)(KEY, state, jnp.asarray(joint, jnp.int32))
        timesteps.append(timestep)
        if timestep.terminated:
            break
    return timesteps


def plans(game) -> list[Plan]:
    """All sequences of joint actions; of long games, those that leave each branch at each step."""
    joint = [(a, b) for a in range(game.spec.action.n) for b in range(game.spec.action.n)]
    if game.spec.length <= 3:
        return list(map(list, itertools.product(joint, repeat=game.spec.length)))
    return [[a] * t + [b] * (game.spec.length - t) for a in joint for b in joint for t in range(1, game.spec.length)]


@pytest.mark.parametrize("game", BEST, ids=str)
def test_every_transition_is_the_rules(game):
    step, returns = jax.jit(game.step), []
    for plan in plans(game):
        timesteps, expected = play(game, plan, step), paid_by_rules(game, plan)
        assert [t.reward.tolist() for t in timesteps] == [[float(r)] * 2 for r in expected]
        assert [bool(t.terminated) for t in timesteps] == [False] * (len(expected) - 1) + [True]
        assert not any(t.truncated for t in timesteps)
        for t, timestep in enumerate(timesteps):
            view, state = sees(game, plan[: t + 1])
            np.testing.assert_array_equal(timestep.observation.view, view)
            np.testing.assert_array_equal(timestep.observation.state, state)
            assert timestep.observation.available.all()
            assert timestep.observation.view.dtype == timestep.observation.state.dtype == jnp.int8
        returns.append((sum(expected), sum(float(t.info["optimal"]) for t in timesteps)))
    assert max(total for total, _ in returns) == BEST[game]
    assert [optimal for _, optimal in returns] == [float(total == BEST[game]) for total, _ in returns]


@pytest.mark.parametrize("game", ONE_OF_EACH, ids=str)
def test_compiled_is_plain(game):
    step = jax.jit(game.step)
    for plan in plans(game)[:: max(1, len(plans(game)) // 8)]:
        jax.tree.map(np.testing.assert_array_equal, play(game, plan, step), play(game, plan))


@pytest.mark.parametrize("game", ONE_OF_EACH, ids=str)
def test_fits_the_interface(game):
    check(game)


def test_best_returns():
    assert Matrix().table.max() == 8
    assert (NStep().best, NStep(4).best) == (13, 7)


def test_matrix_takes_any_square():
    assert (SMALL.spec.action.n, SMALL.spec.action_names) == (2, ("A", "B"))
    assert SMALL.table.tolist() == [[1, 2], [3, 4]]
    for payoff in [(), (1.0, 2.0), (1.0, 2.0, 3.0, float("nan"))]:
        with pytest.raises(ValueError, match=r"^payoff .*: give"):
            Matrix(payoff)


def test_n_step_needs_two_steps():
    with pytest.raises(ValueError, match="n 1 is below 2"):
        NStep(1)


def test_a_state_can_be_looked_at():
    """What a test of a learner reads its values at."""
    views = [TwoStep().observation(TwoStepState(jnp.int32(w), jnp.int32(0))).view[0] for w in (FIRST, SAFE, RISKY)]
    assert np.stack(views)[:, :3].tolist() == np.eye(3).tolist()
    assert not NStep().observation(NStepState(jnp.int32(0), jnp.int32(NONE))).state[-4:].any()


def test_what_is_counted():
    def counted(game, plan):
        return {name: sum(np.asarray(t.info[name]) for t in play(game, plan)) for name in play(game, plan)[0].info}

    assert counted(TwoStep(), [(1, 0), (0, 1)]) == {"optimal": 0, "risky": 1}
    assert counted(TwoStep(), [(0, 1), (1, 1)]) == {"optimal": 0, "risky": 0}
    assert counted(NStep(3), [(1, 1)] * 3) == {"optimal": 0, "branch_00": 0, "branch_11": 1}
    assert counted(NStep(3), [(0, 0), (0, 0), (1, 1)]) == {"optimal": 1, "branch_00": 1, "branch_11": 0}
    junction = counted(OneStepTrafficJunction(), [(0, 1)])
    np.testing.assert_array_equal(junction["passes"], [0, 1])
