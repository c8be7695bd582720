"""Films: of every game and wrapper, with undefined headlines, with several heads, of agents without a choice."""

import dataclasses

import jax
import numpy as np
import pytest

from comity.algorithms import random
from comity.environments import TASKS, WRAPPERS
from comity.environments.indirect_reciprocity import IndirectReciprocity
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.recipes import find_task, settings_of
from comity.report.film import write_gif, write_html
from comity.spec import Box, Discrete, Spec, Vector, functions
from comity.training.films import Filmed, filmed, record, recording
from comity.types import Observation, Timestep

WRAPPED = [f"ipd+{name}" for name in WRAPPERS] + ["manitokan+learners", "ipd+messages+rusp", "ipd+rusp+learners"]
WORDS = {"title": "", "task": "", "algorithm": "random", "seed": 0, "policy": "sampled"}


def recorded(env, episode=None):
    return in_turn(env, episode, 1)[0]


def in_turn(env, episode=None, most=3):
    algorithm = random.make(random.Config(), env)
    act = lambda key, memory, seen: algorithm.act(key, (), memory, seen)  # noqa: E731
    return record(jax.random.key(0), env, act, (), 4, episode, most, **WORDS)  # pyright: ignore[reportArgumentType]


def small(name: str):
    """A task of this name with short episodes."""
    source = find_task(name)
    profile = source.first
    known = {f.name for f in dataclasses.fields(settings_of(source, profile, "profile"))}
    sizes = {"length": 3, "inner_length": 3, "episodes": 2, "games": 2}
    return settings_of(source, profile, "profile", {k: v for k, v in sizes.items() if k in known})


@pytest.mark.parametrize("name", [*TASKS, *WRAPPED])
def test_every_game_can_be_filmed(tmp_path, name):
    """Traced, and its film made of episodes of zeros, which costs no compiling."""
    env = small(name)
    algorithm = random.make(random.Config(), env)
    act = lambda key, memory, seen: algorithm.act(key, (), memory, seen)  # noqa: E731
    shapes = jax.eval_shape(lambda: filmed(jax.random.key(0), env, act, (), 2))
    played: Filmed = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    continuous = isinstance(env.spec.action, Box)
    action = played.steps.action + 1.83 if continuous else played.steps.action  # drawn outside of the bounds
    steps = played.steps._replace(valid=np.ones(played.steps.valid.shape, bool), action=action)
    played = played._replace(steps=steps)
    film = recording(env, played, 1, caption="", **WORDS)
    assert (film.sharing is None) == (functions(env).sharing is None)
    assert (film.length, film.num_agents) == (env.spec.length, env.spec.agents)
    if continuous:
        assert np.asarray(film.actions).max() == 1.0  # what the game got
    assert (film.frames is None) == (functions(env).draw is None)
    assert write_gif(film, tmp_path / "film.gif").stat().st_size > 0
    assert write_html(film, tmp_path / "film.html").stat().st_size > 0


def test_a_game_with_learners_inside_is_filmed_as_it_was_played():
    """Agents are inner games; the film's rewards are those that the rules of the inner game give for its actions."""
    sizes = {"inner_length": 2, "episodes": 2, "games": 3, "naive_share": 0.5, "players": 2, "naive_width": 2}
    film = recorded(settings_of(find_task("ipd+learners"), "coala", "profile", sizes))
    names = ("game 0", "game 1", "game 2")
    assert film.agent_names == (*names, *(f"{name}, opposite" for name in names))
    first, second = film.actions[:, :3], film.actions[:, 3:]  # [T, b]
    pays = np.array([[1.0, -1.0], [2.0, 0.0]])  # COALA-PG's dilemma
    np.testing.assert_array_equal(film.rewards, np.concatenate([pays[first, second], pays[second, first]], 1))
    assert len(np.unique(film.actions)) == 2


def test_a_film_shows_the_states_that_were_played():
    """The state goes beside the steps whichever of a game's steps is played: its own, or that of many games."""

    @dataclasses.dataclass(frozen=True)
    class Counting:
        together: bool
        spec = Spec(agents=1, view=Vector(1), action=Discrete(2), length=3)

        def reset(self, key):
            return (key, np.int32(0)), self.seen(np.float32(0))

        def seen(self, now):
            return Observation(jax.numpy.full((1, 1), now), jax.numpy.zeros(0), jax.numpy.ones((1, 2), bool))

        def step(self, key, state, action):
            now = state[1] + 1
            over = now >= 3
            return (state[0], now), Timestep(self.seen(now), jax.numpy.ones(1), over, over, {})

        def draw(self, state):
            return np.full((2, 2, 3), 10 * state[1], np.uint8)

        @property
        def step_games(self):
            if not self.together:
                raise AttributeError("step_games")
            return jax.vmap(self.step)

    for together in (True, False):
        assert (functions(Counting(together)).step_games is not None) == together
        frames = np.asarray(recorded(Counting(together)).frames)
        assert frames[:, 0, 0, 0].tolist() == [0, 10, 20, 30]


@dataclasses.dataclass(frozen=True)
class Lucky:
    """Every episode succeeds or none does; two agents, of whom each gets half of the other's reward."""

    success: float = 1.0
    length: int = 3
    sharing = staticmethod(lambda state: np.full((2, 2), 0.5))

    @property
    def spec(self):
        marks = (("success", "done"),)
        return Spec(2, Vector(1, names=("time",)), Discrete(2), self.length, headline="success", event_marks=marks)

    def reset(self, key):
        return np.int32(0), self.seen(np.float32(0))

    def seen(self, now):
        return Observation(jax.numpy.full((2, 1), now), jax.numpy.zeros(0), jax.numpy.ones((2, 2), bool))

    def step(self, key, state, action):
        now = state + 1
        over = now >= self.length
        info = {"success": over * jax.numpy.float32(self.success)}
        return now, Timestep(self.seen(now), jax.numpy.ones(2), over, over & False, info)


def test_several_successes_are_shown_in_turn():
    films = in_turn(Lucky())
    assert [film.caption for film in films] == [
        f"chosen: success 1, as 4 of 4 fresh episodes; {k} of 3 in turn" for k in (1, 2, 3)
    ]
    assert [(film.marks()[0].t, film.view_names) for film in films] == [(2, ("time",))] * 3
    np.testing.assert_array_equal(films[0].sharing, np.full((2, 2), 0.5))
    assert len(in_turn(Lucky(success=0.0))) == len(in_turn(Lucky(), episode=2)) == len(in_turn(Lucky(length=200))) == 1


def test_no_episode_has_a_headline():
    """Two steps of talk: nothing is paid."""
    film = recorded(PrisonersBuddy(agents=3, length=2, identity_size=0))
    assert film.caption == "episode 0 of 4; agents_in_pairs is defined in none"
    assert [len(head.names) for head in film.heads] == [2, 2]
    others = ("agent i-1", "agent i-2")
    said = {film.action_text(t, agent) for t in range(2) for agent in range(3)}
    assert said <= {
        *(f"choose, {b}" for b in others),
        *(f"sit out, ({b})" for b in others),
    }
    assert {text.split(",")[0] for text in said} == {"choose", "sit out"}


def test_an_agent_without_a_headline_does_not_count():
    """One match among four agents: the best episode is that of the two that played."""
    film = recorded(IndirectReciprocity(agents=4, length=1, identity_size=0))
    idle = [agent for agent in range(4) if film.action_text(0, agent) == "(cooperate)"]
    assert len(idle) == 2
    plays = np.asarray(film.actions)[0, [agent for agent in range(4) if agent not in idle]]
    assert film.caption.startswith(f"chosen: cooperation {1 - plays.mean():g}, as ")


@pytest.mark.parametrize("episode", [-1, 4])
def test_episodes_that_are_not_there(episode):
    with pytest.raises(ValueError, match="must be from 0 to 3"):
        recorded(IndirectReciprocity(length=1, identity_size=0), episode)
