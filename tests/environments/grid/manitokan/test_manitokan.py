"""Manitokan, option by option, on layouts small enough to check by hand.

Views are read as window[agent, column, row] = (object, colour, state); the viewer stands in column 1, row 2.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.grid.manitokan.game import PROFILES, Manitokan
from comity.environments.grid.manitokan.injection import released
from comity.environments.grid.manitokan.layouts import order_of_turns
from comity.environments.grid.manitokan.observations import colour
from comity.environments.grid.manitokan.state import DROP, FORWARD, LEFT, PICKUP, RIGHT, TOGGLE
from comity.environments.grid.manitokan.statistics import success_residual
from comity.types import Environment

EMPTY, WALL, KEY = (1, 0, 0), (2, 5, 0), (5, 2, 0)
KEY_OF_TIME = jax.random.key(0)  # `step` draws nothing

# Agent 0 in a corner, facing its own door with the key in hand; agent 1 far away, facing its own door.
READY: dict[str, Any] = {"position": [[1, 1], [3, 4]], "heading": [0, 0], "doors": [[2, 1], [4, 4]], "holder": 0}
# Both face the key.
CONTEST: dict[str, Any] = {"position": [[2, 2], [4, 2]], "heading": [0, 2], "doors": [[1, 4], [4, 4]], "key": [3, 2]}


def built(game: Manitokan, **layout: Any):
    return game.build(**layout)


def play(game, state, *actions):
    """The states after each joint action, and what the steps returned."""
    # Two agents without jit: their small operations are compiled once for all options.
    step = game.step if game.num_agents == 2 else jax.jit(game.step)
    found = []
    for action in actions:
        state, timestep = step(KEY_OF_TIME, state, jnp.array(action))
        found.append(SimpleNamespace(state=state, **timestep._asdict()))
    return found


def window(observation, agent, column, row):
    return tuple(np.asarray(observation.view)[agent, :27].reshape(3, 3, 3)[column, row].tolist())


# Options and errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        PROFILES["released"],
        {"observe": "door-signal+key-signal+last-action+agent-id", "signals": "raw"},
        {"num_agents": 1},
        {"num_agents": 3, "observe": "agent-id"},
        {"num_agents": 4, "placement": "uniform", "window": "centred"},
        {"num_agents": 6, "pickup": "own_cell"},
    ],
)
def test_sizes_and_types_are_as_declared(options):
    game = Manitokan(**options)
    assert isinstance(game, Environment)
    hash(game)
    state, first = jax.eval_shape(game.reset, KEY_OF_TIME)
    after, timestep = jax.eval_shape(game.step, KEY_OF_TIME, state, jnp.zeros(game.num_agents, jnp.int32))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    n = game.num_agents
    for observation in (first, timestep.observation):
        assert observation.view.shape == (n, game.spec.view.size)
        assert observation.state.shape == (game.spec.state.size,)
        assert observation.available.shape == (n, game.spec.action.n)
        assert (observation.view.dtype, observation.state.dtype, observation.available.dtype) == (
            jnp.int8,
            jnp.int8,
            jnp.bool_,
        )
    assert timestep.reward.shape == (n,)
    assert timestep.reward.dtype == jnp.float32
    assert timestep.terminated.shape == timestep.truncated.shape == ()
    assert {x.shape for x in timestep.info.values()} <= {(), (n,)}
    assert len(game.spec.agent_names) == n
    assert len(game.spec.action_names) == game.spec.action.n


def test_sizes_of_the_paper():
    assert Manitokan().spec.view.size == 27
    assert Manitokan(observe="last-action").spec.view.size == 33
    assert Manitokan(observe="door-signal+key-signal", signals="raw").spec.view.size == 33
    assert (Manitokan().spec.state.size, Manitokan(num_agents=3).spec.state.size) == (114, 156)
    assert (Manitokan().width, Manitokan(num_agents=3).width, Manitokan(num_agents=1).width) == (6, 7, 5)
    assert Manitokan(**PROFILES["paper"]) == Manitokan()
    assert [Manitokan(reward=r).attainable for r in ("normal", "oracle", "individual-only", "collective-only")] == [
        1.5,
        2.5,
        0.5,
        1.0,
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_agents": 0}, "num_agents 0 is below 1"),
        ({"num_agents": 2.5}, "num_agents 2.5 is not a whole number"),
        ({"length": 0}, "length 0 is below 1: give a whole number of 1 or more"),
        ({"size": 1}, "size 1 leaves 1 x 1 cells for 5"),
        ({"num_agents": 99}, "size \\+ num_agents is 103: at most 100"),
        ({"placement": "random"}, "placement 'random' is not one of released, uniform"),
        ({"reward": "oracl"}, "is not one of normal, oracle, punish, inject, individual-only, collective-only"),
        ({"observe": "last_action"}, "observe 'last_action' is unknown: give window, or door-signal"),
        ({"observe": "last-action+last-action"}, "is unknown"),
        ({"punishment": -0.5}, "punishment -0.5 is below 0: give a number of 0 or more"),
        ({"individual_reward": float("nan")}, "individual_reward nan is not a finite number"),
        ({"step_cost": "cheap"}, "step_cost 'cheap' is not a finite number"),
    ],
)
def test_impossible_options_are_refused_in_one_line(options, says):
    with pytest.raises(ValueError, match=says) as error:
        Manitokan(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"position": [[1, 1]]}, "position has 1 entries for 2 agents"),
        ({"position": [[0, 1], [3, 4]]}, "agent 0 on \\(0, 1\\) is not inside: give \\(x, y\\) from 1 to 4"),
        ({"position": [[2, 1], [3, 4]]}, "agent 0 on \\(2, 1\\) stands in a door"),
        ({"doors": [[2, 1], [2, 1]]}, "door 1 on \\(2, 1\\) is where door 0 stands"),
        ({"holder": None}, "give the key's cell or its holder"),
        ({"key": [1, 2]}, "give the key's cell or its holder"),
        ({"holder": 2}, "holder 2 is no agent: give one of 0 to 1"),
        ({"heading": [0, 4]}, "heading \\[0, 4\\]: give 0 right"),
        ({"order": [0, 0]}, "order \\[0, 0\\] is no permutation"),
        ({"last_action": [0, 6]}, "give 0 to 5"),
        ({"time": 151}, "time 151 is outside the episode: give 0 to 150"),
    ],
)
def test_impossible_layouts_are_refused_in_one_line(change, says):
    with pytest.raises(ValueError, match=says) as error:
        built(Manitokan(), **READY | change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [PROFILES["released"], {"num_agents": 3, "order": "random"}])
def test_layout_and_build_are_inverse(options):
    game = Manitokan(**options)
    state, observation = jax.jit(game.reset)(jax.random.key(3))
    again = built(game, **game.layout(state))
    assert jax.tree.all(jax.tree.map(lambda a, b: a.dtype == b.dtype and bool((a == b).all()), state, again))
    assert (jax.jit(game.observation)(again).view == observation.view).all()


def test_layout_reads_back_a_game_in_play():
    game = Manitokan(reward="oracle")
    state = play(game, built(game, **READY), [TOGGLE, LEFT], [DROP, LEFT])[-1].state
    plain = game.layout(state)
    assert plain["doors"] == [None, [4, 4]]
    assert (plain["key"], plain["holder"], plain["paid"], plain["time"]) == ([2, 1], None, [True, False], 2)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), state, built(game, **plain)))


# Actions -------------------------------------------------------------------------------------------------------------


def test_an_episode_from_key_to_success():
    """The six steps of the paper's figure 1, from the second on."""
    game = Manitokan(observe="door-signal+key-signal")
    state = built(game, **READY)
    opened, dropped, *_, last = play(
        game,
        state,
        [TOGGLE, LEFT],  # agent 0 opens its door and still holds the key
        [DROP, LEFT],  # drops it on (2, 1), where its door was
        [RIGHT, LEFT],  # agent 1 turns until it faces up, ...
    )
    assert opened.reward.tolist() == [0.5, 0]
    assert opened.observation.available[0].all()
    assert opened.observation.view[0, 27:].tolist() == [1, 1]
    assert game.layout(opened.state)["holder"] == 0
    assert dropped.reward.tolist() == [0, 0]
    assert game.layout(dropped.state)["key"] == [2, 1]
    assert dropped.observation.view[0, 27:].tolist() == [1, 0]
    # ... and, moved there by hand, takes the key and opens its door.
    state = game.build(
        **game.layout(last.state) | {"position": [[1, 1], [3, 1]], "heading": [1, 2], "doors": [None, [3, 2]]}
    )
    taken, _, success = play(game, state, [LEFT, PICKUP], [LEFT, LEFT], [LEFT, TOGGLE])
    assert game.layout(taken.state)["holder"] == 1
    assert success.reward.tolist() == [1.0, 1.5]
    assert (bool(success.terminated), bool(success.truncated)) == (True, False)
    assert success.info["success"] == 1
    assert success.info["individual_reward"].tolist() == [0, 0.5]
    assert success.info["collective_reward"].tolist() == [1, 1]
    (after,) = play(game, success.state, [LEFT, DROP])
    assert after.reward.tolist() == [0, 0]  # paid once
    assert bool(after.terminated)


def test_turning_and_walking():
    game = Manitokan()
    state = built(game, **CONTEST | {"heading": [3, 1]})
    up, turned, walked, stopped = play(
        game, state, [FORWARD, LEFT], [LEFT, RIGHT], [FORWARD, FORWARD], [FORWARD, FORWARD]
    )
    assert up.state.position[0].tolist() == [2, 1]
    assert turned.state.heading.tolist() == [2, 1]
    assert up.state.heading.tolist() == [3, 0]
    assert walked.state.position.tolist() == [[1, 1], [4, 3]]
    assert stopped.state.position.tolist() == [[1, 1], [4, 3]]  # a wall, and a door


def test_agents_walk_through_each_other_but_not_over_the_key():
    game = Manitokan()
    state = built(game, **CONTEST | {"position": [[2, 2], [2, 1]], "heading": [0, 1]})
    (step,) = play(game, state, [FORWARD, FORWARD])
    assert step.state.position.tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_in_order_gets_the_key(first):
    game = Manitokan()
    state = built(game, **CONTEST, order=[first, 1 - first])
    (step,) = play(game, state, [PICKUP, PICKUP])
    assert game.layout(step.state)["holder"] == first
    assert step.info["pickups"].tolist() == [first == 0, first == 1]
    (step,) = play(game, state, [PICKUP, FORWARD])
    assert step.state.position[1].tolist() == ([3, 2] if first == 0 else [4, 2])  # the key was gone, or in the way


@pytest.mark.parametrize("first", [0, 1])
def test_a_key_dropped_earlier_in_the_step_can_be_picked_up_in_it(first):
    game = Manitokan()
    state = built(game, **{k: v for k, v in CONTEST.items() if k != "key"}, holder=0, order=[first, 1 - first])
    (step,) = play(game, state, [DROP, PICKUP])
    assert game.layout(step.state)["holder"] == (1 if first == 0 else None)


def test_only_the_own_door_opens_and_only_with_the_key():
    game = Manitokan()
    for change, actions in (({"doors": [[4, 4], [2, 1]]}, [TOGGLE, LEFT]), ({}, [LEFT, TOGGLE])):
        (step,) = play(game, built(game, **READY | change), actions)
        assert not step.state.opened.any()
        assert step.reward.tolist() == [0, 0]


def test_drops_in_front_of_objects_are_choices_without_effect():
    game = Manitokan()
    state = built(game, **READY)
    (blocked,) = play(game, state, [DROP, DROP])
    assert blocked.info["drop_choices"].tolist() == [1, 0]
    assert blocked.info["drops"].tolist() == [0, 0]
    assert game.layout(blocked.state)["holder"] == 0


def test_own_cell_pickup():
    game = Manitokan(pickup="own_cell")
    state = built(game, **CONTEST)
    walked, taken = play(game, state, [PICKUP, FORWARD], [PICKUP, PICKUP])
    assert walked.state.position[1].tolist() == [3, 2]  # the key is not in the way, and not within reach of agent 0
    assert game.layout(taken.state)["holder"] == 1


def test_without_pruning_all_is_available_and_the_rules_are_the_same():
    pruned, free = Manitokan(), Manitokan(prune=False)
    state = built(pruned, **CONTEST)  # nobody holds the key
    assert pruned.observation(state).available.tolist() == [[True] * 4 + [False] * 2] * 2
    moves = ([DROP, TOGGLE], [FORWARD, DROP], [TOGGLE, FORWARD], [PICKUP, PICKUP])
    for one, other in zip(play(pruned, state, *moves), play(free, state, *moves), strict=True):
        assert other.observation.available.all()
        assert jax.tree.all(jax.tree.map(np.array_equal, one.state, other.state))


@pytest.mark.parametrize("options", [{}, {"show_carried": True}, {"observe": "key-signal"}], ids=str)
def test_a_replay_keeps_what_nobody_can_tell_without_pruning(options):
    game = Manitokan(prune=False, **options)
    state = built(game, **READY)  # agent 0 holds the key, of which neither state nor availability tells
    seen = game.observation(state)
    again = game.unpack(game.pack(seen))
    assert jax.tree.all(jax.tree.map(np.array_equal, seen, again))


# Views ---------------------------------------------------------------------------------------------------------------


def test_the_window_looks_ahead_and_turns_with_the_agent():
    game = Manitokan()
    state = game.build(position=[[2, 3], [4, 3]], heading=[3, 2], doors=[[1, 2], [3, 4]], key=[3, 1])
    seen = game.observation(state)
    assert window(seen, 0, 1, 2) == (10, 3, 0)  # itself
    assert window(seen, 0, 0, 1) == (4, 3, 2)  # its door, ahead to the left
    assert window(seen, 0, 2, 0) == KEY  # two ahead, one to the right
    assert window(seen, 1, 1, 0) == (10, 3, 0)  # agent 0, two ahead of agent 1, which looks left
    assert window(seen, 1, 0, 1) == (4, 4, 2)  # its own door, to its left
    assert window(seen, 1, 0, 2) == EMPTY


def test_walls_hide_what_is_behind_them():
    game = Manitokan()
    seen = game.observation(built(game, **READY | {"heading": [2, 0]}))
    assert [window(seen, 0, c, 1) for c in range(3)] == [WALL] * 3
    assert [window(seen, 0, c, 0) for c in range(3)] == [(0, 0, 0)] * 3


def test_centred_window_shows_what_surrounds_the_agent():
    game = Manitokan(window="centred")
    seen = game.observation(built(game, **READY | {"heading": [1, 0]}))  # agent 0 looks down: right is on its left
    assert window(seen, 0, 1, 1) == (10, 3, 0)
    assert window(seen, 0, 0, 1) == (4, 3, 2)
    assert [window(seen, 0, c, 2) for c in range(3)] == [WALL] * 3  # behind it
    assert window(seen, 0, 1, 0) == EMPTY


def test_carried_key_is_shown_only_if_asked():
    for shown, code in ((False, (10, 3, 0)), (True, KEY)):
        seen = Manitokan(show_carried=shown).observation(built(Manitokan(), **READY))
        assert window(seen, 0, 1, 2) == code


def test_released_window_shows_only_the_last_agent():
    game = Manitokan(content="last-agent")
    layout = READY | {"position": [[1, 1], [1, 1]], "doors": [[2, 1], [4, 3]]}
    seen = game.observation(built(game, **layout))
    assert window(seen, 0, 1, 2) == (10, 4, 0)
    assert window(seen, 0, 1, 1) == EMPTY  # its door
    assert window(seen, 0, 0, 2) == EMPTY  # the border
    seen = game.observation(built(game, **layout | {"heading": [2, 0]}))
    assert [window(seen, 0, c, 1) for c in range(3)] == [EMPTY] * 3  # the border hides what it does not show
    assert [window(seen, 0, c, 0) for c in range(3)] == [(0, 0, 0)] * 3


def test_signals_raw_and_binary():
    state = built(Manitokan(), **READY | {"doors": [None, [4, 4]]})
    names = "key-signal+door-signal"  # always in one order
    assert Manitokan(observe=names).observation(state).view[:, 27:].tolist() == [[1, 1], [0, 0]]
    raw = Manitokan(observe=names, signals="raw").observation(state).view[:, 27:].tolist()
    assert raw == [[23] * 3 + [53] * 3, [37] * 3 + [59] * 3]


def test_last_action_and_agent_id():
    game = Manitokan(observe="last-action+agent-id")
    state = built(game, **READY)
    assert game.observation(state).view[:, 27:].tolist() == [[1, 0] + [0] * 6, [0, 1] + [0] * 6]
    (step,) = play(game, state, [TOGGLE, LEFT])
    assert step.observation.view[:, 27:].tolist() == [[1, 0, 0, 0, 0, 0, 0, 1], [0, 1, 1, 0, 0, 0, 0, 0]]
    assert game.spec.history == 6  # the end of the view; without last-action there is none
    assert Manitokan(observe="agent-id").spec.history == 0


def test_lagged_views_come_as_many_steps_late_as_episodes_were_played():
    options = {"observe": "door-signal+last-action", "length": 5}
    late, live = Manitokan(lagged_observation=True, **options), Manitokan(**options)
    actions = jax.random.randint(KEY_OF_TIME, (5, 2), 0, 4)

    @partial(jax.jit, static_argnums=0)
    def views(game, episode):
        state, first = game.reset(KEY_OF_TIME, episode)
        step = lambda state, action: game.step(KEY_OF_TIME, state, action)  # noqa: E731
        _, steps = jax.lax.scan(step, state, actions)
        return jnp.concatenate([first.view[None], steps.observation.view])

    seen = np.asarray(views(live, 0))
    for episode, lag in ((0, 0), (2, 2), (7, 2), (4, 4)):
        shown = np.asarray(views(late, episode))
        np.testing.assert_array_equal(shown[lag:, :, :28], seen[: 6 - lag, :, :28])
        assert not shown[:lag, :, :28].any()  # nothing is seen yet
        np.testing.assert_array_equal(shown[..., 28:], seen[..., 28:])  # the own last action is never late
    with pytest.raises(ValueError, match="choose one"):
        Manitokan(frozen_observation=True, lagged_observation=True)


def test_frozen_views_thaw_at_the_end():
    options = {"observe": "door-signal+key-signal+last-action", "length": 3}
    frozen, live = Manitokan(frozen_observation=True, **options), Manitokan(**options)
    actions = [TOGGLE, LEFT], [DROP, RIGHT], [LEFT, LEFT]
    first = live.observation(built(live, **READY)).view[:, :29]
    ours, theirs = (play(game, built(game, **READY), *actions) for game in (frozen, live))
    for step, free in zip(ours[:-1], theirs[:-1], strict=True):
        assert (step.observation.view[:, :29] == first).all()
        assert (step.observation.view[:, 29:] == free.observation.view[:, 29:]).all()
        assert (step.observation.available == free.observation.available).all()
        assert (step.observation.state == free.observation.state).all()
    assert bool(ours[-1].terminated)
    assert (ours[-1].observation.view == theirs[-1].observation.view).all()
    assert (theirs[0].observation.view[:, :29] != first).any()


def test_state_vector_lists_cells_then_agents():
    game = Manitokan()
    seen = game.observation(built(game, **CONTEST))
    grid = np.asarray(seen.state[:108]).reshape(6, 6, 3)  # [x, y]
    assert tuple(grid[3, 2]) == KEY
    assert tuple(grid[1, 4]) == (4, 3, 2)
    assert tuple(grid[0, 0]) == tuple(grid[5, 3]) == WALL
    assert tuple(grid[2, 2]) == EMPTY  # agents are not drawn
    assert seen.state[108:].tolist() == [2, 2, 4, 2, 0, 2]


def test_renaming_agents_renames_everything_but_colours():
    game = Manitokan(observe="door-signal+key-signal+last-action", reward="oracle")
    rng = np.random.default_rng(5)
    reset, step = jax.jit(game.reset), jax.jit(game.step)
    for seed in range(3):
        state, _ = reset(jax.random.key(seed))
        other = swapped(state)
        for _ in range(40):
            action = jnp.array(rng.integers(6, size=2))
            state, mine = step(KEY_OF_TIME, state, action)
            other, theirs = step(KEY_OF_TIME, other, action[::-1])
            assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), swapped(state), other))
            assert (mine.reward == theirs.reward[::-1]).all()
            assert (mine.observation.available == theirs.observation.available[::-1]).all()
            assert (recoloured(mine.observation.view) == theirs.observation.view[::-1]).all()


def swapped(state):
    flipped = {
        name: x[::-1] for name, x in state._asdict().items() if name not in ("key", "time", "order", "past", "lag")
    }
    return state._replace(**flipped, order=1 - state.order)


def recoloured(view):
    """Purple for yellow and the other way round."""
    colours = np.asarray(view[:, 1:27:3])
    return np.asarray(view.at[:, 1:27:3].set(np.select([colours == 3, colours == 4], [4, 3], colours)))


# Rewards and the end -------------------------------------------------------------------------------------------------


def test_oracle_pays_one_drop_with_an_open_door():
    for oracle in ("paper", "released"):
        game = Manitokan(reward="oracle", oracle=oracle, observe="door-signal")
        early = built(game, **READY | {"heading": [1, 0]})
        (step,) = play(game, early, [DROP, LEFT])
        assert step.reward.tolist() == [0, 0]  # not before one's door is open
        steps = play(game, built(game, **READY), [TOGGLE, LEFT], [DROP, LEFT], [PICKUP, LEFT], [DROP, LEFT])
        assert [s.reward[0] for s in steps] == [0.5, 1.0, 0, 0]
        signal = [int(s.observation.view[0, 27]) for s in steps]
        assert signal == ([1, 1, 1, 1] if oracle == "paper" else [1, 0, 0, 0])
        assert all(s.state.opened[0] for s in steps)


def test_punishment_for_keeping_the_key():
    actions = [TOGGLE, LEFT], [TOGGLE, LEFT], [LEFT, LEFT], [RIGHT, LEFT], [DROP, LEFT], [LEFT, LEFT]
    start = built(Manitokan(), **READY)
    expected: dict[Any, list[float]] = {"paper": [0.5, -0.5, -0.5, -0.5, -0.5, 0], "released": [0.0, -0.5, 0, 0, 0, 0]}
    for punish, rewards in expected.items():
        steps = play(Manitokan(reward="punish", punish=punish), start, *actions)
        assert [float(s.reward[0]) for s in steps] == rewards
        assert all(s.reward[1] == 0 for s in steps)
    (_, step) = play(Manitokan(reward="punish", punishment=1.0), start, *actions[:2])
    assert step.reward[0] == -1


@pytest.mark.parametrize(("reward", "last"), [("individual-only", [0, 0.5]), ("collective-only", [1, 1])])
def test_one_kind_of_reward_only(reward, last):
    game = Manitokan(reward=reward)
    (step,) = play(game, built(game, **READY | {"doors": [None, [4, 4]], "holder": 1}), [LEFT, TOGGLE])
    assert step.reward.tolist() == last
    assert bool(step.terminated)
    assert step.info["success"] == 1


def test_step_cost_stops_with_the_episode():
    game = Manitokan(step_cost=0.25, length=2)
    steps = play(game, built(game, **READY), [LEFT, LEFT], [LEFT, LEFT], [LEFT, LEFT])
    assert [s.reward.tolist() for s in steps] == [[-0.25, -0.25], [-0.25, -0.25], [0, 0]]


@pytest.mark.parametrize("terminates", [True, False])
def test_the_clock_terminates_or_truncates(terminates):
    game = Manitokan(length=2, clock_terminates=terminates)
    first, last = play(game, built(game, **READY), [LEFT, LEFT], [LEFT, LEFT])
    assert not (first.terminated | first.truncated)
    assert (bool(last.terminated), bool(last.truncated)) == (terminates, not terminates)


THREE: dict[str, Any] = {
    "position": [[1, 1], [3, 1], [1, 3]],
    "heading": [0, 0, 0],
    "doors": [None, [4, 1], [2, 3]],
    "holder": 1,
}


def test_three_agents_need_all_doors_or_two():
    cases: list[Any] = [("all", [0, 0.5, 0], False), ("two", [1, 1.5, 1], True)]
    for required, last, over in cases:
        game = Manitokan(num_agents=3, doors_required=required)
        (step,) = play(game, built(game, **THREE), [LEFT, TOGGLE, LEFT])
        assert step.reward.tolist() == last
        assert bool(step.terminated) == over
        assert (step.info["success"], step.info["completed"]) == (0, over)
    game = Manitokan(num_agents=3)
    (step,) = play(game, built(game, **THREE | {"doors": [None, None, [2, 3]], "holder": 2}), [LEFT, LEFT, TOGGLE])
    assert step.reward.tolist() == [1.5, 1.5, 2.0]
    assert bool(step.terminated)


def test_one_agent_needs_nobody():
    game = Manitokan(num_agents=1)
    (step,) = play(game, game.build(position=[[1, 1]], heading=[0], doors=[[2, 1]], holder=0), [TOGGLE])
    assert step.reward.tolist() == [1.0]  # its own half, and the sum over all doors
    assert bool(step.terminated)


def test_four_agents_have_four_colours_and_more_have_others():
    assert [colour(k) for k in range(4)] == [3, 4, 6, 7]
    assert len({colour(k) for k in range(50)} | {2, 5}) == 52
    state, _ = jax.jit(Manitokan(num_agents=4).reset)(jax.random.key(0))
    cells = {tuple(x) for x in [*state.position.tolist(), *state.doors.tolist(), state.key.tolist()]}
    assert len(cells) == 9


# Order ---------------------------------------------------------------------------------------------------------------


def test_orders_of_episodes():
    numbers = jax.random.uniform(jax.random.key(0), (8, 3))

    compiled = jax.jit(jax.vmap(order_of_turns, (None, None, 0)), static_argnums=0)

    def orders(game, episode):
        return np.asarray(compiled(game, episode, numbers))

    assert (orders(Manitokan(num_agents=3), 5) == [0, 1, 2]).all()
    alternating = Manitokan(num_agents=3, order="alternating")
    assert [orders(alternating, e)[0].tolist() for e in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    shared = Manitokan(num_agents=3, order="random")
    drawn = [orders(shared, e) for e in range(12)]
    assert all((d == d[0]).all() for d in drawn)  # by all games
    assert len({tuple(d[0]) for d in drawn}) > 3  # but not by all episodes
    assert (orders(shared, 4) == drawn[4]).all()
    reseeded = Manitokan(num_agents=3, order="random", order_seed=1)
    assert any((orders(reseeded, e)[0] != drawn[e][0]).any() for e in range(12))
    own = orders(Manitokan(num_agents=3, order="random", shared_order=False), 0)
    assert len({tuple(row) for row in own}) > 1
    assert (np.sort(own, -1) == [0, 1, 2]).all()
    state, _ = jax.jit(alternating.reset)(KEY_OF_TIME, 1)
    assert state.order.tolist() == [1, 2, 0]


# Injection -----------------------------------------------------------------------------------------------------------


def batch(rewards) -> Any:
    """A rollout's rewards [T, 1, 2] from {(t, agent): reward}; all steps valid but the last two."""
    reward = np.zeros((40, 1, 2), np.float32)
    for (t, agent), points in rewards.items():
        reward[t, 0, agent] = points
    time = jnp.arange(40)[:, None]
    return SimpleNamespace(reward=jnp.array(reward), valid=time < 38, ended=time == 37)


STEPS = batch({(10, 0): 0.5, (20, 0): 1.0, (20, 1): 1.5})


def test_only_inject_changes_the_rewards_of_training():
    assert (Manitokan(reward="oracle").training_reward(KEY_OF_TIME, STEPS, 0) == STEPS.reward).all()
    game = Manitokan(reward="inject")
    (step,) = play(game, built(game, **READY), [TOGGLE, LEFT])
    assert step.reward.tolist() == [0.5, 0]  # never in the game itself


def test_released_injection_is_its_formula():
    game = Manitokan(reward="inject", injection="released")
    keys = jax.random.split(KEY_OF_TIME, 4000)

    @jax.jit
    def injected(key, reward, iteration):
        steps: Any = SimpleNamespace(reward=reward, valid=STEPS.valid, ended=STEPS.ended)
        return released(game, key, steps, iteration)

    many = jax.jit(jax.vmap(lambda key: game.training_reward(key, STEPS, 2500) - STEPS.reward))
    added = many(keys)[:, :, 0]
    mean = np.asarray(added.mean(0)) / (0.75e-4 * np.sqrt(2 / np.pi))  # E|z - r| of a normal with s.d. 1
    expected = np.zeros((40, 2))
    for t in range(11):
        expected[t, 0] = 1 / (10 - t + 1)
    for t in range(11, 25):
        expected[t, 0] = 1 / (t + 15 - 10 + 1)
    for t in range(5, 21):
        expected[t, 1] = 15 / (20 - t + 1)  # only the last opener's collective reward, and only before it
    assert ((np.asarray(added) != 0).any(0) == (expected > 0)).all()
    np.testing.assert_allclose(mean, expected, rtol=0.1, atol=0.01)
    start = batch({(0, 0): 0.5})
    first = injected(KEY_OF_TIME, start.reward, 0)[:, 0, 0] - start.reward[:, 0, 0]
    assert ((np.asarray(first) != 0) == (np.arange(40) < 15)).all()
    again = batch({(0, 0): 0.5, (3, 0): 0.5})  # only the first reward of an episode counts
    np.testing.assert_allclose(
        injected(KEY_OF_TIME, again.reward, 0)[:, 0, 0] - again.reward[:, 0, 0], first, atol=1e-7
    )
    late = batch({(35, 0): 0.5})
    last = np.asarray(injected(KEY_OF_TIME, late.reward, 0)[:, 0, 0] - late.reward[:, 0, 0])
    assert np.flatnonzero(np.abs(last) > 1e-7).max() == 37  # nothing after the end of the episode
    full: Any = SimpleNamespace(reward=late.reward, valid=STEPS.valid | True, ended=STEPS.valid & False)
    last = released(Manitokan(reward="inject", length=40), KEY_OF_TIME, full, 0)[:, 0, 0] - late.reward[:, 0, 0]
    assert np.flatnonzero(last).max() == 38  # and nothing at the last step of a whole one
    np.testing.assert_allclose(injected(KEY_OF_TIME, STEPS.reward, 10_000), STEPS.reward, atol=1e-9)


@pytest.mark.parametrize("law", ["paper", "clean", "released"])
def test_injection_does_not_cross_the_end_of_an_episode(law):
    """In continuing play the next episode begins at step 15. Each episode has the noise that it has alone."""
    game = Manitokan(reward="inject", injection=law, length=40)
    time = jnp.arange(40)[:, None]
    rewards = {(10, 0): 0.5, (14, 1): 1.5, (14, 0): 1.0, (20, 0): 0.5}

    def added(wanted):
        reward = batch({moment: points for moment, points in rewards.items() if wanted(moment[0])}).reward
        steps: Any = SimpleNamespace(reward=reward, valid=time < 40, ended=time == 14)
        return np.asarray(game.training_reward(KEY_OF_TIME, steps, 0) - reward)[:, 0]

    first, second, both = added(lambda t: t < 15), added(lambda t: t >= 15), added(lambda t: True)
    assert first[9].all()
    assert not first[15:].any()
    assert second[15, 0]
    assert not second[:15].any()
    np.testing.assert_allclose(both, first + second, atol=1e-7)


def test_clean_injection_stays_small_and_fades():
    game = Manitokan(reward="inject", injection="clean", injection_sigma=2.0)

    injected = jax.jit(lambda iteration: game.training_reward(KEY_OF_TIME, STEPS, iteration))

    def added(iteration):
        return np.asarray(injected(iteration) - STEPS.reward)[:, 0]

    assert (np.flatnonzero(added(0)[:, 1]) == np.arange(5, 36)).all()
    assert np.abs(added(0)).max() < 0.5 + 1e-6
    assert (added(0) < 0).any()
    np.testing.assert_allclose(added(9_000)[5:9, 1], added(5_000)[5:9, 1] / 5, rtol=1e-4, atol=1e-6)
    assert np.abs(added(10_000)).max() < 1e-6
    assert (added(20_000) == 0).all()


def test_the_papers_injection_has_the_mean_of_the_reward_it_surrounds_fades_and_stays_below_it():
    """Normal with mean r^i = 0.5, resp. r^c = 1, over 1 + distance; agent 1 earns both in one step."""
    game = Manitokan(reward="inject", injection_window=12, injection_sigma=0.25)
    many = jax.jit(jax.vmap(lambda key: game.training_reward(key, STEPS, 5_000) - STEPS.reward))
    added = np.asarray(many(jax.random.split(KEY_OF_TIME, 4000)))[:, :, 0]  # [4000, 40, 2]
    mean, spread = added.mean(0), added.std(0)
    time = np.arange(40)
    weight = lambda moment: np.where(abs(time - moment) <= 12, 0.5 / (1 + abs(time - moment)), 0)  # noqa: E731  # faded
    own, both = weight(10), weight(20)
    far = np.minimum(abs(time - 10), abs(time - 20)) >= 2  # nearer the limit of 0.5 cuts some off
    far &= time < 38
    np.testing.assert_allclose(mean[far, 0], (0.5 * own + both)[far], atol=0.01)
    np.testing.assert_allclose(spread[far, 0], (0.25 * np.hypot(own, both))[far], atol=0.005)
    np.testing.assert_allclose(mean[far, 1], (1.5 * both)[far], atol=0.01)
    np.testing.assert_allclose(spread[far, 1], (0.25 * np.sqrt(2) * both)[far], atol=0.005)
    assert np.abs(added).max() < 0.5 + 1e-6
    assert not added[:, 38:].any()  # nothing after the end of the episode
    assert (game.training_reward(KEY_OF_TIME, STEPS, 10_000) == STEPS.reward).all()


# Statistics ----------------------------------------------------------------------------------------------------------


def test_statistics_of_a_gift():
    """Agent 0 opens, drops, picks up and drops again; agent 1 does nothing. Then a game of 2 steps."""
    game = Manitokan(length=10)
    state = game.build(
        position=[[2, 1], [3, 2]], heading=[2, 1], doors=[[1, 1], [3, 3]], key=[3, 1]
    )  # the key is behind agent 0 and to the left of agent 1, when it looks down
    actions = [[RIGHT, LEFT], [RIGHT, LEFT], [PICKUP, LEFT], [LEFT, LEFT], [LEFT, LEFT], [TOGGLE, RIGHT], [RIGHT, LEFT]]
    actions += [[RIGHT, LEFT], [DROP, LEFT]]
    steps = play(game, state, *actions)
    steps += play(game, steps[-1].state, [PICKUP, LEFT])
    assert bool(steps[-1].terminated)
    reward = jnp.stack([s.reward for s in steps])[:, None]
    info = {name: jnp.stack([s.info[name] for s in steps])[:, None] for name in steps[0].info}
    double = lambda x: jnp.concatenate([x, x], 1)  # noqa: E731
    valid = jnp.arange(10)[:, None] < jnp.array([10, 2])
    told = jax.jit(game.summary)(double(reward), {name: double(x) for name, x in info.items()}, valid)
    assert all(x.shape in ((2,), (2, 2)) for x in told.values())
    whole = {name: np.asarray(x)[0].tolist() for name, x in told.items()}
    assert whole["success"] == whole["completed"] == whole["released_success"] == 0
    assert whole["doors_opened"] == [1, 0]
    assert whole["reward_share"] == pytest.approx([1 / 3, 0])
    assert (whole["pickups"], whole["drops"]) == ([2, 0], [1, 0])
    assert whole["drops_nonzero"] == pytest.approx([1, np.nan], nan_ok=True)
    assert whole["drops_per_pickup"] == pytest.approx([0.5, np.nan], nan_ok=True)
    assert (whole["drops_before_opening"], whole["drops_after_opening"]) == ([0, 0], [1, 0])
    assert whole["steps_holding"] == [7, 0]
    assert (whole["first_pickup"], whole["first_opening"]) == ([1, 0], [1, 0])
    assert (whole["first_reward_time"], whole["rewarded"], whole["own_first_reward_time"]) == (5, 1, [5, 10])
    assert np.isnan(whole["gift_delay"])
    assert whole["distance"] == pytest.approx(2**0.5)
    short = {name: np.asarray(x)[1] for name, x in told.items()}
    assert np.isnan(short["first_pickup"]).all()
    assert (short["first_reward_time"], short["rewarded"]) == (10, 0)
    assert short["distance"] == pytest.approx(2**0.5)
    assert game.spec.headline in told


def test_delay_of_the_gift():
    game = Manitokan()
    zeros = np.zeros((8, 1, 2), np.float32)
    events = {
        name: zeros.copy() for name in ("doors_opened", "pickups", "drops", "drop_choices", "holding", "moves_first")
    }
    single = {name: np.zeros((8, 1), np.float32) for name in ("success", "completed", "distance")}
    events["drops"][[0, 3, 5], 0, 0] = 1  # before its door is open; the gift; another
    events["doors_opened"][1, 0, 0] = events["doors_opened"][7, 0, 1] = 1
    single["success"][7] = 1
    told = jax.jit(game.summary)(jnp.array(zeros), jax.tree.map(jnp.array, events | single), jnp.ones((8, 1), bool))
    assert told["gift_delay"].tolist() == [4]
    assert told["drops_before_opening"].tolist() == [[1, 0]]
    assert told["drops_after_opening"].tolist() == [[2, 0]]
    assert told["first_opening"].tolist() == [[1, 0]]


def test_the_first_mover_is_counted_once_and_its_reward_is_held_against_the_others():
    game = Manitokan(order="alternating", length=3)
    for episode in (0, 1):
        state, _ = game.reset(KEY_OF_TIME, episode)
        steps = play(game, state, [LEFT, LEFT], [LEFT, LEFT], [LEFT, LEFT])
        told = {name: jnp.stack([step.info[name] for step in steps])[:, None] for name in steps[0].info}
        assert told["moves_first"].sum((0, 1)).tolist() == [1 - episode, episode]
        reward = jnp.zeros((3, 1, 2)).at[1, 0].set(jnp.array([1.5, 0.75]))
        gap = game.summary(reward, told, jnp.ones((3, 1), bool))["first_mover_gap"]
        assert gap.tolist() == [0.5 if episode == 0 else -0.5]


def test_success_residual():
    residual = success_residual(jnp.array([0.5, 0.0]), jnp.array([[0.2, 0.5], [0.1, 0.0]]))
    np.testing.assert_allclose(residual, [[0.06, 0.0], [-0.01, 0.0]], atol=1e-7)


# Transformations -----------------------------------------------------------------------------------------------------


def test_games_side_by_side_are_the_same_as_one_by_one():
    game = Manitokan(observe="last-action", frozen_observation=True)
    keys = jax.random.split(jax.random.key(2), 3)
    many, _ = jax.jit(jax.vmap(game.reset))(keys)
    actions = jax.random.randint(jax.random.key(1), (5, 3, 2), 0, 6)
    step, single = jax.jit(jax.vmap(game.step, (None, 0, 0))), jax.jit(game.step)
    for row in actions:
        after, timesteps = step(KEY_OF_TIME, many, row)
        one, timestep = single(KEY_OF_TIME, jax.tree.map(lambda x: x[1], many), row[1])
        same = jax.tree.map(lambda a, b: bool((a[1] == b).all()), (after, timesteps), (one, timestep))
        assert jax.tree.all(same)
        many = after
