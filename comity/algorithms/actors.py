"""What actors have in common: what they read beside views, how an image becomes a vector, how they give numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import jax.numpy as jnp
from jax import Array

from comity.learning import linear
from comity.learning.actions import Actions, actions
from comity.networks import Activation, Convolutions, Core, RecurrentNet, Team, fresh_core
from comity.networks.teams import Sharing
from comity.settings import Fraction, Positive
from comity.spec import Spec, Vector, View, functions
from comity.types import Environment, Key, Observation, PyTree


@dataclass(frozen=True)
class Images:
    """How a network reads images."""

    convolutions: Convolutions = "small"  # what an image passes through before the dense layers


@dataclass(frozen=True)
class Reads(Images):
    """What an agent's network reads; the learner has settings of its own, `hidden` among them."""

    agent_id: bool = False  # it reads which agent it is, as one-hot: for one that all agents share
    last_action: bool = False  # it reads what it did last: one-hot, or the numbers


@dataclass(frozen=True)
class Numbers(Images):
    """How an actor reads images and gives numbers."""

    numbers: Literal["normal", "normal-by-view", "tanh-normal"] = "normal"
    # continuous actions: normal, with deviations that are parameters or by view; tanh of normal


@dataclass(frozen=True)
class Products:
    """In what numbers networks multiply."""

    products: Literal["float32", "bfloat16"] = "float32"
    # of matrices; bfloat16, for accelerators: factors are rounded to 8 bits, sums and parameters stay float32


@dataclass(frozen=True)
class Settings(Reads, Numbers):
    """Settings of an actor: what it reads, and how it gives numbers."""


@dataclass(frozen=True)
class Exploration:
    """How the learners of "hidden gifts" explore: as its code says, or by the policy alone."""

    exploration: Literal["none", "floor"] = (
        "none"  # floor: mix the uniform policy in, in play and in the gradient (code)
    )
    floor_start: Fraction = 0.8  # weight of the uniform policy at the start (code)
    floor_end: Fraction = 0.01  # and from floor_steps on (code)
    floor_steps: Positive[float] = 2e6  # steps of a batch; one update advances by T


def actions_of(config: Numbers, env: Environment) -> Actions:
    """How outputs of an actor become a policy of the game."""
    return actions(env.spec.action, config.numbers, functions(env).counts)


def team(
    config: Reads,
    env: Environment,
    acts: Actions,
    sharing: Sharing,
    make: Callable[[Key, int], PyTree],
    core: PyTree,
    width: int,
) -> Team:
    """Networks of all agents. make(key, inputs) -> a network of `acts.size` outputs, or more; core: its memory at the
    start of an episode, leaves [N, ...]; width: of what convolutions give."""
    return Team(
        make,
        env.spec.agents,
        env.spec.view,
        sharing,
        acts,
        core,
        config.agent_id,
        config.last_action,
        config.convolutions,
        width,
        products=products_of(config),
    )


def recurrent_team(
    config: Reads,
    env: Environment,
    acts: Actions,
    sharing: Sharing,
    core: Core,
    hidden: int,
    activation: Activation,
    width: int | None = None,
) -> Team:
    """A `RecurrentNet` with `acts.size` outputs for all agents. hidden: width of its layers; width: of what
    convolutions give, None: as of layers."""

    def new(key: Key, inputs: int) -> RecurrentNet:
        return RecurrentNet(key, inputs, hidden, acts.size, activation, core=core)

    return team(config, env, acts, sharing, new, fresh_core(core, hidden, env.spec.agents), width or hidden)


def products_of(config: object) -> Literal["float32", "bfloat16"]:
    """Of settings, whether they have a choice or not."""
    return config.products if isinstance(config, Products) else "float32"


def floor(config: Exploration, time: Array) -> Array | None:
    """[] the weight of the uniform policy after so many steps of a batch, or None, see `policy_logits`."""
    if config.exploration == "none":
        return None
    return linear(config.floor_start, config.floor_end, config.floor_steps, time)


def present(spec: Spec) -> View:
    """A view without the agent's own past, which stands at its end."""
    view = spec.view
    return replace(view, size=view.size - spec.history) if isinstance(view, Vector) and spec.history else view


def central(spec: Spec, observation: Observation) -> tuple[Array, Array]:
    """State [..., 1, 1, *] and every agent's own view [..., N, 1, *], as `networks.JointNet` reads them."""
    lead = observation.available.shape[:-1]  # [..., N]
    return observation.state.reshape(*lead[:-1], 1, 1, *spec.state.shape), jnp.expand_dims(observation.view, len(lead))


def present_view(sees: View, view: Array) -> Array:
    """Of views [..., V] as much as `sees` holds; images are whole."""
    return view[..., : sees.size] if isinstance(sees, Vector) else view
