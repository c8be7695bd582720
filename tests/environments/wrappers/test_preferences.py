"""RUSP: the sampler, which agents see what, and the rewards, against specification B and D.5."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking, rollout
from comity.environments.dilemmas.cleanup import Cleanup
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.matrix.ipd import IPD, PROFILES
from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.environments.particle.oasis import Oasis
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers import preference_draws
from comity.environments.wrappers.preference_draws import partitions, shares, team_masks
from comity.environments.wrappers.preference_views import beliefs, of_others
from comity.environments.wrappers.preferences import Preferences
from comity.environments.wrappers.scripted import Scripted
from comity.spec import Discrete, Entities, Image, MultiDiscrete, Spec, Vector, functions
from comity.training import best

KEY = jax.random.key(0)
GAME = IPD(**PROFILES["rusp"])


def test_partitions():
    assert set(partitions(3)) == {(3,), (1, 2), (1, 1, 1)}
    assert set(partitions(5)) == {(5,), (1, 4), (1, 1, 3), (1, 1, 1, 2), (1, 1, 1, 1, 1), (1, 2, 2), (2, 3)}
    assert [len(partitions(n)) for n in (2, 3, 5, 6)] == [2, 3, 7, 11]
    assert partitions(3, 2, 2) == [(1, 2)]  # two against one
    assert set(partitions(5, 2)) == {(5,), (2, 3)}  # teams of one size may leave a rest, others may not
    assert partitions(5, 3, 3) == [(2, 3)]
    assert set(partitions(5, 1, 2)) == {(1, 1, 1, 1, 1), (1, 1, 1, 2), (1, 2, 2)}


@pytest.mark.parametrize(
    ("n", "together", "alone"), [(2, 1 / 2, 1 / 2), (3, 4 / 9, 4 / 9), (5, 0.371429, 0.342857), (6, 0.345455, 0.287879)]
)
def test_chances_of_a_team(n, together, alone):
    """Exactly, from the masks: uniform over partitions, then over permutations of agents."""
    masks = team_masks(n)
    pairs = (masks.sum((1, 2)) - n) / (n * (n - 1))  # of a random pair
    single = (masks.sum(-1) == 1).mean(-1)
    assert pairs.mean() == pytest.approx(together, abs=1e-6)
    assert single.mean() == pytest.approx(alone, abs=1e-6)


@dataclass(frozen=True)
class Crowd:
    """A game that is only asked how many it has."""

    size: int = 5

    @property
    def spec(self) -> Spec:
        return Spec(self.size, Vector(1), Discrete(2), 1)


@pytest.mark.parametrize(("n", "own", "other"), [(2, 0.75, 0.25), (3, 0.667, 0.166), (5, 0.571, 0.107)])
def test_mean_shares(n, own, other):
    game = Crowd(n)
    weights = jax.jit(jax.vmap(lambda key: preference_draws.draw_weights(key, Preferences(game))))(  # pyright: ignore[reportArgumentType]  # nobody plays it
        jax.random.split(KEY, 40_000)
    )
    drawn = np.asarray(jax.vmap(shares)(weights))
    np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-6)
    diagonal = np.eye(n, dtype=bool)
    assert drawn[:, diagonal].mean() == pytest.approx(own, abs=0.004)
    assert drawn[:, ~diagonal].mean() == pytest.approx(other, abs=0.004)
    np.testing.assert_allclose(drawn.mean(0)[diagonal], own, atol=0.01)  # no agent is special
    np.testing.assert_allclose(weights, np.swapaxes(weights, 1, 2))  # U is symmetric, T is not
    assert (np.abs(drawn - np.swapaxes(drawn, 1, 2)) > 0.01).any()


def test_shared_rewards():
    weight = jnp.array([[0.6, 0.2, 0.0], [0.2, 0.3, 0.0], [0.0, 0.0, 0.9]])
    np.testing.assert_allclose(shares(weight) @ jnp.array([4.0, -2.0, 1.0]), (2.5, 0.4, 1.0), rtol=1e-6)
    np.testing.assert_array_equal(shares(jnp.zeros((2, 2))), np.eye(2))


def test_routing():
    """Specification B.3: U = [[1, 2], [3, 4]], levels 1 to 8, noise ten times as much."""
    level = jnp.arange(1.0, 9.0).reshape(2, 2, 2)
    seen = beliefs(jnp.array([[1.0, 2.0], [3.0, 4.0]]), level, 10 * level)
    assert seen.own.tolist() == [11, 84]
    assert seen.theirs.tolist() == [[11, 44], [51, 84]]
    assert seen.mine.tolist() == [[11, 22], [73, 84]]
    assert seen.of_me.tolist() == [[11, 73], [22, 84]]
    assert seen.own_level.tolist() == [1, 8]
    assert seen.mine_level[0, 1] == 2
    assert seen.theirs_level.tolist() == [[1, 4], [5, 8]]
    assert seen.of_me_level[0, 1] == seen.mine_level[1, 0] == 7


def test_others_stand_in_a_circle():
    assert of_others(jnp.arange(9).reshape(3, 3), (1, 2)).tolist() == [[1, 2], [5, 3], [6, 7]]


def test_views_and_states():
    env = Preferences(GAME)
    state, observation = env.reset(KEY)
    seen = beliefs(state.weight, state.level, state.noise)
    assert observation.view.shape == (2, env.spec.view.size) == (2, 3 + 2 + 4)
    for i, j in ((0, 1), (1, 0)):
        wanted = [seen.own[i], seen.own_level[i], seen.mine[i, j], seen.mine_level[i, j], seen.theirs[i, j]]
        np.testing.assert_allclose(observation.view[i, 3:], [*wanted, seen.theirs_level[i, j]])
        known = [state.weight[i, i], state.weight[i, j], state.weight[j, j], seen.mine[j, i], seen.mine_level[j, i]]
        np.testing.assert_allclose(observation.state[4:].reshape(2, 5)[i], known)
    assert observation.state.shape == (env.spec.state.size,) == (4 + 2 * 5,)
    every = Preferences(GAME, privileged="all")
    state, observation = every.reset(KEY)
    assert observation.state.shape == (every.spec.state.size,) == (4 + 2 * (5 + 4 + 6),)
    own = observation.state[4:].reshape(2, -1)[0]
    np.testing.assert_allclose(own[-6:], observation.view[1, 3:])  # all that the other sees
    np.testing.assert_allclose(own[5:9], shares(state.weight).reshape(-1))


def test_rewards_are_shared_and_statistics_are_of_the_raw_ones():
    env = Preferences(GAME)
    state, _ = env.reset(KEY)
    _, timestep = env.step(KEY, state, jnp.array([0, 1]))
    np.testing.assert_allclose(timestep.reward, shares(state.weight) @ jnp.array([-2.0, 4.0]), rtol=1e-6)
    assert timestep.info["raw_reward"].tolist() == [-2, 4]
    told = functions(env).sharing
    assert told is not None
    np.testing.assert_allclose(told(state) @ jnp.array([-2.0, 4.0]), timestep.reward, rtol=1e-6)
    info = {name: x[None, None] for name, x in timestep.info.items()}
    told = env.summary(timestep.reward[None, None], info, jnp.ones((1, 1), bool))
    assert told["raw_return"].tolist() == [[-2, 4]]
    assert told["cooperation"].tolist() == [[1, 0]]


class Changed(IPD):
    """The dilemma with functions of its own that see the game alone."""

    def training_reward(self, key, steps, iteration):
        assert steps.observation.view.shape[-1] == self.spec.view.size
        return steps.reward**2 + iteration

    def scripted_team(self, name):
        return jnp.zeros((), int), lambda memory, observation: (observation.state[..., :2].sum(-1), memory)

    def carry(self, key, state, last):
        return last, IPD.reset(self, key)[1]

    def adopt(self, key, state, lent):
        return self.carry(key, state, lent)


def test_functions_of_the_game_see_the_game_alone_and_rewards_of_training_are_shared():
    game = Changed(payoffs=GAME.payoffs, length=3)
    env = Preferences(game)
    own: Any = functions(env)
    act = lambda key, memory, seen: (jnp.array([[0, 1]] * 4), memory, {})  # noqa: E731

    @jax.jit
    def all_of_it():
        play = rollout.start(KEY, env, (), 4)
        learned = own.training_reward(KEY, rollout.collect_episodes(KEY, env, act, play), 5)
        (state, observation), (last, _) = env.reset(KEY), env.reset(jax.random.key(1))
        begun = own.carry(KEY, state, last), own.adopt(KEY, state, last.game)
        told = own.scripted_team("any")[1](0, observation)[0], observation.state[:2].sum()
        return play.game.weight, learned, state, observation, last, begun, told

    weight, learned, state, observation, last, begun, told = all_of_it()
    expected = shares(weight) @ np.array([9.0, 21.0])  # squares of -2 and 4, and 5 more
    np.testing.assert_allclose(learned, np.broadcast_to(expected, learned.shape), rtol=1e-5)
    assert told[0] == told[1]
    for found, seen in begun:  # preferences of the new episode, the game's old state
        np.testing.assert_array_equal(found.weight, state.weight)
        np.testing.assert_array_equal(found.game.horizon, last.game.horizon)
        np.testing.assert_array_equal(seen.view[:, 3:], observation.view[:, 3:])


def test_the_headline_is_of_rewards_before_they_are_shared():
    assert Preferences(Oasis()).spec.headline == best.aim(Preferences(Oasis())) == "raw_return"
    assert Preferences(GAME).spec.headline == "cooperation"


def test_names_of_what_is_seen():
    env = Preferences(CooperativeNavigation(agents=2))
    view, plain = env.spec.view, Preferences(GAME).spec.view
    assert isinstance(view, Vector)
    assert isinstance(plain, Vector)
    names = view.names
    assert len(names) == view.size
    assert names[:4] == ("own speed, x", "own speed, y", "own place, x", "own place, y")
    more = ("own weight", "its level", "weight on it, agent i+1", "its level, agent i+1")
    assert names[-6:] == (*more, "its own weight, agent i+1", "level, agent i+1")
    assert plain.names == ()


def test_selfish_evaluation():
    for sharing, level in (("selfish", 0.0), ("selfish-unsure", 0.5)):
        env = Preferences(GAME, sharing=sharing, uncertainty=0.5)  # pyright: ignore[reportArgumentType]
        state, observation = env.reset(KEY)
        np.testing.assert_array_equal(state.weight, np.eye(2))
        np.testing.assert_allclose(observation.view[:, [4, 6, 8]], level)
        if not level:
            assert observation.view[:, 3:].tolist() == [[1, 0, 0, 0, 1, 0]] * 2
        _, timestep = env.step(KEY, state, jnp.array([0, 1]))
        assert timestep.reward.tolist() == [-2, 4]


def test_symmetric_variants_of_noise():
    def drawn(key, **options):
        first, second = jax.random.split(key)
        return preference_draws.draw_noise(first, second, Preferences(GAME, **options))

    draw = lambda **options: drawn(KEY, **options)  # noqa: E731
    level, noise = draw()
    assert not np.allclose(level[0], level[1])
    level, noise = draw(levels="shared")
    np.testing.assert_array_equal(level[0], level[1])
    assert not np.allclose(noise[0], noise[1])
    level, noise = draw(levels="shared", noises="shared")
    np.testing.assert_array_equal(noise[0], noise[1])
    levels, noises = jax.vmap(drawn)(jax.random.split(KEY, 20_000))
    assert levels.mean() == pytest.approx(0.5, abs=0.01)
    assert (noises / levels).std() == pytest.approx(1, abs=0.01)


def test_options_of_weights():
    draw = lambda **options: np.asarray(  # noqa: E731
        jax.vmap(lambda key: preference_draws.draw_weights(key, Preferences(GAME, **options)))(
            jax.random.split(KEY, 500)
        )
    )
    assert (draw(sharing="full") > 0).all()
    assert (draw(own_weight="one")[:, [0, 1], [0, 1]] == 1).all()
    assert draw(alpha=8.0, beta=2.0, sharing="full").mean() == pytest.approx(0.8, abs=0.02)
    assert (draw(smallest_team=2)[:, 0, 1] > 0).all()


@pytest.mark.parametrize("privileged", ["pairs", "all"])
def test_parts_about_each_other(privileged):
    """What is about another stands with the game's own numbers about it, in the game's order: i - 1, i - 2, ..."""
    game = PrisonersBuddy()
    env = Preferences(game, privileged=privileged)
    parts: Any = env.spec.view.entities
    of_game: Any = game.spec.view.entities
    known: Any = env.spec.private.entities
    n = game.spec.agents
    assert parts.offsets == of_game.offsets == (-1, -2, -3, -4)
    assert env.spec.action == game.spec.action == MultiDiscrete((2, 4), pointer=1)
    assert sorted((*parts.own, *sum(parts.others, ()))) == list(range(env.spec.view.size))
    state, observation = env.reset(KEY)
    seen, view = beliefs(state.weight, state.level, state.noise), np.asarray(observation.view)
    private = np.asarray(observation.state)[game.spec.state.size :].reshape(n, -1)
    assert sorted((*known.own, *sum(known.others, ()))) == list(range(env.spec.private.size))
    for i in range(n):
        np.testing.assert_allclose(view[i, list(parts.own[-2:])], [seen.own[i], seen.own_level[i]])
        np.testing.assert_allclose(private[i, known.own[0]], state.weight[i, i])
        for columns, hidden, offset in zip(parts.others, known.others, parts.offsets, strict=True):
            j = (i + offset) % n
            wanted = [seen.mine[i, j], seen.mine_level[i, j], seen.theirs[i, j], seen.theirs_level[i, j]]
            np.testing.assert_allclose(view[i, list(columns[-4:])], wanted)
            wanted = [state.weight[i, j], state.weight[j, j], seen.mine[j, i], seen.mine_level[j, i]]
            np.testing.assert_allclose(private[i, list(hidden[:4])], wanted)
            if privileged == "all":  # then all that j sees of preferences, its own first
                np.testing.assert_allclose(private[i, list(hidden[4:6])], [seen.own[j], seen.own_level[j]])
    np.testing.assert_allclose(env.shares_in(observation.state), shares(state.weight), rtol=1e-6)
    shown = np.asarray(game.reset(jax.random.split(KEY, 4)[0])[1].view)
    np.testing.assert_allclose(view[:, list(parts.own[:-2])], shown[:, list(of_game.own)])
    np.testing.assert_allclose(view[:, list(parts.others[2][:-4])], shown[:, list(of_game.others[2])])
    counts: Any = functions(env).counts
    counted = counts((jnp.array([0, 1]), jnp.array([2, 2])))
    assert [x.tolist() for x in counted] == [x.tolist() for x in game.counts((jnp.array([0, 1]), jnp.array([2, 2])))]


def test_parts_of_games_that_say_nothing_of_others():
    """All of the game's view is one's own; numbers stand before the own past."""
    env = Preferences(Manitokan(length=4, observe="last-action"))
    assert env.spec.view.entities == Entities((*range(27), *range(33, 39), 27, 28), ((29, 30, 31, 32),), (1,))
    assert Preferences(GAME).spec.view.entities == Entities((0, 2, 3, 4), ((1, 5, 6, 7, 8),), (1,))
    assert Preferences(IPD()).spec.view.entities == Entities((0, 1, 2, 3, 4, 5, 6), ((7, 8, 9, 10),), (1,))


@pytest.mark.parametrize(
    ("script", "paid"),
    [("all-c", (2, 4, 4, 2, 2)), ("all-d", (-2, 0, 0, -2, -2)), ("tit-for-tat", (2, 4, 0, -2, 2))],
)
def test_scripted_players_see_the_game_alone(script, paid):
    """The learner plays C, D, D, C, C; nobody shares."""
    env = Scripted(Preferences(IPD(payoffs=GAME.payoffs, length=9), sharing="selfish-unsure"), script)
    state, observation = env.reset(KEY)
    assert observation.view.shape == (1, 5 + 6)
    earned = []
    for action in (0, 1, 1, 0, 0):
        state, timestep = env.step(KEY, state, jnp.array([action]))
        earned.append(float(timestep.reward[0]))
    assert tuple(earned) == paid


def test_it_plays_as_a_game():
    """On the prisoner's dilemma and on Manitokan, whose last action stays at the end of a view."""
    checking.check(Preferences(IPD(length=4)))
    env = Preferences(Manitokan(length=4, observe="last-action"))
    play = rollout.start(KEY, env, (), 3)
    act = lambda key, memory, view: (jnp.full((3, 2), 2), memory, {})  # noqa: E731
    steps = jax.jit(lambda: rollout.collect_episodes(KEY, env, act, play))()
    assert steps.observation.view.shape == (4, 3, 2, 33 + 6)
    assert steps.observation.view[1, 0, 0, -6:].tolist() == [0, 0, 1, 0, 0, 0]
    assert env.spec.history == 6


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sharing": "some"}, "not one of teams"),
        ({"uncertainty": -1.0}, "uncertainty -1.0 is below 0"),
        ({"smallest_team": 3}, "give sizes that fit"),
        ({"largest_team": 5}, "give sizes that fit"),
    ],
)
def test_bad_options(options, told):
    with pytest.raises(ValueError, match=told):
        Preferences(GAME, **options)
    with pytest.raises(ValueError, match="teams of 3 to 4 among 5 agents"):
        Preferences(PrisonersBuddy(), smallest_team=3, largest_team=4)
    with pytest.raises(ValueError, match="two agents or more"):
        Preferences(Manitokan(num_agents=1))


def test_pictures_get_what_is_known_in_the_cells_of_those_it_is_about():
    """Of Cleanup: planes of the game to scale, own numbers in the middle, the others' where they stand in sight."""
    game = Cleanup(num_agents=3)
    wrapped = Preferences(game)
    state, observation = jax.jit(wrapped.reset)(jax.random.key(1))
    spec, view = wrapped.spec, np.asarray(observation.view)
    assert spec.view == Image(15, 15, 16, 2048)
    assert view.dtype == np.int16
    known = np.asarray(state.weight + state.noise)
    level = np.asarray(state.level)
    np.testing.assert_array_equal(
        wrapped.of_game(observation.view), game.reset(jax.random.split(jax.random.key(1), 4)[0])[1].view
    )
    where, in_sight = np.asarray(game.places(state.game)), 0
    expected = np.zeros((3, 15, 15, 6))
    for i in range(3):
        for j in range(3):
            row, column = where[i, j]
            if 0 <= row < 15 and 0 <= column < 15:
                in_sight += i != j
                mine = [known[i, i, i], level[i, i, i], 0, 0, 0, 0]
                theirs = [0, 0, known[i, i, j], level[i, i, j], known[i, j, j], level[i, j, j]]
                expected[i, row, column] = mine if i == j else theirs
    assert in_sight >= 2
    np.testing.assert_allclose(view[..., 10:] / 2048, expected, atol=0.5 / 2048 + 1e-6)


def test_pictures_of_a_game_that_does_not_say_where_agents_are_are_refused():
    class Blind:
        spec = Spec(2, Image(3, 3, 1), Discrete(2), 3)

    with pytest.raises(ValueError, match="`places`, which Blind lacks"):
        Preferences(Blind())  # pyright: ignore[reportArgumentType]
