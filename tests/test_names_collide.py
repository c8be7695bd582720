"""No name of a game or an algorithm hides a number in a run's files; `reset` gets only what it asks for."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import comity
from comity import rollout
from comity.checking import refuse
from comity.checking.tiny import Tiny
from comity.environments.wrappers.messages import Messages
from comity.recipes import from_objects
from comity.runs import keys
from comity.runs.keys import together
from comity.spec import Discrete, Spec, Vector
from comity.types import Algorithm, Observation, Timestep


class Named:
    """Two agents, four steps; info holds an amount under `key`, one for each agent if it is asked for."""

    spec = Spec(agents=2, view=Vector(1), action=Discrete(2), length=4, state=Vector(2))

    def __init__(self, key: Any = "mine", each: bool = False):
        self.key, self.each = key, each

    def see(self, time):
        view = jnp.full((2, 1), time, jnp.float32)
        return Observation(view, view.reshape(-1), jnp.ones((2, 2), bool))

    def reset(self, key):
        return jnp.int32(0), self.see(0)

    def step(self, key, time, action):
        info = {self.key: jnp.full(2, 0.25) if self.each else jnp.float32(0.25)}
        return time + 1, Timestep(self.see(time), jnp.ones(2), jnp.bool_(False), time >= 3, info)


class Summed(Named):
    def summary(self, reward, info, valid):
        return {self.key: reward.sum(0)}

    def step(self, key, time, action):
        time, timestep = super().step(key, time, action)
        return time, timestep._replace(info={})


def refused(env: Any, algorithm: Any = "random") -> str:
    recipe = from_objects(env, algorithm)
    with pytest.raises(ValueError, match="choose another") as error:
        refuse(recipe.make, recipe.config, recipe.env)
    assert "\n" not in str(error.value)
    return str(error.value)


TAKEN = [*sorted(keys.RESERVED - {"extra_steps", "return", "length"}), "mine.0", "a\x1b[31m", "", 3, "two\nlines"]
TAKEN_IN_INFO = ["return", "length"]  # a summary may tell those itself, as that of a game with a scripted player does


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, n) for kind in (Named, Summed) for n in TAKEN + TAKEN_IN_INFO * (kind is Named)]
)
def test_names_that_are_taken(kind, name):
    where = "info" if kind is Named else "summary"
    assert refused(kind(name)).startswith(f"{where} has the name {name!r}, ")


def test_every_key_of_the_files_and_tables_is_reserved(tmp_path):
    """Read from a run of today, so that a new key is not forgotten."""
    from comity.report.table import KEYS, OF_EVALUATIONS

    run = comity.train("matrix", "pg", out=tmp_path, progress=False, seeds=1, envs=2, iterations=1, evaluations=1,
                       evaluation_episodes=2, final_episodes=2)  # fmt: skip
    found = {key for line in run.directory.lines("eval.jsonl") for key in line}
    metrics = {key for line in run.directory.lines("metrics.jsonl") for key in line}
    found |= {"seed", "iteration", "env_steps"} & metrics
    assert found | set(KEYS) | set(OF_EVALUATIONS) <= keys.RESERVED
    assert {"entropy", "return.0", "optimal"} <= metrics


@pytest.mark.parametrize("name", ["entropy", "critic_loss", "gradient_norm"])
@pytest.mark.parametrize("kind", [Named, Summed])
def test_names_of_the_algorithms_metrics(kind, name):
    assert refused(kind(name), "pg").startswith(f"info or summary has the name {name!r}, which the algorithm's")
    recipe = from_objects(kind(name), "random")
    refuse(recipe.make, recipe.config, recipe.env)  # which has no such metric


def with_metric(name: str) -> Algorithm:
    random = from_objects("matrix", "random")
    one = random.make(random.config, Tiny())
    return one._replace(update=lambda key, state, steps: (state, {name: jnp.float32(1)}))


@pytest.mark.parametrize("name", ["seed", "policy", "label", "return", "loss.1", "welfare_sum"])
def test_metrics_that_are_taken(name):
    assert refused(Named(), with_metric(name)).startswith(f"update's metric {name!r} has a name ")


def test_a_metric_with_the_name_of_a_statistic_of_one_agent():
    """What slips through the checks, as of what is shipped, is no line of a file, either."""
    assert keys.shared(["right"], ["right.1"], 2) == ["right"]
    for statistics, metrics in (({"right.1": 1}, {"right.1": 2}), ({"policy": 1}, {}), ({}, {"seed": 1})):
        with pytest.raises(ValueError, match=r"two numbers .* are called '(right\.1|policy|seed)'"):
            together(statistics, metrics, {})
    assert together({"a": 1}, {"b": 2}, {"env_steps": 3}) == {"a": 1, "b": 2, "env_steps": 3}


def test_what_is_not_taken_is_written(tmp_path):
    """0.25 in each of four steps, in both files, beside the line's own numbers."""
    game: Any = Named("mean_seed", each=True)
    run = comity.train(game, "random", out=tmp_path, progress=False, seeds=1, first_seed=3, envs=2,
                       iterations=2, chunk=1, evaluations=1, evaluation_episodes=2, final_episodes=2)  # fmt: skip
    metrics, line = run.directory.lines("metrics.jsonl")[-1], run.directory.lines("eval.jsonl")[-1]
    assert (metrics["seed"], metrics["iteration"], metrics["env_steps"]) == (3, 2, 16)
    assert metrics["mean_seed"] == metrics["mean_seed.1"] == line["mean"]["mean_seed"] == 1.0


# ---------------------------------------------------------------------- what reset is given


class Hard(Named):
    """Views tell the difficulty and the number of the episode."""

    spec = dataclasses.replace(Named.spec, view=Vector(2), state=Vector(4))

    def start(self, difficulty, episode):
        view = jnp.broadcast_to(jnp.array([difficulty, episode], jnp.float32), (2, 2))
        return view, Observation(view, view.reshape(-1), jnp.ones((2, 2), bool))

    def reset(self, key, difficulty=0.5):
        return self.start(difficulty, -1)

    def step(self, key, view, action):
        seen = Observation(view, view.reshape(-1), jnp.ones((2, 2), bool))
        return view, Timestep(seen, jnp.ones(2), jnp.bool_(True), jnp.bool_(False), {})


class Gymnax(Hard):
    def reset(self, key, params=None):
        return self.start(0.5 if params is None else 9, -1)


class Both(Hard):
    def reset(self, key, difficulty=0.5, episode=0):
        return self.start(difficulty, episode)


class OnlyNamed(Hard):
    def reset(self, key, *, episode, difficulty=0.5):
        return self.start(difficulty, episode)


class ByPlace(Hard):
    def reset(self, key, episode, /, difficulty=0.5):
        return self.start(difficulty, episode)


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize(("game", "number"), [(Hard, -1), (Gymnax, -1), (Both, 7), (OnlyNamed, 7), (ByPlace, 7)])
def test_reset_gets_the_episode_by_name_only(game, number, around):
    env = Messages(game()) if around else game()
    comity.check(game())
    play = rollout.start(jax.random.key(0), env, (), 3, 7)
    assert play.observation.view[..., :2].tolist() == [[[0.5, number]] * 2] * 3


def test_another_argument_that_must_be_given_is_refused():
    class Must(Hard):
        def reset(self, key, difficulty):
            return self.start(difficulty, -1)

    with pytest.raises(ValueError, match=r"reset .*missing 1 required positional argument: 'difficulty'"):
        comity.check(Must())
