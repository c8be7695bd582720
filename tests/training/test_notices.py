"""Strange properties of a game are reported before training goes on, from the command line and from Python."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import comity
from comity.checking import empty_sizes
from comity.cli.main import main
from comity.spec import Vector
from comity.training.notices import faults, of_play
from comity.training.progress import Narrator
from comity.types import Observation, Transition
from tiny import learner, signals
from tiny.runs import NAMES, SMALL, flags


@dataclasses.dataclass(frozen=True)
class Endless(signals.Signals):
    """Its clock never runs out."""

    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        return state, timestep._replace(terminated=jnp.bool_(False), truncated=jnp.bool_(False))


@dataclasses.dataclass(frozen=True)
class Blind(signals.Signals):
    @property
    def spec(self):
        return dataclasses.replace(super().spec, view=Vector(0), state=Vector(0))

    def observe(self, state):
        return Observation(jnp.zeros((2, 0)), jnp.zeros(0), jnp.ones((2, 3), bool))


def rollout(ended=(), infinite=()) -> Transition:
    """Four steps of six episodes of two agents: three places, sampled and greedy."""
    over, reward = np.zeros((4, 6), bool), np.zeros((4, 6, 2), np.float32)
    for episode in ended:
        over[episode % 4, episode] = True
    for episode in infinite:
        reward[episode % 4, episode, episode % 2] = (np.nan, np.inf)[episode % 2]
    nothing: Any = None
    fields = dict.fromkeys(Transition._fields, nothing)
    return Transition(**{**fields, "reward": reward, "terminated": over, "truncated": np.zeros_like(over)})


@pytest.mark.parametrize(("ended", "endless"), [((), [1, 1, 1]), ((0, 3), [0, 1, 1]), ((1, 5, 0), [0, 0, 0])])
def test_places_in_which_no_episode_ended(ended, endless):
    assert faults(rollout(ended=ended), 3)["endless"].tolist() == endless


@pytest.mark.parametrize(("infinite", "places"), [((), [0, 0, 0]), ((2,), [0, 0, 1]), ((3, 1), [1, 1, 0])])
def test_places_in_which_a_reward_is_not_finite(infinite, places):
    assert faults(rollout(infinite=infinite), 3)["infinite"].tolist() == places


@pytest.mark.parametrize("length", [3, 5])
def test_episodes_that_do_not_end_within_length(length):
    none = np.zeros(3, bool)
    (line,) = of_play([{"endless": ~none, "infinite": none}] * 2, signals.Signals(length=length))
    assert line.startswith(f"no episode of the first evaluation ended within length {length}: ")
    assert not of_play([{"endless": ~none, "infinite": none}, {"endless": none, "infinite": none}], signals.Signals())


@pytest.mark.parametrize("places", [1, 3])
def test_rewards_that_are_not_finite(places):
    """Some episodes: said. All: refused, for nothing can be learned."""
    none, some = np.zeros(4, bool), np.arange(4) < places
    found = [{"endless": none, "infinite": none}, {"endless": none, "infinite": some}]
    (line,) = of_play(found, signals.Signals())
    assert line.startswith(f"rewards are not finite in {100 * places / 8:.2g}% of the first evaluation")
    every = [{"endless": none, "infinite": ~none}] * 2
    with pytest.raises(ValueError, match=r"^rewards are not finite in any episode of the first evaluation: mend"):
        of_play(every, signals.Signals())
    assert of_play([found[0]] * 2, signals.Signals()) == []


def test_a_game_without_finite_rewards_is_not_trained(tmp_path, capsys):
    assert main(["train", *NAMES, *flags(**SMALL), "--task.nan-chance", "1", "--out", str(tmp_path)]) == 1
    assert "rewards are not finite in any episode of the first evaluation" in capsys.readouterr().err.splitlines()[-1]


def test_sizes_of_nothing(tmp_path):
    seen, state = empty_sizes(Blind())
    assert seen.startswith("agents see nothing (spec.view: vectors of 0 numbers)")
    assert state.startswith("the game's state is empty (spec.state: vectors of 0 numbers)")
    assert empty_sizes(signals.Signals()) == []
    for config in (comity.algorithm("pg"), comity.algorithm("iql")):
        with pytest.raises(ValueError, match=r"^agents see nothing \(spec.view: vectors of 0 numbers\)"):
            comity.train(Blind(), config, progress=False, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_training_in_python_tells_or_warns(tmp_path, capsys):
    settings = {**SMALL, "seeds": 1, "iterations": 1, "out": tmp_path}
    with pytest.warns(UserWarning, match="ended within length 3"):
        run = comity.train(Endless(length=3), learner.Config(), progress=False, **settings)
    assert not capsys.readouterr().err
    Narrator()("notice", {"text": "no episode ended"})
    assert "no episode ended" in capsys.readouterr().err
    assert run.iteration == 1


def test_rewards_of_doubles_say_where_they_come_from():
    """x64 turns jnp's defaults into float64, which no program of float32 can take."""
    import jax

    @dataclasses.dataclass(frozen=True)
    class Doubles(signals.Signals):
        def step(self, key, state, action):
            state, timestep = super().step(key, state, action)
            return state, timestep._replace(reward=jnp.ones(2, jnp.float64))

    with (
        jax.enable_x64(True),
        pytest.raises(ValueError, match=r"float64\[2\]: it must be float32.*jax_enable_x64 is on"),
    ):
        comity.check(Doubles())
