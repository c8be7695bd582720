"""Pictures of Manitokan: right shapes, and a different picture for each different state."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from comity.drawing import colours
from comity.drawing import manitokan as drawing
from comity.environments.grid.manitokan.game import Manitokan

LAYOUT = {"position": [[2, 2], [4, 3]], "heading": [0, 3], "doors": [[4, 1], [1, 4]], "key": [3, 1]}


@pytest.mark.parametrize("tile", [16, 48])
def test_shapes(tile):
    game = Manitokan(observe="last-action")
    state = game.build(**LAYOUT)
    frame = game.draw(state, tile)
    assert frame.shape == (6 * tile, 6 * tile, 3)
    assert frame.dtype == np.uint8
    assert game.draw_view(game.observation(state).view[0], tile).shape == (3 * tile, 3 * tile, 3)


def test_every_change_of_the_state_shows():
    game = Manitokan()
    changes = [
        {},
        {"position": [[2, 3], [4, 3]]},
        {"position": [[2, 2], [2, 2]]},
        {"heading": [1, 3]},
        {"heading": [0, 2]},
        {"doors": [None, [1, 4]]},
        {"doors": [[1, 4], [4, 1]]},
        {"key": [3, 2]},
        {"key": None, "holder": 0},
        {"key": None, "holder": 1},
    ]
    frames = {drawing.draw(game.build(**LAYOUT | change), game.width).tobytes() for change in changes}
    assert len(frames) == len(changes)
    state = game.build(**LAYOUT)
    assert (game.draw(state) != drawing.draw(state, game.width)).any()  # the game also tints what agents see


def test_every_content_of_a_view_shows():
    codes = [(0, 0, 0), (1, 0, 0), (2, 5, 0), (4, 3, 2), (4, 4, 2), (5, 2, 0), (10, 3, 0), (10, 4, 0)]
    views = [np.tile(np.array(code, np.int8), 9) for code in codes]
    assert len({drawing.draw_view(view).tobytes() for view in views}) == len(codes)


def test_agents_have_colours_of_their_own():
    assert len({colours.agent_colour(k) for k in range(12)}) == 12
    assert [drawing.colour_of(code) for code in (3, 4, 6, 7, 8)] == [colours.agent_colour(k) for k in range(5)]


def test_drawing_needs_no_jax():
    program = "import sys, comity.drawing.manitokan; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
