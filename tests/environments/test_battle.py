"""SMAC's battles: the recorded interface field by field, sizes, and the arithmetic of combat by numbers."""

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.battle import combat, game, maps, units
from comity.environments.battle.arrays import NOBODY, Units
from comity.environments.battle.game import SMAC, State
from comity.environments.battle.orders import Orders

FACTS = np.load(Path(__file__).parents[1] / "golden" / "smac.npz")
TABLE = {row[0]: row[1:] for row in map(json.loads, FACTS["table"])}
NAMES = [*maps.MAPS]
KEY = jax.random.key(0)

# The interface --------------------------------------------------------------------------------------------------------


def fact(name: str, field: str) -> np.ndarray:
    return FACTS[f"{name}/{field}"]


def recorded(name: str, which: str = "") -> Units:
    """The 24 situations of a map, [24, N]. which: "_prev" for those before the step."""
    none = np.zeros(fact(name, "hp").shape, np.int32)
    place, speed = fact(name, "pos"), none.astype(np.float32)
    hp, shield, energy = fact(name, f"hp{which}"), fact(name, f"shield{which}"), fact(name, "energy")
    parts = (place[..., 0], place[..., 1], hp, shield, energy, fact(name, "cooldown"), none, none, none, none, speed)
    return Units(*parts, none)  # pyright: ignore[reportArgumentType]


def shown(name: str) -> dict[str, Any]:
    """What our interface says of the recorded situations."""
    env, after = SMAC(map=name), recorded(name)  # pyright: ignore[reportArgumentType]
    zeros = jnp.zeros(len(after.hp), jnp.int32)
    state = State(after, jnp.asarray(fact(name, "last_action"), jnp.int32), zeros, zeros, zeros)
    seen = jax.vmap(env.observation)(state)
    before, now = (jax.tree.map(lambda x: jnp.asarray(x).T, x) for x in (recorded(name, "_prev"), after))
    nothing = jnp.zeros(len(after.hp), bool)
    reward = env.reward(before, now, 0, nothing, nothing)  # SMAC adds victory later, and it was not recorded
    most = env.rules.reward_max
    return {
        "obs": seen.view, "state": seen.state, "avail": seen.available,
        "reward_scaled": reward, "reward_raw": reward * most / 20,
    }  # fmt: skip


def furthest_off(name: str) -> dict[str, float]:
    """Of each field the largest difference to the recorded one."""
    found = shown(name)
    return {field: float(np.abs(np.asarray(x, float) - fact(name, field)).max()) for field, x in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_all_recorded_situations_in_all_fields(name):
    rules = maps.scenario(name)
    assert [*rules.allies.names, *rules.enemies.names] == [*fact(name, "unit_types")]
    np.testing.assert_array_equal(rules.terrain.walkable, fact(name, "pathing"))
    off = furthest_off(name)
    assert off.pop("reward_raw") < 1e-5 * rules.reward_max
    assert off.pop("avail") == 0
    assert max(off.values()) < 1e-5, off


@pytest.mark.parametrize("name", NAMES)
def test_sizes_limits_and_rewards(name):
    n, m, limit, actions, view, state, most = TABLE[name]
    env = SMAC(map=name)  # pyright: ignore[reportArgumentType]
    rules, spec = env.rules, env.spec
    found = (rules.allies.size, rules.enemies.size, spec.length, spec.action.n, spec.view.size, spec.state.size)
    assert found == (n, m, limit, actions, view, state)
    assert rules.reward_max == most


def test_options_of_what_is_seen():
    plain, rich = SMAC(map="2s3z"), SMAC(map="2s3z", obs_last_action=True, obs_timestep_number=True,
                                         state_timestep_number=True)  # fmt: skip
    assert rich.spec.view.size == plain.spec.view.size + 4 * 11 + 1
    assert rich.spec.state.size == plain.spec.state.size + 1
    state = rich.reset(KEY)[0]._replace(last_action=jnp.arange(5) + 1, time=jnp.int32(30))
    seen = rich.observation(state)
    assert seen.state[-1] == seen.view[0, -1] == 0.25
    mates = seen.view[1, 4 + 5 * 8 : -5].reshape(4, 8 + 11)
    np.testing.assert_array_equal(mates[:, 8:].argmax(-1), [1, 3, 4, 5])  # of agents 0, 2, 3, 4


def test_types_of_enemies_are_numbered_otherwise_than_allies_where_they_are():
    for aligned, first in ((False, "zealot"), (True, "stalker")):
        rules = maps.scenario("3s5z", align_types=aligned)
        assert rules.enemies.names[int(rules.enemies.kinds[:, 0].argmax())] == first


# Combat: one of each, and three Zerglings, in an arena ----------------------------------------------------------------

TYPES = ("colossus", "stalker", "zealot", "marauder", "marine", "medivac", "zergling")
ARENA = maps.built(
    "arena",
    maps.Map(tuple((x, 1) for x in TYPES), (*((x, 1) for x in TYPES), ("zergling", 2)), 100, "open"),
)
N, M = len(TYPES), len(TYPES) + 2
EDGE = {name: units.BASE[name].radius for name in TYPES}


def placed(*there: tuple[str, float, float], foes: tuple[tuple[str, float, float], ...] = ()) -> Units:
    """[N + M], these units alive, each at its place, all others dead."""
    x, y, alive = (np.zeros(N + M, np.float32) for _ in range(3))
    for first, listed in ((0, there), (N, foes)):
        taken = []
        for name, px, py in listed:
            k = TYPES.index(name) if name not in taken else len(TYPES) - 1 + taken.count(name)
            taken.append(name)
            x[first + k], y[first + k], alive[first + k] = px, py, 1
    table, none = ARENA.table, np.full(N + M, NOBODY, np.int32)
    whole, zero = np.zeros(N + M, np.int32), np.zeros(N + M, np.float32)
    hp, shield = (value[:, 0] * alive for value in (table.hp, table.shield))
    energy = np.where(table.heals[:, 0], 50, 0).astype(np.float32) * alive
    return Units(x, y, hp, shield, energy, whole, whole, none, whole + combat.LONG_AGO, none, zero, none)  # pyright: ignore


def told(count: int, who: str | None = None, target: int = NOBODY, way: tuple[float, float] | None = None, at=()):
    """Orders [count] for one type of unit, all others stand."""
    targets, moves = np.full(count, NOBODY, np.int32), np.zeros(count, bool)
    x, y = np.zeros(count, np.float32), np.zeros(count, np.float32)
    if who is not None:
        k = TYPES.index(who)
        targets[k], moves[k] = target, way is not None
        if way is not None:
            x[k], y[k] = at[0] + way[0], at[1] + way[1]
    return Orders(targets, moves, x, y)  # pyright: ignore[reportArgumentType]


@partial(jax.jit, static_argnums=4)
def _played(start: Units, first: Orders, second: Orders, balance, loops: int):
    weapons = game.weapons_of(ARENA, balance)

    def one(state, _):
        state = state._replace(shot=jnp.full_like(state.shot, NOBODY))
        after = combat.one_loop(ARENA, weapons, state, None, (first, second), jnp.zeros_like(state.windup))
        return after, after

    return jax.lax.scan(one, start, None, length=loops)[1]


def played(starts: list[Units], first: list[Orders], loops: int = 320, balance: str = "base") -> Units:
    """[loops, N + M, B], units after each loop; B games with these orders, in which enemies stand."""
    stacked = lambda xs: jax.tree.map(lambda *x: jnp.stack(x, -1), *xs)  # noqa: E731
    number = jnp.full(len(starts), units.BALANCES.index(balance))
    return jax.tree.map(
        np.asarray, _played(stacked(starts), stacked(first), stacked([told(M)] * len(starts)), number, loops)
    )


DUELS = [  # attacker, target, attacks until it is dead
    ("marine", "marine", 8),
    ("zealot", "marine", 3),
    ("zealot", "zergling", 3),
    ("zealot", "stalker", 11),
    ("zergling", "zealot", 35),
    ("stalker", "zealot", 17),
    ("colossus", "zergling", 1),
    ("marauder", "stalker", 9),
]


@cache
def duels() -> tuple[Units, list[int]]:
    starts = [placed((a, 10, 16), foes=((b, 10 + EDGE[a] + EDGE[b] + 0.05, 16),)) for a, b, _ in DUELS]
    history = played(starts, [told(N, a, TYPES.index(b)) for a, b, _ in DUELS], 520)
    return history, [TYPES.index(a) for a, _, _ in DUELS]


@pytest.mark.parametrize("number", range(len(DUELS)), ids=[f"{a}-{b}" for a, b, _ in DUELS])
def test_attacks_until_it_is_dead(number):
    history, attackers = duels()
    _, target, count = DUELS[number]
    dead = history.hp[:, N + TYPES.index(target), number] <= 0
    assert dead[-1]
    shots = history.shot[:, attackers[number], number] >= 0
    assert shots.sum() == count
    assert np.flatnonzero(shots)[-1] == dead.argmax()


def test_time_between_attacks_is_the_rounded_period():
    history, attackers = duels()
    for number, period in ((0, 14), (1, 19), (4, 11), (5, 23), (7, 24)):
        times = np.flatnonzero(history.shot[:, attackers[number], number] >= 0)
        np.testing.assert_array_equal(np.diff(times), period)
    assert np.flatnonzero(history.shot[:, attackers[5], 5] >= 0)[0] == 3  # the Stalker's wind-up
    assert np.flatnonzero(history.shot[:, attackers[6], 6] >= 0)[0] == 6  # the Colossus'


def test_damage_per_second():
    each = {name: kind.damage * kind.hits / kind.period for name, kind in units.BASE.items() if kind.damage}
    expected = {"marine": 6.97, "stalker": 6.94, "zealot": 13.3, "zergling": 7.18, "marauder": 6.67, "colossus": 18.2}
    assert each == pytest.approx(expected, rel=5e-3)
    ladder = units.LADDER410
    assert (ladder["stalker"].damage, ladder["stalker"].bonus, ladder["stalker"].period) == (13, 5, 1.87)


def test_the_other_balance():
    """A Colossus of the ladder hits light units with 2 x 15 at a range of 7."""
    far = 10 + EDGE["colossus"] + EDGE["zergling"] + 6.9
    starts = [placed(("colossus", 10, 16), foes=(("zealot", far, 16),))]
    for balance, left, x in (("base", 10, 10), ("ladder410", 20, 10)):
        after = played(starts, [told(N, "colossus", TYPES.index("zealot"))], 20, balance)
        zealot = N + TYPES.index("zealot")
        assert after.shield[-1, zealot, 0] == left
        moved = after.x[-1, TYPES.index("colossus"), 0] > x + 0.5
        assert moved == (balance == "base")


def test_a_free_move_of_a_step():
    starts = [placed((name, 10, 16)) for name in TYPES]
    history = played(starts, [told(N, name, way=(2.0, 0.0), at=(10, 16)) for name in TYPES], 8)
    gone = {name: float(history.x[-1, k, k] - 10) for k, name in enumerate(TYPES)}
    slow, fast = 1.125, 1.4766
    expected = {name: fast if name in ("stalker", "zergling") else slow for name in TYPES if name != "medivac"}
    assert {name: gone[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert gone["medivac"] == pytest.approx(2.3125 / 256 * 36, abs=1e-3)  # it begins slowly: 1 + 2 + ... + 8
    assert abs(history.y[-1, :, :] - 16)[:N][np.eye(N, dtype=bool)].max() < 1e-5


def test_shields_come_back_160_loops_after_the_last_damage():
    start = placed(("zealot", 10, 16))
    k = TYPES.index("zealot")
    start = start._replace(shield=start.shield * 0.5, unhurt=np.zeros_like(start.unhurt))
    shield = played([start], [told(N)], 176).shield[:, k, 0]
    np.testing.assert_array_equal(shield[:160], 25)
    assert shield[160] == pytest.approx(25.125)
    assert shield[175] - shield[167] == pytest.approx(1)  # per step


def test_damage_puts_the_clock_of_shields_back():
    history, _ = duels()
    hurt = N + TYPES.index("zealot")
    shield = history.shield[:, hurt, 5]
    assert (np.diff(shield) <= 0).all()
    assert history.unhurt[history.shot[:, TYPES.index("stalker"), 5] >= 0, hurt, 5].max() == 0


def test_a_medivac_heals_4_5_per_step_at_a_third_of_the_energy():
    start = placed(("medivac", 10, 16), ("marine", 12, 16))
    hp = start.hp.copy()
    hp[TYPES.index("marine")] = 5
    history = played([start._replace(hp=hp)], [told(N, "medivac", TYPES.index("marine"))], 8)
    assert history.hp[-1, TYPES.index("marine"), 0] == pytest.approx(9.5)
    spent = 50 - history.energy[-1, TYPES.index("medivac"), 0] + 0.5625 / 2
    assert spent == pytest.approx(1.5)


def test_a_medivac_needs_energy_to_begin_and_wounds_to_heal():
    start = placed(("medivac", 10, 16), ("marine", 12, 16))
    hp, low = start.hp.copy(), start.energy.copy()
    hp[TYPES.index("marine")], low[TYPES.index("medivac")] = 5, 4.5
    begins = told(N, "medivac", TYPES.index("marine"))
    history = played([start._replace(hp=hp, energy=low), start], [begins, begins], 8)
    assert history.hp[-1, TYPES.index("marine"), 0] == 5
    assert history.hp[-1, TYPES.index("marine"), 1] == 45
    assert history.energy[-1, TYPES.index("medivac"), 1] == pytest.approx(50 + 0.5625 / 2)


def test_ranges_are_from_edge_to_edge():
    """At 5 + two radii, less a little, a Marine fires where it stands; further off it walks first."""
    near, far = (10 + 5 + 2 * EDGE["marine"] + x for x in (-0.06, 0.2))
    starts = [placed(("marine", 10, 16), foes=(("marine", x, 16),)) for x in (near, far)]
    history = played(starts, [told(N, "marine", TYPES.index("marine"))] * 2, 8)
    k = TYPES.index("marine")
    assert (history.x[:, k, 0] == 10).all()
    assert np.flatnonzero(history.shot[:, k, 0] >= 0)[0] == 1
    assert history.shot[0, k, 1] == history.shot[1, k, 1] == NOBODY
    assert history.x[-1, k, 1] > 10.1


def test_another_order_during_the_wind_up_takes_the_hit_back():
    start = placed(("stalker", 10, 16), foes=(("zealot", 12, 16),))
    attacks, leaves = told(N, "stalker", TYPES.index("zealot")), told(N, "stalker", way=(-2.0, 0.0), at=(10, 16))
    k, target = TYPES.index("stalker"), N + TYPES.index("zealot")
    begun = jax.tree.map(lambda x: x[-1, :, 0], played([start], [attacks], 2))
    assert begun.windup[k] == 2
    assert begun.cooldown[k] == 21
    after = played([begun, begun], [leaves, attacks], 2)
    assert (after.windup[0, k, 0], after.cooldown[0, k, 0]) == (0, 0)
    assert after.shield[-1, target, 0] == 50  # nothing landed
    assert after.shield[-1, target, 1] == 40


def test_another_target_during_the_wind_up_begins_it_anew():
    start = placed(("stalker", 10, 16), foes=(("zealot", 12, 16), ("marine", 12, 17)))
    first, other = (told(N, "stalker", TYPES.index(name)) for name in ("zealot", "marine"))
    begun = jax.tree.map(lambda x: x[-1, :, 0], played([start], [first], 2))
    history = played([begun], [other], 8)
    shots = history.shot[:, TYPES.index("stalker"), 0]
    np.testing.assert_array_equal(np.flatnonzero(shots >= 0), [3])
    assert shots[3] == TYPES.index("marine")


def test_a_colossus_hits_what_stands_across_its_line_of_fire():
    ahead = 10 + 5.0
    beside, behind = (ahead, 17.2), (ahead + 1.5, 16.0)
    foes = (("zergling", ahead, 16.0), ("zergling", *beside), ("zergling", *behind), ("medivac", ahead, 15.0))
    history = played([placed(("colossus", 10, 16), foes=foes)], [told(N, "colossus", TYPES.index("zergling"))], 8)
    first = N + TYPES.index("zergling")
    np.testing.assert_array_equal(history.hp[-1, [first, first + 1], 0], 0)
    assert history.hp[-1, first + 2, 0] == 35  # behind it
    assert history.hp[-1, N + TYPES.index("medivac"), 0] == 150  # it flies
    assert history.hp[-1, first, 0] == 0


def test_bodies_of_one_layer_push_each_other_apart_and_no_others():
    pairs = [("zealot", "marine"), ("medivac", "marine"), ("colossus", "zergling"), ("stalker", "zealot")]
    starts = [placed((a, 10, 16), (b, 10.2, 16)) for a, b in pairs]
    history = played(starts, [told(N)] * 4, 8)
    for number, (a, b) in enumerate(pairs):
        gap = np.hypot(*(np.diff(x[-1, [TYPES.index(a), TYPES.index(b)], number])[0] for x in (history.x, history.y)))
        meets = {a, b} <= {"zealot", "marine", "stalker"}
        room = units.BASE[a].separation + units.BASE[b].separation
        assert gap == pytest.approx(room if meets else 0.2, abs=0.02), (a, b)


def test_a_ground_weapon_cannot_hit_what_flies():
    start = placed(("marauder", 10, 16), ("marine", 10, 20), foes=(("medivac", 12, 16),))
    for who, left in (("marauder", 150), ("marine", 145)):
        history = played([start], [told(N, who, TYPES.index("medivac"))], 8)
        assert history.hp[-1, N + TYPES.index("medivac"), 0] == left


# What an episode is worth ---------------------------------------------------------------------------------------------


def outcome(name: str, allies: list[float], enemies: list[float]) -> tuple[bool, bool, bool]:
    rules = maps.scenario(name)
    hp = np.zeros(rules.size, np.float32)
    hp[: len(allies)], hp[rules.allies.size : rules.allies.size + len(enemies)] = allies, enemies
    filled = Units(*([jnp.asarray(hp)[:, None]] * len(Units._fields)))
    return tuple(bool(x[0]) for x in game.ended(rules, filled))  # pyright: ignore[reportReturnType]


def test_who_has_won():
    assert outcome("3m", [0, 5, 0], [0, 0, 0]) == (True, False, True)
    assert outcome("3m", [0, 0, 0], [0, 1, 0]) == (False, True, True)
    assert outcome("3m", [0, 0, 0], [0, 0, 0]) == (False, False, True)  # nobody
    assert outcome("3m", [1, 0, 0], [1, 0, 0]) == (False, False, False)
    only_medivac, nobody = [0.0] * 9 + [150], [0.0] * 10
    assert outcome("MMM2", only_medivac, [1]) == (False, True, True)
    assert outcome("MMM2", [1], [0.0] * 11 + [150]) == (True, False, True)
    assert outcome("MMM2", only_medivac, [0.0] * 11 + [150]) == (False, True, True)
    assert outcome("MMM2", nobody, [0.0] * 12) == (False, True, True)


def rewarded(env: SMAC, hp: float = 0.0, shield: float = 0.0, own: float = 0.0, won: bool = False) -> float:
    """Points when the first enemy's hp and shield, and the first ally's hp, change by so much from half."""
    rules = env.rules
    hp_now, zero = jnp.asarray(rules.table.hp / 2), jnp.zeros_like(rules.table.hp)
    start = Units(
        **{name: zero for name in Units._fields} | {"hp": hp_now, "shield": jnp.asarray(rules.table.shield / 2)}
    )
    n = rules.allies.size
    after = start._replace(hp=start.hp.at[n].add(hp).at[0].add(own), shield=start.shield.at[n].add(shield))
    after = after._replace(hp=jnp.maximum(after.hp, 0))
    yes, no = jnp.array([won]), jnp.array([False])
    return float(env.reward(start, after, 0, yes, no)[0])


def test_points():
    plain = SMAC(map="3s5z", reward_scale=False)
    assert rewarded(plain, hp=-10, shield=-5) == 15
    assert rewarded(plain, shield=4) == 4  # what grows pays, too: SMAC's absolute value
    assert rewarded(plain, own=-10) == 0
    assert rewarded(plain, won=True) == 200
    assert rewarded(plain, hp=-1000) == 40 + 40 + 10  # all that a Stalker had, and its death
    assert rewarded(SMAC(map="3s5z"), hp=-10) == pytest.approx(10 * 20 / 1510)
    harsh = SMAC(map="3s5z", reward_scale=False, reward_only_positive=False)
    assert rewarded(harsh, hp=-10, own=-6) == 7
    assert rewarded(harsh, shield=4) == -4
    sparse = SMAC(map="3s5z", reward_sparse=True, reward_scale=False)
    assert rewarded(sparse, hp=-10) == 0
    assert rewarded(sparse, won=True) == 1
