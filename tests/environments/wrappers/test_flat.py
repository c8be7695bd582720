"""Wrapped games by name: one game with the fields of both."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.matrix.ipd import IPD
from comity.environments.wrappers.flat import comments, flattened
from comity.environments.wrappers.preferences import Preferences
from comity.environments.wrappers.scripted import Scripted
from comity.recipes import find_task, from_config, from_objects


def test_a_name_and_settings_say_game_and_wrapper():
    source = find_task("ipd+rusp")
    env = source.thing(length=7, sharing="full", uncertainty=0.5)
    made = Preferences(IPD(length=7), sharing="full", uncertainty=0.5)
    assert env.spec == made.spec
    assert (env.spec.length, env.sharing) == (7, "full")
    key = jax.random.key(0)
    for mine, theirs in zip(jax.tree.leaves(env.reset(key)), jax.tree.leaves(made.reset(key)), strict=True):
        assert jnp.array_equal(mine, theirs)
    assert source.presets.keys() == {"coala", "rusp", "lola"}
    assert source.version == "1+1"
    assert find_task("ipd+rusp").thing is source.thing  # games of two runs can be compared
    assert source.thing() == source.thing()
    assert source.thing() != source.thing(sharing="full")


def test_wrappers_go_around_each_other():
    env = find_task("ipd+messages+rusp").thing(symbols=3)
    assert env.spec.action.n == 6
    assert env.spec.view.size == 5 + 3 + 6
    assert find_task("ipd+messages").thing().spec.mixed_motive


def test_a_setting_of_both_is_the_wrappers_and_the_games_has_another_name():
    source = find_task("manitokan+rusp")
    env = source.thing(length=4, game_observe="last-action", observe="shares")
    assert env == from_objects(Preferences(Manitokan(length=4, observe="last-action"), observe="shares"), "ippo").env
    assert (env.spec.view.size, env.observe) == (Manitokan(observe="last-action").spec.view.size + 2 + 4, "shares")
    assert comments(source.thing)["game_observe"].startswith("or some of EXTRAS")


def test_settings_are_explained():
    said = comments(find_task("ipd+messages+rusp").thing)
    assert said["payoffs"].startswith("own points for CC")
    assert said["smallest_team"].startswith("smallest team of a partition")
    assert "sees" in said
    assert "outcome: one-hot" in said["sees"]
    assert said["symbols"].startswith("K")
    assert "smallest_team: smallest team of a partition" in (find_task("ipd+rusp").thing.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ipd+rups", "unknown wrapper 'rups'; did you mean rusp"),
        ("ipdd+rusp", "unknown task 'ipdd'; did you mean ipd"),
        ("ipd+rusp+rusp", "both have a setting sharing"),
    ],
)
def test_names_that_are_none(name, line):
    with pytest.raises(ValueError, match=line):
        find_task(name)


def test_what_a_wrapper_refuses_is_refused_at_once():
    with pytest.raises(ValueError, match="Matrix has no script"):
        find_task("matrix+scripted").thing()
    with pytest.raises(ValueError, match="IPD has no script 'all-x'; did you mean all-d"):
        find_task("ipd+scripted").thing(script="all-x")


def test_a_wrapper_whose_setting_has_no_default_has_no_name():
    @dataclasses.dataclass(frozen=True)
    class Demanding:
        game: object
        amount: int

    with pytest.raises(ValueError, match="amount has no default"):
        flattened(Demanding, IPD, "IPD+demanding")


def test_a_wrapped_object_gets_its_name_and_comes_back_from_a_config():
    recipe = from_objects(Preferences(Scripted(IPD(length=4), "all-d").game, sharing="full"), "ippo")
    assert recipe.task.name == "ipd+rusp"
    assert recipe.env == find_task("ipd+rusp").thing(length=4, sharing="full")
    again = from_config(recipe.describe())
    assert again.env == recipe.env
    assert again.task.name == "ipd+rusp"
    assert from_objects(recipe.env, "ippo").task.name == "ipd+rusp"


def test_a_setting_gives_way_to_what_the_whole_calls_by_its_name():
    source = find_task("ipd+learners")
    env = source.thing(inner_length=3, episodes=4, games=2)
    assert env.spec.length == 12
    assert env.spec.meta.length == 3
    assert source.presets["rusp"]["inner_length"] == 100
    assert comments(source.thing)["inner_length"].startswith("most steps of an episode")
    around = find_task("manitokan+learners").thing(inner_length=3, episodes=4, games=8)
    assert (around.spec.agents, around.inner_agents, around.spec.length) == (8, 2, 12)
    _, observation = jax.eval_shape(around.reset, jax.random.key(0))
    assert observation.view.shape == (8, around.spec.view.size)


def test_a_setting_answers_for_itself_and_the_spec_for_the_whole():
    @dataclasses.dataclass(frozen=True)
    class Halved:
        game: Manitokan
        share: float = 0.5

        @property
        def spec(self):
            return dataclasses.replace(self.game.spec, agents=self.game.spec.agents // 2)

        def reset(self, key):
            return self.game.reset(key)

        def step(self, key, state, action):
            return self.game.step(key, state, action)

    env = flattened(Halved, Manitokan, "Manitokan+halved")(num_agents=4)
    assert (env.num_agents, env.spec.agents) == (4, 2)
