"""Environments of other libraries as arrays: the view of the last step, the end of a game, masks, states, refusals."""

import warnings
from functools import partial

import numpy as np
import pytest

pytest.importorskip("pettingzoo")
gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402

import comity  # noqa: E402
from comity import interop  # noqa: E402
from comity.interop.games import Batch  # noqa: E402
from tiny.parallel import Always, Draws, Leaves, Masked, Unseeded  # noqa: E402

EVERY = np.ones(2, bool)


def steps(make, length: int, count: int, action=0) -> list:
    """What `count` steps of two games bring."""
    batch = Batch(make, length, 2)
    batch.begin(EVERY, np.arange(2))
    shape = batch.seen.available.shape[:2]
    return [batch.step(EVERY, np.full(shape, action)) for _ in range(count)]


@pytest.mark.parametrize("make", [partial(Always, 4), partial(Always, 4, empties=False), partial(Always, 9)])
def test_after_a_cut_comes_what_step_returned(make):
    """Whoever cut it: the environment, as PettingZoo asks or not, or comity."""
    last = steps(make, 4, 4)[-1]
    assert last.truncated.all()
    assert not last.terminated.any()
    np.testing.assert_array_equal(last.seen.view, 1)
    np.testing.assert_array_equal(last.seen.state, 1)
    assert last.seen.available.all()
    np.testing.assert_array_equal(last.reward, 1)


@pytest.mark.parametrize("empties", [True, False])
@pytest.mark.parametrize("ends", [True, False])
def test_a_game_is_over_when_all_have_left_whatever_agents_says(empties, ends):
    found = steps(partial(Always, 5, ends, empties), 20, 5)
    over = [bool((x.terminated | x.truncated).all()) for x in found]
    assert over == [False] * 4 + [True]
    assert found[-1].terminated.all() == ends
    assert found[-1].truncated.all() == (not ends)


def test_who_was_terminated_has_left_for_good():
    """It sees zeros, earns nothing and has action 0 alone, though it is still told of; the other one is cut."""
    found = steps(partial(Leaves, 4), 20, 4)
    for step in found[1:]:
        np.testing.assert_array_equal(step.seen.view[:, 0], 0)
        np.testing.assert_array_equal(step.seen.available[:, 0], [[True, False]] * 2)
    assert [float(x.reward[0, 0]) for x in found] == [1, 1, 0, 0]
    assert found[-1].truncated.all()
    np.testing.assert_array_equal(found[-1].seen.view[:, 1], 1)


PLACES = [*((key, True) for key in ("observation", "observations", "obs", "screen", "")), ("observation", False)]


@pytest.mark.parametrize(("key", "declared"), [*PLACES, ("screen", False)])
def test_masks_are_heeded_wherever_they_stand(key, declared):
    seen = Batch(partial(Masked, key, (1, 0, 1), declared), 9, 2).begin(EVERY, np.zeros(2))
    np.testing.assert_array_equal(seen.available, np.broadcast_to([True, False, True], (2, 2, 3)))
    assert seen.view.shape == (2, 2, 1)  # the mask is no part of what is seen


def test_several_keys_beside_a_mask_are_all_seen():
    class Rich(Masked):
        def observation_space(self, agent):
            box = spaces.Box(0, 1, (2,), np.float32)
            return spaces.Dict({"near": box, "far": box, "action_mask": spaces.MultiBinary(3)})

        def seen(self):
            far, near = np.zeros(2, np.float32), np.ones(2, np.float32)
            return {name: {"near": near, "far": far, "action_mask": self.now} for name in self.possible_agents}

    seen = Batch(Rich, 9, 2).begin(EVERY, np.zeros(2))
    np.testing.assert_array_equal(np.sort(seen.view[0, 0]), [0, 0, 1, 1])
    assert seen.available.sum() == 4


@pytest.mark.parametrize("key", ["observation", ""])
def test_an_agent_without_a_legal_action_is_named(key):
    with pytest.raises(ValueError, match=r"^a has no legal action at step 2: its action_mask is all zeros; allow one"):
        steps(partial(Masked, key, (0, 0, 0), from_step=2), 9, 2)


def test_at_a_cut_a_mask_of_zeros_forbids_nothing():
    last = steps(partial(Masked, "obs", (0, 0, 0), from_step=4), 9, 4)[-1]
    assert last.truncated.all()
    assert last.seen.available.all()


@pytest.mark.parametrize("state", [np.zeros(3), lambda self: None, lambda self: {"x": 1}, lambda self: "here", None])
def test_what_is_no_state_falls_back_to_views(state):
    kind = type("Odd", (Always,), {} if state is None else {"state": state})
    game = interop.from_pettingzoo(kind, 4)
    assert game.spec.state.size == 2
    assert Batch(kind, 4, 2).begin(EVERY, np.zeros(2)).state.tolist() == [[1, 1]] * 2


def test_a_state_of_its_own_is_read():
    kind = type("Knows", (Always,), {"state": lambda self: np.full((3, 2), self.time)})
    assert interop.from_pettingzoo(kind, 4).spec.state.size == 6
    assert steps(kind, 4, 3)[-1].seen.state.tolist() == [[3] * 6] * 2


@pytest.mark.parametrize("make", [lambda one: lambda: one, lambda one: lambda: _Around(one)])
def test_one_environment_for_all_games_is_refused(make):
    with pytest.raises(ValueError, match="make gives the same environment twice, so all games would step one"):
        Batch(make(Always()), 4, 3)


class _Around:
    """A wrapper."""

    def __init__(self, env):
        self.unwrapped = env

    def __getattr__(self, name):
        return getattr(self.unwrapped, name)


def odd(**members):
    return type("Odd", (Always,), members)


REFUSED = {
    "object": (Always(), "Always is an environment already: give a function or class that makes a new one"),
    "no seed": (odd(reset=lambda self: ({}, {})), r"Odd.reset takes no seed: declare reset"),
    "nothing": (lambda: None, "NoneType has no possible_agents and no observation_space and no action_space"),
    "nobody": (
        odd(possible_agents=property(lambda self: [], lambda self, x: None)),
        "Odd has no possible_agents: name",
    ),
    "several kinds": (
        odd(action_space=lambda self, agent: spaces.Discrete(2) if agent == "a" else spaces.Box(-1, 1, (1,))),
        "actions are Box, Discrete: all agents need Discrete actions, or all a Box",
    ),
    "unbounded": (
        odd(action_space=lambda self, agent: spaces.Box(-np.inf, np.inf, (1,))),
        "boxes without bounds: clip",
    ),
    "sequence": (
        odd(observation_space=lambda self, agent: spaces.Sequence(spaces.Discrete(2))),
        "a sees Sequence.*, which has no fixed size",
    ),
    "short": (
        odd(observation_space=lambda self, agent: spaces.Box(0, 1, (5,))),
        "a's observation at step 0 has 1 numbers, its space 5: mend one of them",
    ),
    "wrong": (odd(observation_space=lambda self, agent: spaces.Discrete(3)), r"a's observation at step 0 does not fit"),
    "absent": (odd(seen=lambda self: {"b": np.ones(1)}), "a has no observation at step 0: give one for every agent"),
    "reset": (odd(reset=lambda self, seed=None: {}), r"reset gives no \(observations, infos\)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_place_here_is_refused_in_a_line_before_anything_compiles(kind, monkeypatch, tmp_path):
    make, message = REFUSED[kind]
    monkeypatch.setattr("jax.stages.Lowered.compile", lambda *_: pytest.fail("it compiled"))
    with pytest.raises(ValueError, match=message) as error:
        comity.train(interop.from_pettingzoo(make, 4), "random", out=tmp_path, progress=False)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_games_of_turns_are_refused():
    pytest.importorskip("mpe2")
    from mpe2 import simple_spread_v3

    with pytest.raises(ValueError, match=r"simple_spread_v3 takes turns \(PettingZoo's AEC\): give the parallel one"):
        interop.from_pettingzoo(simple_spread_v3.env, 25)


def test_length_and_options_are_refused_in_a_line():
    with pytest.raises(ValueError, match=r"Always does not say how long an episode is at most: give length"):
        interop.from_pettingzoo(Always)
    with pytest.raises(ValueError, match="length 0 is below 1"):
        interop.from_pettingzoo(Always, 0)
    with pytest.raises(ValueError, match=r"cannot be made: .*unexpected keyword argument 'cuts'"):
        interop.from_pettingzoo(Always, 4, cuts=3)
    with pytest.raises(ValueError, match="envs 0"):
        comity.train(interop.from_pettingzoo(Always, 4), "random", envs=0)
    with pytest.raises(ValueError, match=r"mode vmap: Python steps .*Always, one seed after the other: leave mode out"):
        comity.train(interop.from_pettingzoo(Always, 4), "random", mode="vmap", progress=False)


def test_check_plays_them():
    comity.check(interop.from_pettingzoo(Draws, 4))
    comity.check(interop.from_pettingzoo(Masked, 4, key="obs"))
    with pytest.raises(ValueError, match="two games with seed 0 and the same actions have another view at step 0"):
        comity.check(interop.from_pettingzoo(Unseeded, 4))
    endless = type("Infinite", (Always,), {"step": lambda self, actions: _with_reward(self, actions, np.inf)})
    with pytest.raises(ValueError, match="rewards are not finite at step 1 of seed 0"):
        comity.check(interop.from_pettingzoo(endless, 4))
    with pytest.raises(ValueError, match="a has no legal action at step 3"):
        comity.check(interop.from_pettingzoo(Masked, 9, mask=[0, 0, 0], from_step=3))


def _with_reward(env, actions, reward):
    observations, _, *rest = Always.step(env, actions)
    return observations, dict.fromkeys(env.possible_agents, reward), *rest


@pytest.mark.parametrize("value", [3, 0.5, True, None, "4x4", "yes", "1", [1, 2], "a: b"])
def test_options_come_back_as_they_were_given(value):
    game = interop.from_pettingzoo(lambda thing=None: Always(4), 4, thing=value)
    assert game.chosen == {"thing": value}
    assert type(game)(game.spec.length, game.options).chosen == {"thing": value}


def test_gymnasium_as_a_game_of_one():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        game = interop.from_gymnasium("CartPole-v1")
    assert (game.spec.agents, game.spec.view.size, game.spec.action.n, game.spec.length) == (1, 4, 2, 500)
    comity.check(game)
    alone = game.make()  # in a user's own loop, as on docs/interop.md
    alone.reset(seed=0)
    ended = [alone.step({"agent": 1})[2]["agent"] for _ in range(50) if alone.agents]
    assert alone.agents == []
    assert ended == [False] * (len(ended) - 1) + [True]
    alone.reset(seed=1)
    assert alone.agents == ["agent"]
    batch = Batch(game.make, 7, 2)
    seen, env = batch.begin(EVERY, np.array([3, 4])), gymnasium.make("CartPole-v1")
    np.testing.assert_array_equal(seen.view[0, 0], env.reset(seed=3)[0])
    for _ in range(7):
        stepped, theirs = batch.step(EVERY, np.ones((2, 1), int)), env.step(1)
        np.testing.assert_array_equal(stepped.seen.view[0, 0], theirs[0])
        assert stepped.reward[0, 0] == theirs[1]
    assert stepped.truncated.all()
    with pytest.raises(ValueError, match=r"gymnasium knows no CartPol-v1; did you mean CartPole-v1"):
        interop.from_gymnasium("CartPol-v1")


def test_gymnasium_boxes_are_scaled_and_kept_in_bounds():
    game = interop.from_gymnasium("Pendulum-v1")
    space = game.spaces.actions[0]
    assert [float(game.spaces.action_of(0, np.array([x]))[0]) for x in (-1, 0, 1, 3)] == [-2, 0, 2, 2]
    assert space.contains(game.spaces.action_of(0, np.array([1.5])))
