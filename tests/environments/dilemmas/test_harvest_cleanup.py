"""Harvest and Cleanup: chance, maps, windows, known errors of other versions, statistics, scripts, pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.drawing.dilemmas import CHANNELS
from comity.environments.dilemmas import beams, maps, play, scripts, statistics, windows
from comity.environments.dilemmas.cleanup import Cleanup
from comity.environments.dilemmas.harvest import Harvest, probabilities

KEY = jax.random.key(0)
ROOM = "WWWWWWW/WPPPPPW/WPPAPPW/WPPPPPW/WWWWWWW"
STAY, FIRE, CLEAN = play.STAY, play.FIRE, play.CLEAN


def state_of(game, position, heading, apples=None, waste=None) -> play.State:
    shape = game.land.walls.shape
    n = len(position)
    none = np.zeros(shape, bool)
    return play.State(
        jnp.array(position, jnp.int32),
        jnp.array(heading, jnp.int32),
        jnp.asarray(none if apples is None else apples),
        jnp.asarray(none if waste is None else waste),
        jnp.zeros(n, jnp.int32),
        jnp.zeros((n, 3), jnp.int32),
        jnp.int32(0),
    )


# Chance ---------------------------------------------------------------------------------------------------------------


def test_apples_grow_as_often_as_they_should_and_apart_from_each_other():
    """2,000 draws of one orchard: 210,000 free cells. Each class within 4 deviations, and so is the spread of sums,
    which would be larger if cells went together and smaller if they took turns."""
    game = Harvest()
    rng = np.random.default_rng(0)
    apples = game.land.orchard & (rng.random(game.land.orchard.shape) < 0.3)
    there = jnp.zeros_like(apples)
    free = game.land.orchard & ~apples
    chance = np.asarray(probabilities(jnp.asarray(apples), game.regrowth, "eight"))

    def grown(key):
        return game.grown(jnp.asarray(apples), there, there, play.draws(key, 5, game.land))[0] & ~apples

    new = np.asarray(jax.jit(jax.vmap(grown))(jax.random.split(KEY, 2000)))
    assert free.sum() * 2000 >= 100_000
    assert not new[:, ~free].any()
    for rate in (0.0, 0.005, 0.02, 0.05):
        cells = free & np.isclose(chance, rate)
        assert cells.sum() > 5
        sums = new[:, cells].sum(1)  # binomial, if cells are independent
        mean, variance = cells.sum() * rate, cells.sum() * rate * (1 - rate)
        assert abs(sums.mean() - mean) <= 4 * np.sqrt(variance / 2000)
        assert abs(sums.var() - variance) <= 5 * variance * np.sqrt(2 / 2000) + 1e-9


def test_no_number_is_drawn_twice():
    """All numbers of a step, of a reset, and what plays beside them: no two go together, over 3,000 keys."""
    land = maps.read("WWWW/WPPW/WABW/WHRW/WWWW")

    def numbers(key):
        now = jnp.concatenate([x for x in play.draws(key, 3, land)])
        start = play.start(key, 2, land, land.orchard, lambda a, w, t, d: (a, d.apples))
        return jnp.concatenate([now, start.waste, start.heading / 4])

    x = np.asarray(jax.jit(jax.vmap(numbers))(jax.random.split(KEY, 3000)))
    together = np.corrcoef(x.T) - np.eye(x.shape[1])
    assert x.shape[1] == 3 + 3 + 2 + 2 + 2 + 2 + 2
    assert np.abs(together).max() < 4.5 / np.sqrt(3000)


def test_waste_comes_to_one_cell_at_most_and_to_all_alike():
    game = Cleanup()
    waste = game.land.river & (np.arange(18) < 2)  # a few cells, below the threshold
    none = jnp.zeros_like(waste)

    def new(key):
        return game.grown(none, jnp.asarray(waste), none, play.draws(key, 5, game.land))[1] & ~waste

    found = np.asarray(jax.jit(jax.vmap(new))(jax.random.split(KEY, 4000)))
    assert set(found.sum((1, 2))) == {1}  # 1 - 0.5^95 of steps
    counts = found.sum(0)[game.land.river & ~waste]
    assert found.sum() == counts.sum()
    expected = 4000 / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < len(counts) + 5 * np.sqrt(2 * len(counts))


@pytest.mark.parametrize(("cells", "rate"), [(47, 0.000630252), (30, 0.018487395), (10, 0.039495798), (0, 0.05)])
def test_apples_of_cleanup_by_waste(cells, rate):
    from comity.environments.dilemmas.cleanup import apple_chance

    np.testing.assert_allclose(apple_chance(jnp.float32(cells / 119), 0.4, 0.05)[1], rate, rtol=1e-5)
    assert not apple_chance(jnp.float32(48 / 119), 0.4, 0.05)[0]


# Maps, starts ---------------------------------------------------------------------------------------------------------


def test_maps_of_the_release():
    harvest, cleanup = Harvest().land, Cleanup().land
    assert (harvest.rows, harvest.columns, len(harvest.apple_cells), len(harvest.starts)) == (16, 38, 155, 20)
    assert (cleanup.rows, cleanup.columns, len(cleanup.apple_cells), len(cleanup.starts)) == (25, 18, 103, 10)
    assert (cleanup.fouled.sum(), len(cleanup.river_cells), cleanup.water.sum()) == (56, 119, 131)


@pytest.mark.parametrize("game", [Harvest(num_agents=20), Cleanup(num_agents=10)])
def test_agents_start_apart(game):
    state, _ = jax.jit(jax.vmap(game.reset))(jax.random.split(KEY, 50))
    land, cells = game.land, np.asarray(state.position)
    starts = {tuple(cell) for cell in land.starts}
    for positions in cells:
        assert len({tuple(cell) for cell in positions}) == game.num_agents
        assert {tuple(cell) for cell in positions} <= starts
    assert set(np.asarray(state.heading).ravel()) == {0, 1, 2, 3}
    if isinstance(game, Harvest):
        assert (np.asarray(state.apples) == land.orchard).all()
    else:
        assert not np.asarray(state.apples).any()
        assert (np.asarray(state.waste) == land.fouled).all()


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (Harvest, {"num_agents": 21}, "20 places to start"),
        (Harvest, {"map": "WXW"}, "'X'"),
        (Harvest, {"map": "///"}, "0 x 0"),
        (Cleanup, {"map": "PPPPPP"}, "no river"),
    ],
)
def test_bad_maps_are_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        kind(**settings)


# Mistakes that others made --------------------------------------------------------------------------------------------


def crowded(shared: bool) -> int:
    """Steps in which two stand in one cell, of 600 random ones of nine agents in 15 cells."""
    game = Harvest(num_agents=9, map=ROOM, shared_cells=shared, length=600)

    def play_on(key):
        def step(state, key):
            action = jax.random.randint(key, (9,), 0, 5)
            state, _ = game.step(jax.random.fold_in(key, 1), state, action)
            cell = state.position @ jnp.array([7, 1])
            return state, (cell[:, None] == cell).sum() > 9

        return jax.lax.scan(step, game.reset(key)[0], jax.random.split(key, 600))[1]

    return int(jax.jit(jax.vmap(play_on))(jax.random.split(KEY, 3)).sum())


def test_two_agents_in_one_cell_only_where_the_release_allows_it():
    assert crowded(True) > 0
    assert crowded(False) == 0


def test_a_beam_does_not_pass_through_an_agent():
    game = Harvest(num_agents=3, map="WWWWWWW/WPPP..W/WWWWWWW")
    state = state_of(game, [[1, 1], [1, 3], [1, 4]], [1, 1, 1])
    _, timestep = jax.jit(game.step)(KEY, state, jnp.array([FIRE, STAY, STAY]))
    np.testing.assert_array_equal(timestep.reward, [-1, -50, 0])


def test_a_beam_covers_three_rays_that_begin_beside_the_agent():
    """An agent at (r, c) facing up covers (r-1..r-5, c), (r..r-4, c+1), (r..r-4, c-1)."""
    land = maps.read("/".join(["." * 9] * 9))
    found = beams.rays(land.walls, jnp.array([[7, 4]]), jnp.array([0]), 5)
    reach = beams.covered(found, jnp.array([beams.PENALTY]), jnp.zeros((1, 3), jnp.int32))
    drawn = beams.plane(np.array([[7, 4]]), np.array([0]), np.asarray(reach), 9, 9)
    expected = {*((7 - k, 4) for k in range(1, 6)), *((7 - k, c) for k in range(5) for c in (3, 5))}
    assert {tuple(cell) for cell in np.argwhere(drawn).tolist()} == expected


def test_waste_stops_a_cleaning_ray_and_three_cells_are_cleaned_at_most():
    game = Cleanup(num_agents=1, map="RHHHHHR/RHHHHHR/RRRPRRR", waste_rate=0.0)
    state = state_of(game, [[2, 3]], [0], waste=game.land.fouled)
    after, timestep = jax.jit(game.step)(KEY, state, jnp.array([CLEAN]))
    gone = np.asarray(state.waste & ~after.waste)
    assert {tuple(cell) for cell in np.argwhere(gone).tolist()} == {(1, 2), (1, 3), (1, 4)}
    assert timestep.info["cleaned"] == 3
    assert timestep.reward == 0


@pytest.mark.parametrize(("order", "left"), [([0.1, 0.9], 0), ([0.9, 0.1], 1)])
def test_who_cleans_first_opens_the_way_for_the_next(order, left):
    """Both reach row 2 of the column between them, only agent 1 row 1, once row 2 is clean."""
    game = Cleanup(num_agents=2, map="...../..H../..H../.P.P.", beam_length=2)
    state = state_of(game, [[3, 1], [2, 3]], [0, 0], waste=game.land.fouled)
    chance = play.draws(KEY, 2, game.land)._replace(order=jnp.array(order))
    nothing = lambda apples, waste, there, draws: (apples, waste)  # noqa: E731
    step = jax.jit(lambda draws: play.advanced(game.land, state, jnp.array([CLEAN, CLEAN]), draws, nothing, 2, True))
    after, events = step(chance)
    assert after.waste.sum() == left
    assert events.cleaned.sum() == 2 - left


def test_waste_may_come_under_an_agent_and_an_apple_may_not():
    game = Cleanup(num_agents=2, map="PPRB", threshold=1.0, apple_rate=1.0, waste_rate=1.0)
    state = state_of(game, [[0, 2], [0, 3]], [0, 0])
    after, _ = jax.jit(game.step)(KEY, state, jnp.array([STAY, STAY]))
    assert after.waste[0, 2]
    assert not after.apples.any()


# Windows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", ["ahead", "released"])
@pytest.mark.parametrize("heading", range(4))
def test_ahead_is_on_top_or_as_released(heading, rotation):
    game = Harvest(
        num_agents=2, map="/".join(["A" * 9] * 4 + ["AAAAPAAAP"] + ["A" * 9] * 4), rotation=rotation, radius=3
    )
    ahead = maps.MOVES[heading]
    apples = np.zeros((9, 9), bool)
    apples[tuple(4 + 2 * ahead)] = True
    other = 4 + maps.MOVES[(heading + 1) % 4]  # on the right-hand side
    state = state_of(game, [[4, 4], other], [heading, (heading + 1) % 4], apples)
    view = np.asarray(play.observation(game, state).view[0])
    down = rotation == "released" and heading % 2 == 1
    assert np.argwhere(view[..., CHANNELS.index("apple")]).tolist() == [[5 if down else 1, 3]]
    assert np.argwhere(view[..., CHANNELS.index("others")]).tolist() == [[3, 2 if down else 4]]
    assert np.argwhere(view[..., CHANNELS.index("self")]).tolist() == [[3, 3]]
    assert np.argwhere(view[..., 6:].any((0, 1))).ravel().tolist() == ([2, 3] if down else [0, 1])
    found = windows.places_of_others(state.position, state.heading, 3, rotation == "released")
    np.testing.assert_array_equal(found[0], [[3, 3], [3, 2 if down else 4]])


@pytest.mark.parametrize("kind", [Harvest, Cleanup])
def test_planes_and_colours_show_the_same(kind):
    """After random steps: each plane is where its colour is, and others are where `places_of_others` says."""
    game = kind()
    state, _ = jax.jit(game.reset)(KEY)
    step = jax.jit(game.step)
    for t in range(12):
        keys = jax.random.split(jax.random.fold_in(KEY, t))
        state, timestep = step(keys[0], state, jax.random.randint(keys[1], (5,), 0, 5))
    planes = np.asarray(timestep.observation.view)
    colours = np.asarray(windows.colours(game.land, state.position, state.heading, state.apples, state.waste, 7, False))
    for one, two in zip(planes, colours, strict=True):
        for a, b in zip(scripts.window(jnp.asarray(one))[:5], scripts.window(jnp.asarray(two))[:5], strict=True):
            free = ~(one[..., 4] + one[..., 5] > 0)  # under an agent a colour shows the agent alone
            np.testing.assert_array_equal(np.asarray(a)[free], np.asarray(b)[free])
        np.testing.assert_array_equal(
            (two == windows.player(0)).all(-1) | (two == windows.player(1)).all(-1) | (two == windows.player(2)).all(-1)
            | (two == windows.player(3)).all(-1) | (two == windows.player(4)).all(-1),
            one[..., 4] + one[..., 5] > 0,
        )  # fmt: skip
    found = np.asarray(windows.places_of_others(state.position, state.heading, 7, False))
    for i in range(5):
        shown = {tuple(cell) for cell in np.argwhere(planes[i, ..., 5]).tolist()}
        inside = {tuple(found[i, j].tolist()) for j in range(5) if j != i and (abs(found[i, j] - 7) <= 7).all()}
        assert shown == inside


# Programs -------------------------------------------------------------------------------------------------------------


def test_jit_vmap_and_plain_agree():
    game = Cleanup(num_agents=3, radius=3)
    keys = jax.random.split(KEY, 4)
    actions = jax.random.randint(KEY, (4, 3), 0, 9)
    states, _ = jax.jit(jax.vmap(game.reset))(keys)
    many = jax.jit(jax.vmap(game.step))(keys, states, actions)
    single = jax.jit(game.step)
    for k in range(4):
        one = single(keys[k], jax.tree.map(lambda x, k=k: x[k], states), actions[k])
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a, b[k], rtol=1e-6), one, many)
    plain = game.step(keys[0], jax.tree.map(lambda x: x[0], states), actions[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[0], rtol=1e-6), plain, many)


@pytest.mark.parametrize("clock", [True, False])
def test_the_clock_ends_or_cuts(clock):
    game = Harvest(num_agents=2, map="PPA", length=2, clock_terminates=clock)
    step = jax.jit(game.step)
    state, _ = jax.jit(game.reset)(KEY)
    for over in (False, True):
        state, timestep = step(KEY, state, jnp.full(2, STAY))
        assert bool(timestep.terminated) == (over and clock)
        assert bool(timestep.truncated) == (over and not clock)


# Statistics -----------------------------------------------------------------------------------------------------------


def test_statistics_by_hand():
    """Two agents, four steps, the last one not played. Agent 0 eats in steps 1 and 3, agent 1 six times nothing."""
    zero = np.zeros((4, 1, 2), np.float32)
    apples, hits, fired = zero.copy(), zero.copy(), zero.copy()
    apples[0, 0, 0] = apples[2, 0, 0] = apples[1, 0, 1] = apples[3, 0, 1] = 1
    hits[1, 0, 0], fired[1, 0, 1] = 2, 1
    reward = apples - fired - 50 * hits
    level = np.array([0.5, 0.25, 0.0, 9.0], np.float32)[:, None]
    info = {"apples": apples, "hits": hits, "penalties": fired, "cleanings": zero, "cleaned": zero}
    info |= {"waste": level, "apples_left": level}
    valid = np.array([True, True, True, False])[:, None]
    found = statistics.summary(jnp.asarray(reward), jax.tree.map(jnp.asarray, info), jnp.asarray(valid))
    assert {name: np.asarray(x).ravel().tolist() for name, x in found.items()} == {
        "apples": [2, 1],
        "efficiency": [pytest.approx((3 - 1 - 100) / 3)],
        "equality": [pytest.approx(1 - 2 / (2 * 2 * 3))],
        "sustainability": [2.0],
        "peace": [pytest.approx(2 - 1 / 3)],
        "penalties": [0, 1],
        "hits": [2, 0],
        "cleanings": [0, 0],
        "cleaned": [0, 0],
        "waste": [0.25],
        "apples_left": [0.25],
    }


# Scripts, pictures ----------------------------------------------------------------------------------------------------


def played(game, cooperators: int) -> dict[str, np.ndarray]:
    """Statistics of two games with so many scripted cooperators; the others defect."""
    (memory, cooperate), (_, defect) = game.script("cooperator"), game.script("defector")

    def act(key, memory, observation):
        helps, after = cooperate(memory, observation.view)
        action = jnp.where(jnp.arange(game.num_agents) < cooperators, helps, defect(memory, observation.view)[0])
        return action, after, {}

    @jax.jit
    def run(key):
        start = rollout.start(key, game, jnp.zeros(game.num_agents, jnp.int32) + memory, 2)
        steps = rollout.collect_episodes(key, game, act, start)
        return game.summary(steps.reward, steps.info, steps.valid) | {"return": steps.reward.sum(0)}

    return {name: np.asarray(x) for name, x in run(KEY).items()}


def test_defectors_exhaust_the_orchard_and_cooperators_live_off_it():
    game = Harvest(length=300)
    greedy, careful = played(game, 0), played(game, 5)
    assert careful["return"].sum() > 1.5 * greedy["return"].sum()
    assert careful["sustainability"].mean() > 2 * greedy["sustainability"].mean()
    assert greedy["apples_left"].mean() < 25
    np.testing.assert_array_equal(careful["return"], careful["apples"])


@pytest.mark.parametrize("obs", ["channels", "rgb"])
def test_without_cleaners_nothing_grows_and_who_eats_earns_more_than_who_cleans(obs):
    game = Cleanup(length=300, obs=obs)
    mixed = played(game, 3)
    assert mixed["cleaned"][:, :3].min() > 0
    assert mixed["return"][:, 3:].mean() > mixed["return"][:, :3].mean() + 20
    if obs == "channels":
        assert played(game, 0)["return"].sum() == 0


@pytest.mark.parametrize("kind", [Harvest, Cleanup])
def test_scripts_are_offered_where_windows_tell_what_is_ahead(kind):
    assert kind().spec.scripts == ("cooperator", "defector")
    assert kind(rotation="released").spec.scripts == ()


@pytest.mark.parametrize("kind", [Harvest, Cleanup])
def test_pictures(kind):
    game = kind()
    state, observation = jax.jit(game.reset)(KEY)
    picture = game.draw(state)
    assert picture.shape == (8 * game.land.rows, 8 * game.land.columns, 3)
    fired = state._replace(fired=jnp.array([beams.PENALTY, 0, 0, 0, 0]), reach=jnp.eye(5, 3, dtype=jnp.int32))
    changed = np.argwhere((game.draw(fired) != picture).any(-1)) // 8
    ahead = np.asarray(state.position[0]) + maps.MOVES[int(state.heading[0])]
    assert {tuple(cell) for cell in changed.tolist()} == {tuple(ahead.tolist())}
    row, column = np.asarray(state.position[0])
    tile = picture[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].reshape(-1, 3)
    assert (tile == windows.player(0)).all(-1).sum() > 40
    window = game.draw_view(observation.view[0])
    assert window.shape == (120, 120, 3)
    colours = windows.colours(game.land, state.position, state.heading, state.apples, state.waste, 7, False)
    assert game.draw_view(colours[0]).shape == window.shape
    assert (window[60, 60] == windows.player(0)).all()
