"""The input of a network of several parts: vectors and images, in their order, with one encoder for all of one part."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks import MLP, JointNet, NormedMLP, Part, Twins, joint_net, numbers
from comity.spec import Image, Vector

KEY = jax.random.key(0)


def twins(key, inputs: int, hidden: tuple[int, ...], outputs: int) -> Twins:
    return Twins(tuple(NormedMLP(k, inputs, hidden, outputs) for k in jax.random.split(key)))


def drawn(*parts: Part) -> JointNet:
    return joint_net(KEY, parts, partial(MLP, hidden=(4,), outputs=2), width=3)


def test_vectors_stand_side_by_side_and_leading_axes_are_repeated():
    net = drawn(Part(Vector(2), 2), numbers(1))
    views, beside = jnp.arange(8).reshape(2, 2, 2), jnp.array([[[10.0]], [[20.0]], [[30.0]]])[:, None]  # [3, 1, 1, 1]
    read = net.encode(views, beside)
    assert read.shape == (3, 2, 5)
    np.testing.assert_array_equal(read[2], [[0, 1, 2, 3, 30], [4, 5, 6, 7, 30]])
    assert net(views, beside).shape == (3, 2, 2)


@pytest.mark.parametrize("kind", [MLP, NormedMLP, twins])
def test_a_part_that_stands_beside_many_others_gives_what_it_gives_beside_each(kind):
    net = joint_net(KEY, (Part(Vector(2), 2), numbers(3)), partial(kind, hidden=(4, 4), outputs=2), width=3)
    views, beside = jax.random.normal(KEY, (5, 2, 2)), jax.random.normal(KEY, (7, 5, 1, 3))
    each = jnp.stack([net(views, x) for x in beside])
    np.testing.assert_allclose(net(views, beside), each, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(each, net.net(net.encode(views, beside)), rtol=1e-5, atol=1e-6)


def test_pictures_of_one_part_pass_through_the_same_eyes():
    view = Image(4, 5, 3)
    net = drawn(Part(view, 2), numbers(1), Part(view))
    pictures = jax.random.randint(KEY, (6, 2, *view.shape), 0, 256).astype(jnp.uint8)
    read = net.encode(pictures, jnp.ones((6, 1, 1)), pictures[:, :1])
    assert read.shape == (6, 3 * 3 + 1)
    swapped = net.encode(pictures[:, ::-1], jnp.ones((6, 1, 1)), pictures[:, :1])
    np.testing.assert_allclose(read[:, :3], swapped[:, 3:6], atol=1e-6)
    assert not np.allclose(read[:, :3], read[:, 7:])  # another part has eyes of its own
    assert not np.allclose(read[:, :3], read[:, 3:6])
