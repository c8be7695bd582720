"""SMAC's battles played: properties of every state, scripts, both teams as players, names, pictures."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.environments.battle import maps, orders, seeing
from comity.environments.battle.game import SMAC
from comity.environments.battle.terrain import BITS, HERE, terrain
from comity.recipes import find_task, from_objects, settings_of
from comity.spec import functions
from comity.training.crossplay import partner

KEY = jax.random.key(0)
GAMES = 8


class Played:
    """Games of a map with random available actions: units after each step, [T, B, N]."""

    def __init__(self, env: SMAC, steps: int, games: int = GAMES):
        self.env, self.program = env, jax.jit(self.run, static_argnums=(1, 2))
        self.play(KEY, steps, games)

    def play(self, key: Any, steps: int, games: int) -> None:
        self.before, self.action, self.after, self.timestep = jax.tree.map(np.asarray, self.program(key, steps, games))

    def run(self, key: Any, steps: int, games: int) -> Any:
        env = self.env

        def one(carry, key):
            state, seen = carry
            key_act, key_step = jax.random.split(key)
            action = jax.random.categorical(key_act, jnp.where(seen.available, 0.0, -jnp.inf)).astype(jnp.int32)
            after, timestep = env.step_games(jax.random.split(key_step, games), state, action)
            return (after, timestep.observation), (state, action, after, timestep)

        start = jax.vmap(env.reset)(jax.random.split(key, games))
        return jax.lax.scan(one, start, jax.random.split(key, steps))[1]


@cache
def random_play(name: str, steps: int = 40) -> Played:
    """In half of the games enemies follow other policies than the usual one."""
    return Played(SMAC(map=name, enemy="mixed", reward_only_positive=False), steps)  # pyright: ignore


@pytest.mark.parametrize("name", ["2s3z", "MMM2", "corridor", "2c_vs_64zg"])
def test_what_holds_in_every_state(name):
    holds(random_play(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", maps.MAPS)
def test_what_holds_in_every_state_of_18_200_steps(name):
    """On all eleven maps: 200,200 steps, 13 draws of 28 games and 50 steps each."""
    play = Played(SMAC(map=name, enemy="mixed"), 50, 28)
    for draw in range(1, 14):
        play.play(jax.random.key(draw), 50, 28)
        holds(play)


def holds(play: Played) -> None:
    rules, units = play.env.rules, play.after.units
    table = jax.tree.map(lambda x: x[:, 0], rules.table)
    alive = units.hp > 0
    assert len(np.unique(play.after.policy)) > 1
    assert np.isfinite(units.x).all()
    assert (units.hp >= 0).all()
    assert (units.hp <= table.hp).all()
    assert (units.shield >= 0).all()
    assert (units.shield <= table.shield).all()
    assert (units.cooldown >= 0).all()
    assert (units.energy >= 0).all()
    assert (units.energy <= 200).all()
    # Who is dead stays so, does nothing, is nobody's target, and does not move.
    dead = ~(play.before.units.hp > 0)
    for field in ("hp", "shield", "cooldown", "windup"):
        assert (getattr(units, field)[dead] == 0).all(), field
    assert (units.shot[dead] < 0).all()
    for axis in ("x", "y"):
        assert (getattr(units, axis) == getattr(play.before.units, axis))[dead].all()
    # Who fell in a step is told.
    allies = rules.allies.size
    np.testing.assert_array_equal(play.timestep.info["falls"], (~dead & ~alive)[..., :allies])
    # Nobody stands in a wall of its layer, or outside.
    layer = np.broadcast_to(table.layer, units.x.shape)
    cell = layer * 1024 + units.x.astype(int) * 32 + units.y.astype(int)
    assert (units.x >= 0).all()
    assert (units.x < 32).all()
    assert not (rules.terrain.blocked[cell][alive] >> HERE & 1).any()
    # Bodies overlap by 0.1 at most.
    gap = np.hypot(units.x[..., None] - units.x[..., None, :], units.y[..., None] - units.y[..., None, :])
    pairs = alive[..., None] & alive[..., None, :] & (table.layer[:, None] == table.layer)
    pairs &= ~np.eye(rules.size, dtype=bool)
    deep = np.where(pairs, table.separation[:, None] + table.separation - gap, 0)
    assert (deep > 0.05).any() or not rules.crowded  # they do meet
    assert deep.max() < 0.1 + 1e-5


def test_points_of_an_episode_are_20_and_what_shields_regained():
    """With damage counted by its sign, an episode's points are at most 20."""
    play = random_play("2s3z")
    env = SMAC(map="2s3z")
    gained = np.asarray(play.timestep.reward[..., 0])
    assert np.isfinite(gained).all()
    script = scripted(env, "closest")
    assert script["won"].mean() > 0.5
    most = 20 + 8 * 120 * env.rules.enemies.size * 20 / env.rules.reward_max  # 1 per step and shield
    assert (script["return"][script["won"] > 0] >= 20 - 1e-3).all()
    assert (script["return"] < most).all()


def test_the_same_key_is_the_same_battle_and_games_do_not_touch_each_other():
    env = SMAC(map="2s3z")
    first, again = random_play_of_2s3z(), Played(env, 30)
    for one, two in zip(jax.tree.leaves(first.after), jax.tree.leaves(again.after), strict=True):
        np.testing.assert_array_equal(one, two)
    step = jax.jit(env.step)
    keys = jax.random.split(KEY, 30)
    alone = jax.tree.map(lambda x: x[0, 3], first.before)
    for t in range(30):
        key = jax.random.split(jax.random.split(keys[t])[1], GAMES)[3]
        alone, timestep = step(key, alone, first.action[t, 3])
        for x, y in zip(alone.units, first.after.units, strict=True):
            np.testing.assert_allclose(x, y[t, 3], atol=2e-4)
        np.testing.assert_allclose(timestep.observation.view, first.timestep.observation.view[t, 3], atol=1e-4)


@cache
def random_play_of_2s3z() -> Played:
    return Played(SMAC(map="2s3z"), 30)


def test_an_action_that_is_not_available_means_stop():
    env = SMAC(map="3m")
    state, seen = env.reset(KEY)
    step = jax.jit(env.step)
    assert not seen.available[:, 6].any()
    stopped, attacked = (step(KEY, state, jnp.full(3, action))[0] for action in (1, 6))
    for one, two in zip(stopped.units, attacked.units, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(attacked.last_action, 1)


# Scripts --------------------------------------------------------------------------------------------------------------


@cache
def scripted(env: SMAC, name: str, games: int = 32) -> dict[str, np.ndarray]:
    """Statistics of whole episodes."""
    _, algorithm = partner(name, env)

    @jax.jit
    def run(key):
        act = lambda key, memory, seen: algorithm.act(key, (), memory, seen)  # noqa: E731
        start = rollout.start(key, env, algorithm.memory, games)
        steps = rollout.collect_episodes(key, env, act, start)
        points = steps.reward[..., 0].sum(0)
        return env.summary(steps.reward, steps.info, steps.valid) | {"return": points}

    return {name: np.asarray(x) for name, x in run(KEY).items()}


def won(name: str, script: str, games: int = 32, **options: Any) -> float:
    return float(scripted(SMAC(map=name, **options), script, games)["won"].mean())  # pyright: ignore


def test_fire_on_the_weakest_beats_fire_on_the_nearest_on_8m():
    assert won("8m", "focus_weakest") > won("8m", "focus_nearest") + 0.3


def test_kiting_beats_standing():
    assert won("3s_vs_5z", "kite", 16) > 0.5
    assert won("3s_vs_5z", "focus_nearest", 16) < 0.05


def test_a_wall_in_the_corridor_beats_the_open_field():
    assert won("corridor", "wall", 8) > won("corridor", "focus_nearest", 8) + 0.5


def test_both_teams_are_equally_strong():
    """Both play the same script."""
    env = SMAC(map="3m", enemy="self_play")
    stats = scripted(env, "closest", 300)
    decided = stats["won"] + stats["lost"] > 0
    assert decided.mean() > 0.9
    assert 0.4 < stats["won"][decided].mean() < 0.6


# Both teams as players ------------------------------------------------------------------------------------------------


def test_self_play_has_roles_and_rewards_of_both_teams():
    env = SMAC(map="5m_vs_6m", enemy="self_play")
    assert env.spec.roles == ("ally",) * 5 + ("enemy",) * 6
    assert (env.spec.agents, env.spec.action.n) == (11, 12)
    state, seen = env.reset(KEY)
    near = state.units._replace(x=state.units.x.at[5:].add(-9.0))  # at the other team's side
    far, action = state._replace(units=near), jnp.full(11, orders.ATTACK)
    after, timestep = jax.jit(env.step)(KEY, far, action)
    lost = lambda part: float((45 - after.units.hp[part]).sum())  # noqa: E731
    assert lost(slice(5)) > 0
    assert lost(slice(5, 11)) > 0
    most = {0: 6 * 55 + 200, 5: 5 * 55 + 200}
    for agent, hurt in ((0, slice(5, 11)), (5, slice(5))):
        killed = 10 * float((after.units.hp[hurt] <= 0).sum())
        assert timestep.reward[agent] == pytest.approx((lost(hurt) + killed) * 20 / most[agent], abs=1e-4)
    assert seen.view.shape == (11, max(55, 4 + 5 * 5 + 5 * 5 + 1))
    assert functions(env).draw_view is None


def test_what_the_enemies_see_is_what_allies_would_see_in_their_place():
    env = SMAC(map="3m", enemy="self_play")
    state, _ = env.reset(KEY)
    turned = state.units._replace(x=jnp.roll(state.units.x, 3), y=jnp.roll(state.units.y, 3))
    close = state.units._replace(x=state.units.x.at[3:].add(-8.0))
    for units, other in ((state.units, turned), (close, None)):
        if other is None:
            other = close._replace(x=jnp.roll(close.x, 3), y=jnp.roll(close.y, 3))
        one, two = (env.observation(state._replace(units=x)) for x in (units, other))
        np.testing.assert_allclose(one.view[3:], two.view[:3], atol=1e-6)
        np.testing.assert_array_equal(one.available[3:], two.available[:3])


# Settings, names, terrain ---------------------------------------------------------------------------------------------


def test_balance_and_enemy_are_data_not_programs():
    """The step's program has no trace of them; `mixed` draws all policies."""
    texts = set()
    for balance, enemy in (("base", "attack_move"), ("ladder410", "hold"), ("base", "mixed")):
        env = SMAC(map="3m", balance=balance, enemy=enemy)  # pyright: ignore
        state, _ = jax.eval_shape(env.reset, KEY)
        texts.add(jax.jit(env.step).lower(KEY, state, jax.ShapeDtypeStruct((3,), jnp.int32)).as_text())
    assert len(texts) == 1
    drawn = jax.vmap(lambda key: SMAC(enemy="mixed").reset(key)[0].policy)(jax.random.split(KEY, 64))
    assert set(np.asarray(drawn)) == set(range(len(orders.POLICIES)))


def test_an_enemy_that_holds_stays_and_one_that_knows_all_comes():
    env = SMAC(map="3m")
    state, _ = env.reset(KEY)
    step, stop = jax.jit(env.step), jnp.ones(3, jnp.int32)
    ends = {}
    for name in orders.POLICIES:
        at = state._replace(policy=jnp.int32(orders.POLICIES.index(name)))
        for _ in range(6):
            at, _ = step(KEY, at, stop)
        ends[name] = np.asarray(at.units.x[3:])
    np.testing.assert_allclose(ends["hold"], state.units.x[3:], atol=0.3)
    assert (ends["attack_move"] < state.units.x[3:] - 5).all()
    assert (ends["nearest_global"] < state.units.x[3:] - 5).all()


def test_starts_are_moved_by_the_jitter_only():
    fixed, moved = (SMAC(map="3m", spawn_jitter=x) for x in (0.0, 0.5))
    starts = lambda key: jnp.stack([env.reset(key)[0].units.x for env in (fixed, moved)])  # noqa: E731
    x = jax.jit(jax.vmap(starts))(jax.random.split(KEY, 9))  # compiled, so no view is made
    np.testing.assert_array_equal(x[:, 0], np.broadcast_to(fixed.rules.start[:, 0], (9, 6)))
    off = np.abs(x[:, 1] - x[:, 0])
    assert 0.3 < off.max() <= 0.5


@pytest.mark.parametrize("name", ["2c_vs_64zg", "corridor"])
def test_the_jitter_moves_no_unit_into_a_wall(name):
    """A unit whose moved cell is blocked keeps its start; the others move."""
    env = SMAC(map=name, spawn_jitter=3.0)
    rules, ground = env.rules, env.rules.terrain
    units = jax.jit(jax.vmap(lambda key: env.reset(key)[0].units))(jax.random.split(KEY, 32))
    cells = np.asarray(units.x).astype(int), np.asarray(units.y).astype(int)
    giant = rules.table.layer[:, 0] == 1
    assert np.where(giant, ground.cliffwalk[cells], ground.walkable[cells]).all()
    stays = (np.asarray(units.x) == rules.start[:, 0]) & (np.asarray(units.y) == rules.start[:, 1])
    assert 0.01 < stays.mean() < 0.5


@pytest.mark.parametrize("name", maps.MAPS)
def test_starts_are_free_and_do_not_overlap(name):
    rules = maps.scenario(name)
    cell = rules.start.astype(int)
    walks = (rules.table.layer[:, 0] == 0) | ~rules.terrain.cliffwalk[cell[:, 0], cell[:, 1]]
    assert rules.terrain.walkable[cell[:, 0], cell[:, 1]][walks].all()
    gap = np.hypot(*(rules.start[:, None] - rules.start).transpose(2, 0, 1))
    room = rules.table.separation + rules.table.separation.T
    same = (rules.table.layer == rules.table.layer.T) & ~np.eye(rules.size, dtype=bool)
    assert (gap >= room - 1e-5)[same].all()


@pytest.mark.parametrize("name", ["corridor", "ravine"])
def test_ways_lead_from_everywhere_to_everywhere(name):
    ground = terrain(name)
    routes = ground.routes
    assert routes is not None
    cells = np.argwhere(ground.walkable)
    count = len(cells)
    towards = routes.towards.reshape(count, count)
    steps = np.array([*BITS, (0, 0)])
    rng = np.random.default_rng(0)
    for goal in rng.choice(count, 12):
        at = cells.copy()
        for _ in range(90):
            at = at + steps[towards[goal][routes.number[at[:, 0] * 32 + at[:, 1]]]]
            assert ground.walkable[at[:, 0], at[:, 1]].all()
        assert (at == cells[goal]).all()


def test_a_name_with_a_map_fixes_the_map():
    source = find_task("smac/2s3z")
    env = source.thing()
    assert (source.stem, env.map, env.spec.action.n) == ("smac-2s3z", "2s3z", 11)
    with pytest.raises(ValueError, match="smac/2s3z has no setting map"):
        settings_of(source, None, "profile", {"map": "3m"})
    with pytest.raises(ValueError, match="unknown task 'smac/2s3'"):
        find_task("smac/2s3")
    recipe = from_objects(env, "random")
    assert recipe.describe()["task"]["name"] == "smac/2s3z@2"
    assert "map" not in recipe.describe()["task"]
    assert from_objects(SMAC(map="8m"), "random").describe()["task"]["map"] == "8m"
    with pytest.raises(ValueError, match="border 8 is above 7"):
        SMAC(border=8)


def test_a_script_of_a_whole_team_is_no_opponent_for_the_wrapper():
    thing = find_task("smac/3m+scripted").thing
    with pytest.raises(ValueError, match="scripts play whole teams"):
        thing(script="closest")


def test_pictures():
    env = SMAC(map="2s3z")
    state, seen = env.reset(KEY)
    state = jax.tree.map(np.asarray, state)
    picture = env.draw(state)
    assert (picture.shape, picture.dtype) == ((270, 480, 3), np.uint8)
    assert (env.draw(state, ranges=True) != picture).any()
    hurt = state._replace(units=state.units._replace(shield=state.units.shield / 2))
    shot = state._replace(units=state.units._replace(shot=np.array([3] + [-1] * 9)))
    assert (env.draw(hurt) != picture).any()
    assert (env.draw(shot) != picture).any()
    view = np.asarray(seen.view[0])
    near = view.copy()
    near[4:12] = [1, 0.5, 0.5, 0.0, 1.0, 1.0, 0, 1]
    assert (env.draw_view(jnp.asarray(view)) != env.draw_view(jnp.asarray(near))).any()
    assert seeing.SIGHT == 9
