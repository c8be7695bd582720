"""Settings and functions that the actors of several algorithms share: inputs, image encoders, continuous actions."""

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
    """Settings of a network that reads images."""

    convolutions: Convolutions = "small"  # the convolutions before the dense layers, if views are images


@dataclass(frozen=True)
class Reads(Images):
    """Settings of the inputs of an agent's network. The learner adds its own settings, such as `hidden`."""

    agent_id: bool = False  # the network reads the agent's number as one-hot; for a network that all agents share
    last_action: bool = False  # the network reads the agent's last action: one-hot, or the numbers


@dataclass(frozen=True)
class Numbers(Images):
    """Settings of an actor's images and of its continuous actions."""

    numbers: Literal["normal", "normal-by-view", "tanh-normal"] = "normal"
    # distribution of continuous actions. normal: the deviations are parameters; normal-by-view: the network outputs
    # them for each view; tanh-normal: the tanh of a normal distribution


@dataclass(frozen=True)
class Products:
    """The number format of matrix products."""

    products: Literal["float32", "bfloat16"] = "float32"
    # format of matrix products. bfloat16 is for accelerators: it rounds factors to 8 bits; sums and parameters stay
    # float32


@dataclass(frozen=True)
class Settings(Reads, Numbers):
    """Settings of an actor: its inputs, and its continuous actions."""


@dataclass(frozen=True)
class Exploration:
    """Settings of exploration in the learners of "hidden gifts": by the policy alone, or as in the authors' code."""

    exploration: Literal["none", "floor"] = (
        "none"  # floor: mix the uniform policy in, in play and in the gradient (code)
    )
    floor_start: Fraction = 0.8  # weight of the uniform policy at the start (code)
    floor_end: Fraction = 0.01  # weight of the uniform policy from floor_steps on (code)
    floor_steps: Positive[float] = 2e6  # steps of a batch; one update advances by T


def actions_of(config: Numbers, env: Environment) -> Actions:
    """Returns the function that turns an actor's outputs into a policy over the game's actions."""
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
    """Returns the networks of all agents.

    make(key, inputs) -> a network with at least `acts.size` outputs. core: its memory at the start of an episode,
    leaves [N, ...]. width: the number of outputs of the convolutions.
    """
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
    """Returns `RecurrentNet`s with `acts.size` outputs for all agents.

    hidden: width of their layers. width: the number of outputs of the convolutions; None: `hidden`.
    """

    def new(key: Key, inputs: int) -> RecurrentNet:
        return RecurrentNet(key, inputs, hidden, acts.size, activation, core=core)

    return team(config, env, acts, sharing, new, fresh_core(core, hidden, env.spec.agents), width or hidden)


def products_of(config: object) -> Literal["float32", "bfloat16"]:
    """Returns the setting `products`; "float32" for settings that do not have it."""
    return config.products if isinstance(config, Products) else "float32"


def floor(config: Exploration, time: Array) -> Array | None:
    """Returns the uniform policy's weight after `time` steps of a batch, []; None unless exploration is "floor"."""
    if config.exploration == "none":
        return None
    return linear(config.floor_start, config.floor_end, config.floor_steps, time)


def present(spec: Spec) -> View:
    """Returns the description of a view without the agent's action history, which is the last part of a vector."""
    view = spec.view
    return replace(view, size=view.size - spec.history) if isinstance(view, Vector) and spec.history else view


def central(spec: Spec, observation: Observation) -> tuple[Array, Array]:
    """Returns the state [..., 1, 1, *] and each agent's own view [..., N, 1, *], in the form that `JointNet` reads."""
    lead = observation.available.shape[:-1]  # [..., N]
    return observation.state.reshape(*lead[:-1], 1, 1, *spec.state.shape), jnp.expand_dims(observation.view, len(lead))


def present_view(sees: View, view: Array) -> Array:
    """Returns the first `sees.size` numbers of vector views [..., V]; images are returned whole."""
    return view[..., : sees.size] if isinstance(sees, Vector) else view
