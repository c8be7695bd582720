"""SMAC's own class as a game, tested with an object that has its methods; nothing here needs StarCraft."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from comity import interop

AGENTS, ACTIONS, VIEW, STATE, LIMIT = 2, 8, 5, 7, 6


def unit(x: float) -> SimpleNamespace:
    return SimpleNamespace(pos=SimpleNamespace(x=x, y=3.0), health=45, shield=1, weapon_cooldown=2, energy=0)


class Fake:
    """What StarCraft2Env has, of two agents; the battle is won by an attack on enemy 1 at the third step or later."""

    map_x, map_y, pathing_grid = 32, 16, np.eye(32, 16)

    def __init__(self, limit: int = LIMIT, step_mul: int = 8):
        self.limit, self.step_mul, self.time, self.closed = limit, step_mul, 0, False
        self.agents, self.enemies = {0: unit(1.0), 1: unit(2.0)}, {0: unit(9.0), 1: unit(8.0)}

    def get_env_info(self):
        return {"n_agents": AGENTS, "n_actions": ACTIONS, "obs_shape": VIEW, "state_shape": STATE,
                "episode_limit": self.limit}  # fmt: skip

    def reset(self):
        self.time = 0
        return self.get_obs(), self.get_state()

    def get_obs(self):
        return [np.full(VIEW, 10 * k + self.time, np.float32) for k in range(AGENTS)]

    def get_state(self):
        return np.full(STATE, self.time, np.float32)

    def get_avail_actions(self):
        near = self.time >= 2
        return [[0, 1, 1, 1, 1, 1, 0, int(near)], [1, 0, 0, 0, 0, 0, 0, 0]]  # agent 1 is dead

    def step(self, actions):
        assert actions[1] == 0
        self.time += 1
        won = actions[0] == 7
        info = {"battle_won": won, "dead_allies": 1, "dead_enemies": 2 if won else 0}
        return 2.5 * won + 0.5, won or self.time >= self.limit, info

    def close(self):
        self.closed = True


def test_sizes_views_masks_and_rewards_go_through():
    game = interop.from_smac(Fake)
    assert (game.spec.agents, game.spec.action.n, game.spec.length) == (AGENTS, ACTIONS, LIMIT)
    assert (game.spec.view.size, game.spec.state.size) == (VIEW, STATE)
    host, both = game.host(2), np.ones(2, bool)
    view, state, can = host.begin(both, np.arange(2))
    np.testing.assert_array_equal(view[1], [[0] * VIEW, [10] * VIEW])
    np.testing.assert_array_equal(can[0], np.array(Fake().get_avail_actions(), bool))
    for _ in range(2):
        (view, state, can), reward, ended, cut = host.step(both, np.array([[1, 0], [2, 0]]))
    np.testing.assert_array_equal(state, np.full((2, STATE), 2))
    np.testing.assert_array_equal(reward, np.full((2, AGENTS), 0.5))
    assert can[0, 0, 7]
    assert not ended.any()
    _, reward, ended, cut = host.step(both, np.array([[7, 0], [1, 0]]))
    np.testing.assert_array_equal(reward, [[3, 3], [0.5, 0.5]])
    np.testing.assert_array_equal(ended, [True, False])
    assert not cut.any()
    host.close()


def test_the_limit_is_a_cut_and_a_victory_at_it_is_none():
    host = interop.from_smac(Fake, limit=3).host(2)
    both = np.ones(2, bool)
    host.begin(both, np.arange(2))
    for action in ([[1, 0], [1, 0]], [[1, 0], [1, 0]], [[1, 0], [7, 0]]):
        _, _, ended, cut = host.step(both, np.array(action))
    np.testing.assert_array_equal(cut, [True, False])
    np.testing.assert_array_equal(ended, [False, True])
    host.close()


def test_without_smac_one_line_says_what_to_do():
    with pytest.raises(ImportError, match=r"SMAC is not installed.*play smac/3m, which needs neither"):
        interop.from_smac("3m")


def test_calibration_holds_what_the_game_shows_loop_by_loop(tmp_path):
    made = []

    def make(**options):
        made.append(Fake(**options))
        return made[-1]

    path = interop.dump_calibration(make, tmp_path / "facts.npz")
    facts = np.load(path)
    assert (made[0].step_mul, made[0].closed) == (1, True)
    np.testing.assert_array_equal(facts["walkable"], np.eye(32, 16, dtype=bool))
    np.testing.assert_array_equal(facts["size"], [32, 16])
    np.testing.assert_array_equal(facts["action"], [[1, 0], [1, 0], [7, 0]])
    np.testing.assert_array_equal(facts["ally"][0], [[1, 3, 45, 1, 2, 0], [2, 3, 45, 1, 2, 0]])
    assert facts["enemy"].shape == (3, 2, 6)
    np.testing.assert_array_equal(facts["reward"], [0.5, 0.5, 3])
