"""Harvest and Cleanup step by step against the recorded release, with its own random draws; mutated rules fail."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.drawing import dilemmas
from comity.environments.dilemmas import beams, cleanup, maps, moves, play, windows
from comity.environments.dilemmas.cleanup import Cleanup
from comity.environments.dilemmas.harvest import Harvest

ROOM = "WWWWWWW/WPPPPPW/WPPAPPW/WPPPPPW/WWWWWWW"
GAMES = {
    "harvest_random": Harvest(),
    "cleanup_random": Cleanup(),
    "cleanup_mixed": Cleanup(),
    "crowded_random": Harvest(num_agents=9, map=ROOM),
}
WALL, APPLE, WASTE, RIVER, STREAM, EMPTY = 64, 65, 72, 82, 83, 32  # codes of the record


@cache
def facts(part: str) -> dict[str, np.ndarray]:
    file = np.load(Path(__file__).parents[2] / "golden" / "ssd.npz")
    return {name.split("/")[1]: file[name] for name in file if name.startswith(f"{part}/")}


@cache
def drawn(part: str) -> play.Draws:
    """The recorded draws in our form, leaves [T, ...]; what the release never drew would change nothing."""
    f, land = facts(part), GAMES[part].land
    steps, n = f["actions"].shape
    np.testing.assert_array_equal(f["apple_points"], land.apple_cells)
    apples, river = len(land.apple_cells), len(land.river_cells)
    priority, order = np.full((2, steps, n), 2.0)
    grows, fouls, turn = np.ones((steps, apples)), np.ones((steps, river)), np.full((steps, river), 2.0)
    ends = np.cumsum(f["rand_count"])
    for t in range(steps):
        for ranks, scores in ((f["move_order"][t], priority[t]), (f["custom_order"][t], order[t])):
            for rank, agent in enumerate(ranks[ranks >= 0]):
                scores[agent] = rank / n
        numbers = list(f["rand"][ends[t] - f["rand_count"][t] : ends[t]])
        level, taken = f["world_map_before_spawn"][t], {tuple(cell) for cell in f["pos"][t]}
        for k, (row, column) in enumerate(land.apple_cells):
            if level[row, column] != APPLE and (row, column) not in taken:
                grows[t, k] = numbers.pop(0)
        for place, k in enumerate(f["waste_order"][t] if numbers else ()):
            if numbers and level[tuple(land.river_cells[k])] != WASTE:
                fouls[t, k], turn[t, k] = numbers.pop(0), place / river
        assert not numbers, t
    return play.Draws(*(jnp.asarray(x, jnp.float32) for x in (priority, order, grows, fouls, turn)))


def coded(land: maps.Map, apples: np.ndarray, waste: np.ndarray) -> np.ndarray:
    """A map as the record has it."""
    ground = np.where(land.walls, WALL, np.where(land.river, RIVER, np.where(land.water, STREAM, EMPTY)))
    return np.where(apples, APPLE, np.where(waste, WASTE, ground))


def before(f: dict[str, np.ndarray]) -> play.State:
    """The recorded states before all steps."""
    level, (steps, n) = f["world_map_before"], f["actions"].shape
    return play.State(
        jnp.int32(f["pos_before"]),
        jnp.int32(f["ori_before"]),
        jnp.asarray(level == APPLE),
        jnp.asarray(level == WASTE),
        jnp.zeros((steps, n), jnp.int32),
        jnp.zeros((steps, n, 3), jnp.int32),
        jnp.arange(steps),
    )


def rules(part: str, game: Harvest | Cleanup) -> dict[str, np.ndarray]:
    """What our rules make of all recorded states, each from the recorded draws; named as the record."""
    f, land = facts(part), game.land

    def step(state, action, draws):
        both = lambda *words: jax.tree.map(lambda *x: jnp.stack(x), words[:2], game.grown(*words))  # noqa: E731
        after, events = play.advanced(land, state, action, draws, both, game.beam_length, True)  # before, after growth
        return after, play.points(game, events)

    after, reward = jax.tree.map(np.asarray, jax.jit(jax.vmap(step))(before(f), jnp.int32(f["actions"]), drawn(part)))
    lit = np.zeros_like(f["beam"])
    for t, heading in enumerate(after.heading):
        for kind in (beams.PENALTY, beams.CLEANING):
            rays = np.where((after.fired[t] == kind)[:, None], after.reach[t], 0)
            lit[t][beams.plane(after.position[t], heading, rays, land.rows, land.columns)] |= kind
    levels = coded(land, after.apples, after.waste)
    found = {"pos": after.position, "ori": after.heading, "beam": lit, "rewards": reward}
    found |= {"world_map_before_spawn": levels[:, 0], "world_map": levels[:, 1]}
    if land.river.any():
        density = (f["world_map_before_spawn"] == WASTE).sum((1, 2)) / len(land.river_cells)
        alive, rate = cleanup.apple_chance(jnp.asarray(density), 0.4, 0.05)
        found |= {"waste_density": after.waste[:, 1].mean((1, 2)) * land.walls.size / len(land.river_cells)}
        found |= {"waste_prob": 0.5 * alive, "apple_prob": rate}
    return found


def sights(part: str, game: Harvest | Cleanup) -> dict[str, np.ndarray]:
    """What is seen of recorded states."""
    f = facts(part)

    def look(position, heading, level):
        return windows.colours(game.land, position, heading, level == APPLE, level == WASTE, 7, True)

    return {"obs": jax.jit(jax.vmap(look))(jnp.int32(f["obs_pos"]), jnp.int32(f["obs_ori"]), f["obs_map"])}


def differences(part: str, game: Harvest | Cleanup | None = None, what: tuple[Callable, ...] = (rules, sights)):
    """How many recorded numbers are otherwise with us, by field: 0 is right."""
    wrong = {}
    for compute in what:
        for name, x in compute(part, game or GAMES[part]).items():
            recorded = facts(part)[name]
            assert recorded.shape == x.shape, name
            wrong[name] = int((~np.isclose(np.asarray(x), recorded, rtol=1e-6, atol=1e-7)).sum())
    return wrong


COUNTED = {"harvest_random": 310_350, "cleanup_random": 239_700, "cleanup_mixed": 308_350, "crowded_random": 117_150}


@pytest.mark.parametrize("part", GAMES)
def test_every_recorded_number_is_ours(part):
    wrong = differences(part)
    assert not any(wrong.values()), wrong
    assert sum(facts(part)[name].size for name in wrong) == COUNTED[part]


def test_the_record_holds_what_could_go_wrong():
    """Contested cells, hits, cleaning, growth of apples and waste, two agents in a cell."""
    mixed, crowd = facts("cleanup_mixed"), facts("crowded_random")
    assert ((mixed["world_map_before"] == WASTE) & (mixed["world_map_before_spawn"] == RIVER)).sum() > 20
    assert ((mixed["world_map_before_spawn"] == RIVER) & (mixed["world_map"] == WASTE)).sum() > 20
    assert (mixed["world_map"] == APPLE).sum() > (mixed["world_map_before_spawn"] == APPLE).sum()
    assert (crowd["rewards"] < -40).sum() > 100
    cells = crowd["pos"][..., 0] * 7 + crowd["pos"][..., 1]
    assert any(len(set(row)) < 9 for row in cells.tolist())


# Rules with one change each. A name says what is otherwise.


def change(part: str, where: object = None, name: str = "", by: Callable | object = None, game=None):
    return part, where, name, by, game


def no_rival_enters(position, target, wants, priority, may_share):
    rivals = ((target[:, None] == target) & wants[:, None] & wants).sum(-1) > 1
    return position, jnp.where(rivals, position, target)


def through_agents(walls, position, heading, length):
    """Each agent fires as if the others were far away; those on its way are hit all the same."""
    alone = lambda at, facing: RAYS(walls, at[None], facing[None], length).open[0]  # noqa: E731
    return RAYS(walls, position, heading, length)._replace(open=jax.vmap(alone)(position, heading))


def sides_ahead(walls, position, heading, length):
    found = RAYS(walls, position, heading, length)
    ahead = jnp.asarray(maps.MOVES)[heading]
    cells = found.cells.at[:, 1:].add(ahead[:, None, None])
    return found._replace(cells=cells, met=(cells[..., None, :] == position).all(-1))


def no_swap(position, target, pending):
    """Two that want each other's cell change places."""
    started, agents = pending, jnp.arange(len(position))
    position, left = PASS(position, target, pending)
    partner = (position[:, None] == target) & (target[:, None] == position) & started[:, None] & started
    partner &= agents != agents[:, None]
    return jnp.where(partner.any(-1), target, position), left


def not_under_agents(game, apples, waste, there, draws):
    apples, fouled = GROWN(game, apples, waste, there, draws)
    return apples, waste | (fouled & ~there)


RAYS, PASS, CUT = beams.rays, moves.one_pass, windows.cut
MOVED, TARGETS, GROWN, STOOD = moves.moved, play.targets, Cleanup.grown, play.stood_on

MUTANTS = {
    "the last in the order goes first": change(
        "crowded_random", moves, "moved", lambda p, t, w, priority, s: MOVED(p, t, w, -priority, s)
    ),
    "a contested cell is entered by nobody": change("crowded_random", moves, "contested", no_rival_enters),
    "two may change places": change("crowded_random", moves, "one_pass", no_swap),
    "a turn also moves ahead": change(
        "crowded_random", play, "targets", lambda land, p, h, a: TARGETS(land, p, h, jnp.where(a > play.STAY, 2, a))
    ),
    "turns are exchanged": change("crowded_random", play, "CLOCKWISE", play.COUNTER),
    "beams are a cell longer": change(
        "harvest_random", beams, "rays", lambda walls, p, h, length: RAYS(walls, p, h, length + 1)
    ),
    "rays begin ahead on both sides": change("crowded_random", beams, "rays", sides_ahead),
    "beams pass through agents": change("crowded_random", beams, "rays", through_agents),
    "near is a radius of 2": change("harvest_random", game=Harvest(neighbours="radius-2")),
    "apples grow under agents": change(
        "crowded_random", play, "stood_on", lambda p, r, c: STOOD(p, r, c) & (jnp.arange(r * c) < 0).reshape(r, c)
    ),
    "a shot is free": change("harvest_random", game=Harvest(fire_cost=0.0)),
    "who is hit loses 49": change("crowded_random", game=Harvest(num_agents=9, map=ROOM, hit=49.0)),
    "waste comes more seldom": change("cleanup_mixed", game=Cleanup(waste_rate=0.4)),
    "waste does not keep apples from growing": change(
        "cleanup_mixed", cleanup, "apple_chance", lambda x, most, rate: (x < most, rate + 0 * x)
    ),
    "waste comes nowhere near agents": change("cleanup_mixed", Cleanup, "grown", not_under_agents),
    "nothing grows above 0.3": change("cleanup_mixed", game=Cleanup(threshold=0.3)),
    "ahead is on top for all": change("harvest_random", windows, "upward", lambda heading, quirk: heading),
    "a window is mirrored": change("harvest_random", windows, "cut", lambda *words: CUT(*words)[:, :, ::-1]),
    "colours of agents are exchanged": change("crowded_random", windows, "player", lambda k: dilemmas.PLAYERS[8 - k]),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_rule_is_noticed(name, monkeypatch):
    part, where, attribute, by, game = MUTANTS[name]
    if where is not None:
        monkeypatch.setattr(where, attribute, by)
    assert any(differences(part, game, (sights,) if where is windows else (rules,)).values())


def test_the_lower_number_eats_first():
    """Where two stand in a cell with an apple."""
    game = Harvest(num_agents=2, map="WWWWW/WPAPW/WWWWW")
    state, _ = game.reset(jax.random.key(0))
    state = state._replace(
        position=jnp.array([[1, 2], [1, 2]]), apples=jnp.asarray(game.land.orchard), heading=jnp.zeros(2, jnp.int32)
    )
    after, timestep = jax.jit(game.step)(jax.random.key(0), state, jnp.array([play.STAY, play.STAY]))
    np.testing.assert_array_equal(timestep.reward, [1, 0])
    assert not after.apples.any()
