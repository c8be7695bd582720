"""SMAC's own class as a game, tested with an object that has its methods; nothing here needs StarCraft."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from comity import interop

AGENTS, ACTIONS, VIEW, STATE, LIMIT = 2, 8, 5, 7, 6


def unit(x: float) -> SimpleNamespace:
    return SimpleNamespace(
        pos=SimpleNamespace(x=x, y=3.0), health=45, shield=1, unit_type=int(x), weapon_cooldown=2, energy=0
    )


class Fake:
    """What StarCraft2Env has, of two agents; the battle is won by an attack on enemy 1 after `way` steps or later.

    Action 2 fails, as if SMAC had to start the game anew; action 3 loses.
    """

    map_x, map_y, pathing_grid, max_distance_x, max_distance_y = 32, 16, np.eye(32, 16), 30, 14

    def __init__(self, limit: int = LIMIT, step_mul: int = 8, way: int = 2):
        self.episode_limit, self.step_mul, self.way, self.time, self.closed = limit, step_mul, way, 0, False
        self.timeouts = 0
        self.agents, self.enemies = {0: unit(1.0), 1: unit(2.0)}, {0: unit(9.0), 1: unit(8.0)}

    def get_env_info(self):
        return {"n_agents": AGENTS, "n_actions": ACTIONS, "obs_shape": VIEW, "state_shape": STATE,
                "episode_limit": self.episode_limit}  # fmt: skip

    def reset(self):
        self.time = 0
        return self.get_obs(), self.get_state()

    def get_obs(self):
        return [np.full(VIEW, 10 * k + self.time, np.float32) for k in range(AGENTS)]

    def get_state(self):
        return np.full(STATE, self.time, np.float32)

    def get_avail_actions(self):
        near = self.time >= self.way
        return [[0, 1, 1, 1, 1, 1, 0, int(near)], [1, 0, 0, 0, 0, 0, 0, 0]]  # agent 1 is dead

    def step(self, actions):
        assert actions[1] == 0
        self.time += 1
        won, lost = actions[0] == 7, actions[0] == 3
        if actions[0] == 2:
            return 0, True, {}
        info = {"battle_won": won, "dead_allies": 1 + lost, "dead_enemies": 2 if won else 0}
        late = self.time >= self.episode_limit and not won and not lost
        self.timeouts += late
        return 2.5 * won + 0.5, won or lost or late, info

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
        (view, state, can), reward, ended, cut, _ = host.step(both, np.array([[1, 0], [4, 0]]))
    np.testing.assert_array_equal(state, np.full((2, STATE), 2))
    np.testing.assert_array_equal(reward, np.full((2, AGENTS), 0.5))
    assert can[0, 0, 7]
    assert not ended.any()
    _, reward, ended, cut, info = host.step(both, np.array([[7, 0], [1, 0]]))
    np.testing.assert_array_equal(reward, [[3, 3], [0.5, 0.5]])
    np.testing.assert_array_equal(ended, [True, False])
    assert not cut.any()
    assert (game.spec.headline, game.spec.mixed_motive) == ("won", False)
    assert {name: x.tolist() for name, x in info.items()} == {
        "won": [1, 0], "dead_allies": [0, 0], "dead_enemies": [2, 0]
    }  # fmt: skip  # what the step adds
    host.close()


def test_limit_and_failure_are_cuts_but_victory_and_defeat_at_the_limit_are_none():
    """One game each: the limit, a victory, a defeat, a game that SMAC starts anew."""
    host = interop.from_smac(Fake, limit=3).host(4)
    every = np.ones(4, bool)
    host.begin(every, np.arange(4))
    fallen = np.zeros(4)
    for action in ([1] * 4, [1] * 4, [1, 7, 3, 2]):
        _, _, ended, cut, info = host.step(every, np.array([action, [0] * 4]).T)
        fallen += info["dead_allies"]
    np.testing.assert_array_equal(cut, [True, False, False, True])
    np.testing.assert_array_equal(ended, [False, True, True, False])
    np.testing.assert_array_equal(fallen, [1, 1, 2, 1])
    host.close()


def test_without_smac_one_line_says_what_to_do():
    with pytest.raises(ImportError, match=r"SMAC is not installed.*play smac/3m, which needs neither"):
        interop.from_smac("3m")


def test_calibration_holds_what_the_game_shows_loop_by_loop(tmp_path):
    made = []

    def make(**options):
        made.append(Fake(way=9, **options))  # the fight begins after SMAC's own limit of 6
        return made[-1]

    path = interop.dump_calibration(make, tmp_path / "facts.npz")
    facts = np.load(path)
    assert (made[0].step_mul, made[0].closed) == (1, True)
    np.testing.assert_array_equal(facts["walkable"], np.eye(32, 16, dtype=bool))
    np.testing.assert_array_equal(facts["size"], [32, 16])
    np.testing.assert_array_equal(facts["action"], [[1, 0]] * 9 + [[7, 0]])
    np.testing.assert_array_equal(facts["distance"], [30, 14])
    np.testing.assert_array_equal(facts["ally_type"], [1, 2])
    np.testing.assert_array_equal(facts["enemy_type"], [9, 8])
    np.testing.assert_array_equal(facts["ally"][0], [[1, 3, 45, 1, 2, 0], [2, 3, 45, 1, 2, 0]])
    assert facts["enemy"].shape == (10, 2, 6)
    np.testing.assert_array_equal(facts["reward"], [0.5] * 9 + [3])
    short = np.load(interop.dump_calibration(make, tmp_path / "short.npz", loops=8))
    assert len(short["reward"]) == 8
