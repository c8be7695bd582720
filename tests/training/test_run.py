"""Films of episodes whose headline is undefined, of several heads, of agents that have no choice."""

import jax
import numpy as np
import pytest

from comity.algorithms import random
from comity.environments.indirect_reciprocity import IndirectReciprocity
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.training.run import record


def recorded(env, episode=None):
    algorithm = random.make(random.Config(), env)
    act = lambda key, memory, seen: algorithm.act(key, (), memory, seen)  # noqa: E731
    words = {"title": "", "task": "", "algorithm": "random", "seed": 0, "policy": "sampled"}
    return record(jax.random.key(0), env, act, (), 4, episode, **words)  # pyright: ignore[reportArgumentType]


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
