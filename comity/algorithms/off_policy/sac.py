"""SAC: soft actor-critic, which maximises return and entropy (Haarnoja et al. 2018, arXiv 1801.01290 and 1812.05905),
one learner per agent.

    critics: descend mean (y - Q_k(o, a))^2,   y = r + gamma (min_k Q'_k(o', a') - alpha log pi(a' | o')),   a' ~ pi
    actor:   ascends min_k Q_k(o, a) - alpha log pi(a | o),   a reparametrised by mean and deviation
    alpha:   descends alpha (entropy - target entropy), or is fixed

The form of January 2018 has a value network in place of the target critics. With an entropic index other than 1 the
entropy is Tsallis' (`tac.py`). docs/algorithms/sac.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms.additions import Addition
from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.ddpg import own_action
from comity.algorithms.off_policy.deterministic_nets import Nets, clipped_descent, each_value, policies
from comity.algorithms.off_policy.deterministic_settings import OF_ALITA
from comity.learning import take_step, towards
from comity.networks import MLP, Team
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of SAC: the family's, with defaults of the paper of December 2018."""

    alpha: Positive[float] = 1.0  # weight of the entropy; its start if alpha_moves
    alpha_moves: bool = True  # alpha learns to bring the entropy to a target; False: it is fixed
    alpha_learning_rate: Positive[float] = 3e-4  # Adam's learning rate for log alpha
    target_entropy: float = -1.0  # target entropy of continuous actions, nats per number of an action
    target_choice: Fraction = 0.5  # target entropy of discrete actions, as a share of the uniform policy's
    entropic_index: Positive[float] = 1.0  # q of Tsallis' entropy; 1: Shannon's; above 1 likely actions cost more
    values: Literal["critics", "network"] = "critics"  # next values from target critics, or from a value network
    hidden: Positive[int] = 256
    steps: Positive[int] = 10
    every: Positive[int] = 1  # transitions of all games for one update
    gamma: Fraction = 0.99
    learning_rate: Positive[float] = 3e-4
    critic_learning_rate: Positive[float] = 3e-4
    clip_by: Literal["norm", "array", "entry", "none"] = "none"
    tau: Fraction = 0.005
    target_policies: bool = False  # False: targets use the present policy
    capacity: Positive[int] = 1_000_000
    warmup: Positive[int] = 1_000
    first_actions: Literal["policy", "uniform"] = "uniform"
    logit_penalty: NotNegative[float] = 0.0

    def __post_init__(self):
        super().__post_init__()
        check(self)
        if self.entropic_index != 1 and self.alpha_moves:
            raise ValueError(f"entropic_index {self.entropic_index} has no wanted entropy: set alpha_moves to False")


JANUARY: dict[str, Any] = {"values": "network", "alpha_moves": False, "alpha": 0.2, "hidden": 128, "tau": 0.01}
# the paper has rewards times 5 and alpha 1, which is the same as alpha 0.2 with values divided by 5
PRESETS = {
    "sound": {},
    "paper": OF_ALITA,
    "2018": JANUARY,
}


class Added(NamedTuple):
    """The state that SAC learns in addition to actors and critics."""

    log_alpha: Array  # [N]
    alpha_opt_state: PyTree
    value: MLP | tuple[()]  # leaves [N, ...] if separate
    target_value: MLP | tuple[()]
    value_opt_state: PyTree


def alpha_of(added: Added) -> Array:
    """Returns alpha of each agent, [N]."""
    return jnp.exp(added.log_alpha)


def q_log(log_prob: Array, index: float | Array) -> Array:
    """Returns ln_q(pi) = (pi^(q - 1) - 1) / (q - 1) from log pi; for q = 1 it is log pi itself (Chen & Peng 2019)."""
    near = jnp.abs(index - 1.0) < 1e-6
    power = jnp.where(near, 1.0, index - 1.0)
    return jnp.where(near, log_prob, jnp.expm1(power * jnp.where(near, 0.0, log_prob)) / power)


def sample_with_gradient(config: Config, key: Key, policy: Any) -> tuple[Array, Array]:
    """Returns (an action [batch, N, A], ln_q pi of it [batch, N]), both with gradient.

    For discrete actions the second is the expectation of ln_q pi under the policy.
    """
    bent = partial(q_log, index=config.entropic_index)
    return policy.relaxed_and_log_prob(key, config.relaxed, config.temperature, bent)


def means(config: Config, state: family.State, key: Key, policy: Any) -> tuple[Array, Array]:
    """Returns (the actors' action, the entropy term that is added to its value), see `Member.means`."""
    action, log_prob = sample_with_gradient(config, key, policy)
    return action, -alpha_of(state.added) * log_prob


def soft_value(config: Config, nets: Nets, state: family.State, keys: tuple[Key, Key], observation: Observation,
               critics: Any) -> Array:  # fmt: skip
    """Returns min_k Q_k(o, a) - alpha log pi(a | o) for one draw a of the policy, [batch, N]."""
    actors = state.target_actors if config.target_policies else state.actors
    action, log_prob = sample_with_gradient(config, keys[0], policies(nets, actors, observation)[0])
    least = each_value(nets, keys[1], critics, observation.view, action, action).min(-1)
    return least - alpha_of(state.added) * log_prob


def target(config: Config, nets: Nets, state: family.State, keys: tuple[Key, Key], after: Observation) -> Array:
    """Returns the next value by the target critics or the target value network, [batch, N]."""
    if config.values == "network":
        return values_of(config, nets).call(state.added.target_value, after.view)[..., 0]
    return soft_value(config, nets, state, keys, after, state.target_critics)


def values_of(config: Config, nets: Nets) -> Team:
    """Returns the value networks, which read the same views as actors."""
    actors, widths = nets.actors, (config.hidden,) * 2
    new = lambda key, inputs: MLP(key, inputs, widths, 1, config.activation)  # noqa: E731
    return Team(new, actors.agents, actors.view, actors.sharing, convolutions=config.convolutions, width=config.hidden,
                activation=config.activation)  # fmt: skip


def wanted(config: Config, nets: Nets, observation: Observation) -> Array:
    """Returns the target entropy, [batch, N] nats."""
    if nets.acts.has_deviations:
        return config.target_entropy * observation.available.sum(-1)
    many = [jnp.log(available.sum(-1).astype(jnp.float32)) for available in jax.tree.leaves(observation.available)]
    return config.target_choice * jnp.stack(many).sum(0)


def addition(config: Config, env: Environment, nets: Nets) -> Addition:
    """Returns SAC's addition: alpha and, in the form of January 2018, value networks."""
    values, network = values_of(config, nets), config.values == "network"
    fit = values.optimizer(clipped_descent(config, config.critic_learning_rate))
    adam = optax.adam(config.alpha_learning_rate)

    def init(key: Key, state: family.State) -> Added:
        log_alpha = jnp.full(env.spec.agents, jnp.log(config.alpha))
        value = values.init(key) if network else ()
        copy = jax.tree.map(jnp.copy, value)
        return Added(log_alpha, adam.init(log_alpha), value, copy, fit.init(value) if network else ())

    def learn(key: Key, state: family.State, memories: Any, paid: Any, fresh: int) -> tuple[Added, dict[str, Array]]:
        del fresh
        key_draw, key_policy, *keys = jax.random.split(key, 4)
        added = state.added
        now = family.training_batch(config, env, nets, key_draw, memories, paid)[0]
        told = {"alpha": alpha_of(added).mean()}
        if config.alpha_moves:
            log_prob = sample_with_gradient(config, key_policy, policies(nets, state.actors, now)[0])[1]
            grads = -alpha_of(added) * (log_prob + wanted(config, nets, now)).mean(0)
            if not nets.actors.separate:
                grads = jnp.broadcast_to(grads.mean(), grads.shape)
            log_alpha, opt_state = take_step(adam, added.log_alpha, added.alpha_opt_state, grads)
            added = added._replace(log_alpha=log_alpha, alpha_opt_state=opt_state)
        if network:
            worth = lax.stop_gradient(soft_value(config, nets, state, (keys[0], keys[1]), now, state.critics))

            def loss(value: MLP) -> tuple[Array, Array]:
                errors = jnp.square(values.call(value, now.view)[..., 0] - worth).mean(0)  # [N]
                return values.total(errors), errors.mean()

            grads, told["value_loss"] = jax.grad(loss, has_aux=True)(added.value)
            value, opt_state = take_step(fit, added.value, added.value_opt_state, grads)
            after = towards(added.target_value, value, config.tau)
            added = added._replace(value=value, target_value=after, value_opt_state=opt_state)
        return added, told

    return Addition(init=init, begin=lambda key, state, steps: (state.added, {}), learn=learn)


MEMBER = family.Member(own_action, everyone=False, critics=2, climbs_least=True, numbers="tanh-normal",
                       means=means, target=target)  # fmt: skip


def make(config: Config, env: Environment, member: family.Member = MEMBER) -> Algorithm:
    return normalised(config, env, lambda env: family.learner(config, env, member, partial(addition, config, env)))
