"""A game's spec is true, and a wrapper passes on what it does not change."""

import dataclasses
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from comity.environments import TASKS, WRAPPERS
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.matrix.ipd import IPD
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers.messages import Messages
from comity.environments.wrappers.preferences import Preferences
from comity.environments.wrappers.scripted import Scripted
from comity.recipes import find_task
from comity.spec import (
    Box,
    Discrete,
    Entities,
    Functions,
    Image,
    MetaEpisodes,
    MultiDiscrete,
    Spec,
    Vector,
    functions,
)
from comity.types import begin

KEY = jax.random.key(0)


def playable() -> list[str]:
    """Every task, alone and in every wrapper that takes it."""
    names = list(TASKS)
    for name in TASKS:
        for wrapper in WRAPPERS:
            try:
                find_task(f"{name}+{wrapper}").thing()
            except ValueError:
                continue
            names.append(f"{name}+{wrapper}")
    return names


def test_which_wrappers_take_which_tasks():
    """So that the next test has something to try."""
    names = playable()
    assert {"ipd+rusp", "ipd+scripted", "ipd+learners", "manitokan+messages", "prisoners-buddy+rusp"} <= set(names)
    assert "prisoners-buddy+messages" not in names


@pytest.mark.parametrize("name", playable())
def test_the_spec_agrees_with_what_reset_shows(name):
    env = find_task(name).thing()
    spec = env.spec
    _, observation = jax.eval_shape(lambda key: begin(env, key, jnp.int32(0)), KEY)
    assert observation.view.shape == (spec.agents, *spec.view.shape)
    assert observation.state.size == spec.state.size
    available = observation.available if isinstance(spec.action, MultiDiscrete) else (observation.available,)
    counts = (spec.action.n,) if isinstance(spec.action, Box) else spec.action.heads
    assert [x.shape for x in available] == [(spec.agents, n) for n in counts]
    for labels in (spec.agent_names, spec.agent_colours):
        assert len(labels) in (0, spec.agents)
    for names, entities, size in (
        ("view", spec.view.entities, spec.view.size),
        ("private", spec.private.entities, spec.private.size),
    ):
        if entities:
            columns = sorted([*entities.own, *(c for other in entities.others for c in other)])
            assert columns == list(range(size)), names  # every number once
            assert len(entities.others) == len(entities.offsets)


def test_sizes_and_shapes():
    assert (Vector(4).shape, Vector(4).size) == ((4,), 4)
    assert (Image(5, 6, 3).shape, Image(5, 6, 3).size) == ((5, 6, 3), 90)
    assert Discrete(3).heads == (3,)
    assert (MultiDiscrete((2, 4)).n, MultiDiscrete((2, 4)).heads) == (6, (2, 4))
    assert hash(Spec(2, Vector(4), Box(2), 3)) == hash(Spec(2, Vector(4), Box(2), 3))


@dataclass(frozen=True)
class Quiet:
    """A wrapper that changes nothing but the length."""

    game: Any

    @property
    def spec(self) -> Spec:
        return replace(self.game.spec, length=1)

    @property
    def functions(self) -> Functions:
        return functions(self.game)._replace(draw=None)


FULL = Spec(
    2,
    Vector(4, Entities((0,), ((1, 2, 3),), (1,))),
    MultiDiscrete((2, 1), pointer=1),
    9,
    state=Vector(8),
    history=1,
    private=Vector(2),
    mixed_motive=True,
    headline="sum",
    best_symmetric=1.0,
    scripts=("all-c",),
    dilemma=("all-c", "all-d"),
    meta=MetaEpisodes(1, 2, 3, 1, 1),
    roles=("taker", "giver"),
    agent_names=("a", "b"),
    agent_colours=("#000000", "#ffffff"),
    action_names=(("x", "y"), ("z",)),
    event_names=(),
    event_words=(("a", "does a thing"),),
    event_states=("a",),
    event_marks=(("a", "thing"),),
    unread=frozenset({"size"}),
)


def test_a_wrapper_hands_on_what_it_does_not_name():
    plain = Spec(2, Vector(4), Discrete(2), 9)
    unlike = [f.name for f in dataclasses.fields(Spec) if getattr(FULL, f.name) != getattr(plain, f.name)]
    assert {*unlike, "agents", "length"} == {f.name for f in dataclasses.fields(Spec)}  # so that nothing is left out
    wrapped = Quiet(type("Full", (), {"spec": FULL})()).spec
    assert wrapped == replace(FULL, length=1)


class Own:
    spec = FULL

    def draw(self, state):
        return state

    def collective(self, steps):
        return steps


def test_functions_of_a_game_are_its_methods():
    game = Own()
    assert functions(game) == Functions(draw=game.draw, collective=game.collective)
    assert functions(object()) == Functions()


def test_functions_of_a_wrapper_are_what_it_says():
    game = Own()
    assert functions(Quiet(game)) == Functions(collective=game.collective)
    assert functions(Quiet(Quiet(game))) == functions(Quiet(game))


@pytest.mark.parametrize("name", Functions._fields)
def test_what_wrappers_do_with_functions(name):
    """Each wrapper has of a function what its state and its actions let it have."""
    has = {
        Messages(Manitokan()): {"draw", "draw_view", "summary", "pack", "unpack", "collective"},
        Messages(Manitokan(reward="inject")): {
            "draw",
            "draw_view",
            "summary",
            "pack",
            "unpack",
            "collective",
            "training_reward",
        },
        Messages(IPD()): {"summary"},
        Preferences(IPD()): {"summary", "script", "sharing"},
        Preferences(PrisonersBuddy()): {"summary", "counts", "sharing"},
        Scripted(IPD()): {"summary"},
        find_task("ipd+learners").thing(): {"summary", "step_games"},
    }
    for env, names in has.items():
        assert (getattr(functions(env), name) is not None) == (name in names), env


def test_a_flat_task_answers_as_its_wrapper():
    flat, whole = find_task("ipd+rusp").thing(length=4), Preferences(IPD(length=4))
    assert flat.spec == whole.spec
    assert [f is None for f in functions(flat)] == [f is None for f in functions(whole)]
    assert "spec" not in {f.name for f in dataclasses.fields(flat)}


def test_an_own_past_stays_last():
    game = Manitokan(observe="last-action")
    assert game.spec.history == 6
    for wrapped in (Messages(game), Preferences(game)):
        assert wrapped.spec.history == 6
        seen = jax.jit(wrapped.reset)(KEY)[1].view
        alone = jax.jit(game.reset)(KEY)[1].view
        assert (seen[:, -6:] == alone[:, -6:]).all()


def test_preferences_say_which_numbers_are_about_whom():
    """Columns are those of `entities` before they were part of a view."""
    spec = Preferences(IPD(sees="actions"), privileged="all").spec
    assert spec.view.entities == Entities((0, 2, 3, 4), ((1, 5, 6, 7, 8),), (1,))
    assert spec.private.size == 1 + 4 + 4 + 6
    assert spec.private.entities == Entities((0, 5, 6, 7, 8), ((1, 2, 3, 4, 9, 10, 11, 12, 13, 14),), (1,))
    assert spec.state.size == 4 + 2 * spec.private.size
