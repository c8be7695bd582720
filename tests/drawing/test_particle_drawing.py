"""Pictures of the particle world: right shapes, and a different picture for each different state."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from comity.drawing import colours
from comity.drawing import particle as drawing
from comity.environments.particle import (
    cooperative_communication,
    cooperative_navigation,
    physical_deception,
    predator_prey,
)

AGENTS: Any = np.array([[0.1, 0.2], [-0.4, 0.5], [0.6, -0.7], [-0.2, -0.3]])
STILL: Any = np.zeros_like(AGENTS)
PLACES: Any = np.array([[-0.8, -0.8], [0.8, 0.8], [0.8, -0.1]])
MESSAGE: Any = np.array([0.0, 1.0, 0.0])
GOAL: Any = np.array(1)
TIME: Any = np.array(0)
STATES: list[tuple[Any, Any]] = [
    (
        cooperative_navigation.CooperativeNavigation(),
        cooperative_navigation.State(AGENTS[:3], STILL[:3], PLACES, TIME),
    ),
    (
        cooperative_communication.CooperativeCommunication(),
        cooperative_communication.State(AGENTS[:2], STILL[:2], PLACES, GOAL, MESSAGE, TIME),
    ),
    (
        physical_deception.PhysicalDeception(),
        physical_deception.State(AGENTS[:3], STILL[:3], PLACES[:2], GOAL, TIME),
    ),
    (predator_prey.PredatorPrey(), predator_prey.State(AGENTS, STILL, PLACES[:2], TIME)),
]


@pytest.mark.parametrize(("game", "state"), STATES, ids=lambda x: type(x).__name__)
def test_every_change_of_the_state_shows(game, state):
    frame = game.draw(state)
    assert (frame.shape, frame.dtype) == ((360, 360, 3), np.uint8)
    assert game.draw(state, 120).shape == (120, 120, 3)
    changes = [state, state._replace(velocity=state.velocity + 0.5)]
    changes += [state._replace(position=state.position + np.eye(len(state.position))[:, k : k + 1]) for k in range(2)]
    changes += [state._replace(landmarks=state.landmarks[::-1] * 0.9)]
    if hasattr(state, "goal"):
        changes.append(state._replace(goal=np.array(0)))
    if hasattr(state, "message"):
        changes += [state._replace(message=m) for m in (np.zeros(3), MESSAGE[::-1] * 0.5 + 0.1)]
    assert len({game.draw(one).tobytes() for one in changes}) == len(changes)


def test_up_is_up_and_far_is_seen():
    dot = lambda x, y: drawing.draw([drawing.Disc((x, y), 0.1, (255, 0, 0))], 120)  # noqa: E731
    middle = lambda frame: np.argwhere(frame[..., 0] > 2.0 * frame[..., 1]).mean(0)  # noqa: E731
    row, column = middle(dot(0.6, 0.9))
    assert row < 40
    assert column > 80
    row, column = middle(dot(-30.0, -30.0))
    assert row > 80
    assert column < 40


def test_messages_have_colours():
    assert drawing.message_colour([0, 0, 0]) is None
    assert [drawing.message_colour(row) for row in np.eye(3)] == list(drawing.RED_GREEN_BLUE)
    assert colours.agent_hex(0) == "#b270f0"


def test_drawing_needs_no_jax():
    program = "import sys, comity.drawing.particle; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
