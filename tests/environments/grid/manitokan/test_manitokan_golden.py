"""Manitokan equals the original step by step, and a change of any one rule is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import manitokan_golden as golden
import pytest

from comity.environments.grid import geometry
from comity.environments.grid.manitokan import observations, rewards, rules

STEPS = {
    "random_T150": 300,
    "random_T300": 300,
    "guided": 76,
    "guided_order10": 49,
    "guided_orderrand": 72,
    "hoard0": 25,
    "signals": 43,
    "oracle": 54,
    "punish": 121,
    "collective_only": 35,
    "individual_only": 42,
    "n3": 63,
}
FIELDS = {
    *("s_pos", "s_dir", "s_key", "s_doors", "s_carry", "s_opened", "s_goal", "s_avail", "s_state", "s_obs"),
    *("s_scene", "s_layers", "s_vis", "s_window", "rewards", "done"),
}


def test_every_recorded_step_is_equal():
    wrong, steps = golden.mismatches(golden.episodes())
    assert steps == STEPS  # no scenario and no step was skipped
    assert sum(steps.values()) == 1180
    assert set(wrong) == FIELDS
    assert not any(wrong.values()), wrong


def test_the_records_have_the_events_that_matter():
    episodes = golden.episodes()
    assert len(episodes) == 23
    assert {e["scenario"] for e in episodes} == set(STEPS)
    assert all((e["s_goal"][-1].all()) == e["success"] for e in episodes)
    assert sum(int(e["s_goal"][-1].sum()) for e in episodes) == 39  # doors opened


Rule = Callable[..., Any]


def reversed_turns(act: Rule) -> Rule:
    return lambda game, state, action, front, mine: act(game, state, action, front, mine[::-1])


def everything_visible(visible: Rule) -> Rule:
    return lambda opaque: jnp.ones_like(opaque)


def sight_in_straight_lines(visible: Rule) -> Rule:
    def mutant(opaque):
        near, far = ~opaque[..., 2], ~opaque[..., 2] & ~opaque[..., 1]
        return jnp.stack([far, near, jnp.ones_like(near)], -1)

    return mutant


def doors_stay(act: Rule) -> Rule:
    return lambda game, state, *rest: act(game, state, *rest)._replace(doors=state.doors)


def key_leaves_with_its_door(act: Rule) -> Rule:
    def mutant(game, state, *rest):
        after = act(game, state, *rest)
        return after._replace(holding=after.holding & ~(after.opened & ~state.opened))

    return mutant


def key_can_be_walked_over(blocked: Rule) -> Rule:
    return lambda game, state, cell: blocked(game, state._replace(key=jnp.array([-1, -1])), cell)


def agents_block(blocked: Rule) -> Rule:
    def mutant(game, state, cell):
        return blocked(game, state, cell) | (cell[:, None] == state.position).all(-1).any(-1)

    return mutant


def any_door_opens(act: Rule) -> Rule:
    def mutant(game, state, action, front, mine):
        swapped = act(game, state._replace(doors=state.doors[::-1]), action, front, mine)
        plain = act(game, state, action, front, mine)
        return plain._replace(opened=plain.opened | swapped.opened)

    return mutant


def paid_again(parts: Rule) -> Rule:
    def mutant(game, before, after, action):
        return parts(game, before._replace(opened=before.opened & ~before.opened.all()), after, action)

    return mutant


def paid_with_the_key(parts: Rule) -> Rule:
    """One event too early: for taking the key instead of for opening the door."""

    def mutant(game, before, after, action):
        _, collective = parts(game, before, after, action)
        return (after.holding & ~before.holding) * 0.5, collective

    return mutant


def collective_for_the_opener(parts: Rule) -> Rule:
    def mutant(game, before, after, action):
        individual, collective = parts(game, before, after, action)
        return individual, collective * (after.opened & ~before.opened)

    return mutant


def signal_remembers(door_signal: Rule) -> Rule:
    return lambda game, state: state.opened


def penalty_for_keeping(penalty: Rule) -> Rule:
    return lambda game, before, *rest: 0.5 * (before.holding & before.opened & (game.reward == "punish"))


def all_doors_needed(completed: Rule) -> Rule:
    return lambda game, state: state.opened.all()


def turned_around(direction: Rule) -> Rule:
    return lambda heading: direction(heading ^ 2)


MUTANTS: list[tuple[Any, str, Rule, str, str]] = [  # where the rule is looked up, its name, its mutant, the scenario
    # that notices, and the field in which it does
    (rules, "act", reversed_turns, "collective_only", "s_pos"),
    (observations, "visible", everything_visible, "guided", "s_vis"),
    (observations, "visible", sight_in_straight_lines, "guided", "s_vis"),
    (rules, "act", doors_stay, "guided", "s_doors"),
    (rules, "act", key_leaves_with_its_door, "guided", "s_carry"),
    (rules, "blocked", key_can_be_walked_over, "random_T150", "s_pos"),
    (rules, "blocked", agents_block, "random_T150", "s_pos"),
    (rules, "act", any_door_opens, "random_T150", "s_goal"),
    (rewards, "parts", paid_again, "guided", "rewards"),
    (rewards, "parts", paid_with_the_key, "guided", "rewards"),
    (rewards, "parts", collective_for_the_opener, "guided", "rewards"),
    (observations, "door_signal", signal_remembers, "oracle", "s_opened"),
    (rewards, "penalty", penalty_for_keeping, "punish", "rewards"),
    (rules, "completed", all_doors_needed, "n3", "done"),
    (geometry, "direction", turned_around, "hoard0", "s_pos"),
]


@pytest.mark.parametrize(
    ("where", "rule", "mutant", "scenario", "field"), MUTANTS, ids=[m[2].__name__ for m in MUTANTS]
)
def test_another_rule_is_noticed(monkeypatch, where, rule, mutant, scenario, field):
    monkeypatch.setattr(where, rule, mutant(getattr(where, rule)))
    wrong, _ = golden.mismatches([e for e in golden.episodes() if e["scenario"] == scenario], views=field == "s_vis")
    assert wrong[field] > 0, wrong
