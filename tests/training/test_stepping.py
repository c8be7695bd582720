"""Games that Python steps, in the training loop of all games."""

import functools
import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pettingzoo")

import comity
from comity import interop
from comity.recipes import from_objects
from comity.training import compile as compiling
from comity.training import films, stepping
from comity.training.loop import resume, train
from comity.training.settings import Training
from comity.types import EpisodeNumber
from tiny.parallel import Always, Draws, Leaves, Measured

SMALL = {
    "ippo": {"steps": 6, "chunk": 3, "encoder": (8,), "hidden": 8, "epochs": 1, "minibatches": 1},
    **{name: {"hidden": 8, "capacity": 8, "batch": 4, "warmup": 2} for name in ("iql", "vdn", "qmix")},
    "pg": {"hidden": 8},
    "random": {},
}
QUICK: dict[str, Any] = {"seeds": 2, "envs": 3, "iterations": 4, "chunk": 2, "evaluations": 2, "evaluation_episodes": 2,
         "final_episodes": 2}  # fmt: skip


def settings(algorithm: str, **more):
    known = comity.algorithm(algorithm).__dataclass_fields__
    return comity.algorithm(algorithm, **{k: v for k, v in (SMALL[algorithm] | more).items() if k in known})


def built(game, algorithm, games=3, episodes=2):
    return compiling.built(from_objects(game, algorithm), games, 4, episodes)


def updated(game, algorithm: str, iterations: int = 3):
    """A learner's state after some updates."""
    one = built(game, settings(algorithm))
    try:
        key = jax.random.key(0)
        carry = one.chunk(one.floats, key, 0, iterations, one.init(one.floats, key))[0]
        return carry.state
    finally:
        one.close()


@pytest.mark.parametrize("algorithm", ["ippo", "iql", "vdn", "qmix"])
def test_a_cut_teaches_the_same_whoever_makes_it(algorithm):
    """The environment, emptying `agents` or not, and comity: one rollout, so one learner, to the bit."""
    right = updated(interop.from_pettingzoo(functools.partial(Always, 1000), 4), algorithm)
    for make in (functools.partial(Always, 4), functools.partial(Always, 4, empties=False)):
        found = updated(interop.from_pettingzoo(make, 4), algorithm)
        jax.tree.map(np.testing.assert_array_equal, *(jax.tree.map(films.plain, x) for x in (right, found)))


def rollout_of(game, algorithm, iterations=1, first=0):
    """Rollouts as `update` is given them. first: the iteration with which a process begins."""
    one, taken = stepping.Stepping(algorithm.make, algorithm.config, game, 3, 4, 2), []

    def update(values, key, state, totals, steps):
        taken.append(steps)
        return one.update(values, key, state, totals, steps)

    parts = {"act": jax.jit(one.act), "update": update}
    carry = one.init(one.floats, jax.random.key(0))
    one.chunk(parts, one.floats, jax.random.key(0), first, iterations, carry)
    one.close()
    return taken


class Uniform:
    """Random play, with rollouts of either kind."""

    config = None

    def __init__(self, whole: bool, steps: int = 7):
        self.whole, self.steps = whole, steps

    def make(self, config, env):
        from comity.algorithms import random

        made = random.make(random.Config(), env)
        return made._replace(whole_episodes=self.whole, steps=self.steps)


def test_rollouts_of_whole_episodes():
    (steps,) = rollout_of(interop.from_pettingzoo(functools.partial(Measured, 5), 8), Uniform(True))
    np.testing.assert_array_equal(steps.info["halves"].sum(0), 2.5)  # none in padding
    assert steps.valid.shape == (8, 3)
    np.testing.assert_array_equal(steps.valid.sum(0), 5)
    np.testing.assert_array_equal(steps.truncated.argmax(0), 4)
    np.testing.assert_array_equal(steps.truncated.sum(0), 1)
    assert (steps.reward[5:] == 0).all()
    assert (steps.reward[:5] == 1).all()
    np.testing.assert_array_equal(steps.observation.view[1:], steps.next_observation.view[:-1])
    assert len(np.unique(steps.observation.view[0])) > 1  # each place has an episode of its own


def test_rollouts_that_go_on():
    first, second = rollout_of(interop.from_pettingzoo(functools.partial(Draws, 5), 8), Uniform(False), 2)
    for steps in (first, second):
        assert steps.valid.all()
        assert steps.valid.shape == (7, 3)
    np.testing.assert_array_equal(np.flatnonzero(first.truncated[:, 0]), [4])
    np.testing.assert_array_equal(np.flatnonzero(second.truncated[:, 0]), [2])
    view, following = first.observation.view, first.next_observation.view
    np.testing.assert_array_equal(view[1:5], following[:4])
    assert (view[5] != following[4]).all()  # what the cut game showed, and the new one
    np.testing.assert_array_equal(second.observation.view[0], following[-1])


def test_memory_begins_anew_with_an_episode():
    """An actor that counts its steps."""

    class Counter(Uniform):
        def make(self, config, env):
            def act(key, state, memory, observation, explore=True):
                return jnp.zeros(observation.available.shape[:-1], jnp.int32), memory + 1, {}

            return super().make(config, env)._replace(act=act, memory=jnp.zeros(2))

    cut = functools.partial(Always, 5)
    (on,) = rollout_of(interop.from_pettingzoo(cut, 8), Counter(False))
    np.testing.assert_array_equal(on.memory[:, 0, 0], [0, 1, 2, 3, 4, 0, 1])
    np.testing.assert_array_equal(on.next_memory[:, 0, 0], [1, 2, 3, 4, 5, 1, 2])
    (whole,) = rollout_of(interop.from_pettingzoo(cut, 8), Counter(True))
    np.testing.assert_array_equal(whole.memory[:, 0, 0], [0, 1, 2, 3, 4, 5, 5, 5])


class Numbered(Uniform):
    """Its memory has the number of the episode."""

    def make(self, config, env):
        return super().make(config, env)._replace(memory=EpisodeNumber(jnp.zeros(2, jnp.int32)))


def test_numbers_of_episodes_go_on_after_a_resume():
    game = interop.from_pettingzoo(functools.partial(Always, 5), 8)
    unbroken = rollout_of(game, Numbered(True), 3)
    (resumed,) = rollout_of(game, Numbered(True), 1, first=2)
    assert (unbroken[0].memory.number == 0).all()
    np.testing.assert_array_equal(resumed.memory.number, unbroken[2].memory.number)


def test_an_evaluation_plays_whole_episodes_of_both_policies():
    game = interop.from_pettingzoo(functools.partial(Leaves, 6), 9)
    one = built(game, settings("random"), games=2, episodes=5)  # in three rounds, the last in part
    key = jax.random.key(0)
    found = one.evaluate(one.floats, np.int32(0), key, one.init(one.floats, key).state)
    one.close()
    for policy in ("sampled", "greedy"):
        np.testing.assert_array_equal(found[policy]["length"], [6] * 5)
        np.testing.assert_array_equal(found[policy]["return"], [[2, 6]] * 5)
        np.testing.assert_array_equal(found[policy]["welfare_sum"], [8] * 5)
    assert not found["faults"]["endless"].any()


def lines(run, name):
    return [json.loads(x) for x in (run.path / name).read_text().splitlines()]


def test_a_run_like_any_other(tmp_path):
    """Directory, evaluations, loading, new episodes, a film."""
    game = interop.from_pettingzoo(Measured, 4)
    assert (game.spec.headline, game.spec.mixed_motive) == ("halves", False)
    run = comity.train(game, settings("ippo"), out=tmp_path, progress=False, **QUICK)
    config = (run.path / "config.yaml").read_text()
    assert "pettingzoo:parallel.py:Measured@" in config
    assert [x["iteration"] for x in lines(run, "metrics.jsonl")] == [2, 2, 4, 4]
    assert [x["env_steps"] for x in lines(run, "metrics.jsonl")] == [36, 36, 72, 72]  # 2 iterations x 6 steps x 3 games
    assert {(x["mean"]["return"], x["mean"]["halves"]) for x in lines(run, "eval.jsonl")} == {(4.0, 2.0)}
    assert {x["halves"] for x in lines(run, "metrics.jsonl")} == {2.0}
    loaded = comity.load(run.path)
    jax.tree.map(np.testing.assert_array_equal, loaded.arrays(1), run.arrays(1))
    assert [x["mean"]["return"] for x in loaded.play(3)] == [4.0] * 4
    film = loaded.film(games=3)
    assert film.frames is not None
    assert film.length == 4
    np.testing.assert_array_equal(film.frames[:, 0, 0, 0], range(5))
    assert film.agent_names == ("a", "b")


@pytest.mark.parametrize(("algorithm", "anew"), [("ippo", True), ("pg", False)])
def test_resume(algorithm, anew, tmp_path):
    """The learner goes on as it stood. Learners from whole episodes then learn what an unbroken run does, to the bit;
    for the others new episodes begin, and the run says so."""
    recipe = from_objects(interop.from_pettingzoo(Draws, 4), settings(algorithm))
    whole = train(recipe, Training(**QUICK), tmp_path / "whole")
    half = train(recipe, Training(**{**QUICK, "iterations": 2, "evaluate_every": 2}), tmp_path / "half")
    (before,) = [x for x in half.saved() if int(x.stem) == 2]
    state, told = before.read_bytes(), []
    resume(half, 4, listen=lambda event, facts: told.append((event, facts)), recipe=recipe)
    said = [facts["text"] for event, facts in told if event == "note"]
    assert said == ["where the games stood is in no checkpoint: they begin new episodes"] * anew
    assert half.manifest().get("episodes_begun_anew", []) == [2] * anew
    assert before.read_bytes() == state
    last = [comity.load(x.path, recipe=recipe).arrays(0) for x in (whole, half)] if not anew else []
    jax.tree.map(np.testing.assert_array_equal, *last or ((), ()))
    assert [x["iteration"] for x in half.lines("metrics.jsonl")] == [2, 2, 4, 4]
    assert all(math.isfinite(x["mean"]["return"]) for x in half.lines("eval.jsonl"))


def test_seeds_do_not_depend_on_each_other(tmp_path):
    game = interop.from_pettingzoo(Draws, 4)
    both = comity.train(game, settings("ippo"), out=tmp_path, progress=False, **QUICK)
    alone = comity.train(game, settings("ippo"), out=tmp_path, progress=False, **{**QUICK, "seeds": 1, "first_seed": 1})
    jax.tree.map(np.testing.assert_array_equal, both.arrays(1), alone.arrays(1))
    assert any((x != both.arrays(0)[name]).any() for name, x in both.arrays(1).items())


def test_an_environment_that_breaks_ends_the_run_in_a_line(tmp_path):
    class Breaks(Draws):
        def step(self, actions):
            if self.time == 2:
                raise ValueError("the simulator is gone")
            return super().step(actions)

    with pytest.raises(ValueError, match="the simulator is gone"):
        comity.train(interop.from_pettingzoo(Breaks, 4), settings("pg"), out=tmp_path, progress=False, **QUICK)


def test_a_function_that_no_file_defines_is_given_again(tmp_path):
    make = lambda: Draws(3)  # noqa: E731
    run = comity.train(interop.from_pettingzoo(make, 4), settings("pg"), out=tmp_path, progress=False, **QUICK)
    with pytest.raises(ValueError, match=r"comity.load\(RUN, env=..., algorithm=...\)"):
        comity.load(run.path)
    again = comity.load(run.path, env=interop.from_pettingzoo(make, 4))
    assert [x["mean"]["length"] for x in again.play(2)] == [3.0] * 4


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ippo", "iql"])
def test_an_endless_reward_of_1_is_worth_10_at_gamma_0_9(algorithm, tmp_path):
    more = {"ippo": {"learning_rate": 3e-3, "critic_learning_rate": 3e-3}, "iql": {"learning_rate": 3e-3, "tau": 0.05}}[
        algorithm
    ]
    config = comity.algorithm(algorithm, None, gamma=0.9, **more)
    game = interop.from_pettingzoo(Always, 9)
    run = comity.train(
        game, config, out=tmp_path, progress=False, seeds=1, envs=8, iterations=400, evaluations=1,
        evaluation_episodes=1, final_episodes=1,
    )  # fmt: skip
    seen = comity.Observation(jnp.ones((2, 1)), jnp.ones(2), jnp.ones((2, 2), bool))
    _, _, notes = run.act(jax.random.key(0), run.memory, seen)
    value = notes["value"] if "value" in notes else notes["values"].max(-1)
    np.testing.assert_allclose(value, 10, atol=0.3)
