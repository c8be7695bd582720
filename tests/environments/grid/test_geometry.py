"""Geometry of grids, on windows small enough to draw."""

import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.grid import geometry


def test_headings_are_right_down_left_up():
    ahead = geometry.in_front(jnp.array([[3, 3]] * 4), jnp.arange(4))
    assert ahead.tolist() == [[4, 3], [3, 4], [2, 3], [3, 2]]


def test_the_outer_ring_and_all_beyond_is_wall():
    cells = geometry.cells_between(-1, 6)  # x and y from -1 to 5
    inside = ~np.asarray(geometry.on_wall(jnp.asarray(cells), 5))
    assert {tuple(cell) for cell in cells[inside].tolist()} == {(x, y) for x in (1, 2, 3) for y in (1, 2, 3)}


@pytest.mark.parametrize(
    ("heading", "far_left", "near_right"),
    [(0, (9, 3), (5, 7)), (1, (7, 9), (3, 5)), (2, (1, 7), (5, 3)), (3, (3, 1), (7, 5))],
)
def test_a_window_turns_with_the_agent(heading, far_left, near_right):
    cells = geometry.window_cells(jnp.array([5, 5]), jnp.array(heading), 5, centred=False)
    assert (tuple(cells[0, 0].tolist()), tuple(cells[4, 4].tolist())) == (far_left, near_right)
    assert cells[2, 4].tolist() == [5, 5]  # the agent: in the middle of the last row
    assert len({tuple(cell) for cell in cells.reshape(-1, 2).tolist()}) == 25
    centred = geometry.window_cells(jnp.array([5, 5]), jnp.array(heading), 5, centred=True)
    assert centred[2, 2].tolist() == [5, 5]


def drawn(picture):
    """[column, row] bool of rows of text, far to near: True where an X stands."""
    return jnp.array([[letter == "X" for letter in row] for row in picture.split()]).T


@pytest.mark.parametrize(
    ("opaque", "hidden"),
    [
        ("..... ..... ..... ..... .....", "..... ..... ..... ..... ....."),  # nothing is in the way
        (
            "..... ..... ..... XXXXX .....",
            "XXXXX XXXXX XXXXX ..... .....",
        ),  # a wall right ahead: it is seen, nothing behind
        ("..... ..... .XXX. .X.X. .X.X.", "XXXXX XXXXX X...X X...X X...X"),  # a dead end: no light passes its corners
        ("..... ..... ..... .XXX. .....", "..... ..... ..... ..... ....."),  # light passes on both sides
    ],
)
def test_opaque_cells_hide_what_lies_behind(opaque, hidden):
    visible = geometry.visible(drawn(opaque))
    assert (visible == ~drawn(hidden)).all(), np.asarray(~visible).T.astype(int)


def test_windows_of_many_agents_are_those_of_each():
    opaque = jnp.asarray(np.random.default_rng(0).random((4, 3, 3, 3)) < 0.4)
    many = geometry.visible(opaque)
    for i in range(4):
        for k in range(3):
            assert (many[i, k] == geometry.visible(opaque[i, k])).all()
