"""LICA: learning implicit credit assignment (Zhou et al. 2020, arXiv 2007.02529).

One central critic Q(s, u) reads the actions of all agents. The actors ascend it at their action probabilities, by the
gradient through the critic, so credit is assigned implicitly:

    maximise  mean Q(s, pi_1(. | o_1), ..., pi_N(. | o_N))  +  xi * entropy

The gradient of the entropy term is divided by the entropy, so that the weight xi sets how random policies stay. The
critic is a mixing network whose weights come from hypernetworks of the state; it learns TD(lambda) targets.
docs/algorithms/lica.md derives it and lists every departure.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.compatibility import require_discrete
from comity.learning import (
    credited,
    entropy,
    lambda_returns,
    mean_valid,
    optimizer,
    replay,
    side_by_side,
    take_step,
    towards,
)
from comity.learning.actions import Categorical, actions
from comity.learning.entropies import Entropy, entropy_term, mean_choice
from comity.learning.relaxed import relaxed
from comity.networks import (
    Activation,
    Core,
    FlatCritic,
    JointNet,
    MixingCritic,
    Part,
    RecurrentNet,
    joint_net,
)
from comity.networks.mixers import matched_width
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Reads):
    """Settings of LICA. Paper: its text; code: the authors' implementation, on StarCraft maps."""

    actors: Literal["separate", "shared"] = "separate"  # paper and code: shared
    core: Core = "gru"  # memory of an actor; none: two hidden layers and no memory
    last_action: bool = False  # an actor reads its own last action beside its view; code: True
    agent_id: bool = True  # a shared actor reads the agent's number; separate actors never do
    critic: Literal["mixing", "mlp", "mlp-matched"] = "mixing"
    # mlp: a plain network of width critic_width; mlp-matched: one with as many parameters as the mixing critic
    critic_reads: Literal["state", "views"] = "state"  # views: the views of all agents, side by side
    critic_width: Positive[int] = 64  # E of the mixing critic; width of the two hidden layers of a plain one
    critic_layers: Literal["one", "two"] = "two"  # layers of the hypernetworks that give the critic's weights
    climbs: Literal["probabilities", "gumbel"] = "probabilities"
    # the actors' input to the critic: action probabilities, or straight-through Gumbel samples
    temperature: Positive[float] = 1.0  # temperature of the Gumbel samples
    entropy: Entropy = "batch"  # the divisor of the entropy's gradient; paper per_agent, code batch; fixed: none
    entropy_weight: NotNegative[float] = 0.06  # xi, or beta if fixed;
    # paper and code 0.11 on 5m_vs_6m, 0.03 to 0.06 elsewhere
    credit: Literal["mean", "sum"] = "mean"  # the team's reward: the mean or the sum of the agents' rewards
    learning_rate: Positive[float] = 2.5e-3  # learning rate of actors (code)
    critic_learning_rate: Positive[float] = 5e-4  # (code)
    gamma: Fraction = 0.99  # discount per step (code)
    lambda_: Fraction = 0.8  # lambda of the targets (code)
    target_period: Positive[int] = 200  # updates between two copies of the critic to its target (code)
    clip: Positive[float] = 10.0  # largest gradient norm, of the critic and of each actor (code)
    epsilon: Positive[float] = 1e-8  # Adam's epsilon, added to the root
    hidden: Positive[int] = 64  # width of every layer of an actor
    activation: Activation = "relu"  # activation of actors

    def __post_init__(self):
        check(self)


RELEASED = {"actors": "shared", "last_action": True, "entropy_weight": 0.11}
PRESETS = {
    "sound": {},
    "paper": {**RELEASED, "entropy": "per_agent"},
    "released": RELEASED,
    "pymarl": {**RELEASED, "entropy_weight": 0.06},  # the weight on most maps
    "particle": {"core": "none", "critic_reads": "views"},  # the paper gives no settings: our reading of its text
    "mlp-critic": {"critic": "mlp"},
    "gumbel": {"climbs": "gumbel"},
    "fixed-entropy": {"entropy": "fixed", "entropy_weight": 0.15},
}


class State(NamedTuple):
    actor: RecurrentNet  # leaves [N, ...] if separate
    critic: JointNet  # an encoder and a MixingCritic or a FlatCritic
    target_critic: JointNet
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    since: Array  # [] int32, updates since the last copy to the target


def critic_loss(q: Array, targets: Array, valid: Array) -> Array:
    """Returns the mean squared error of Q(s_t, a_t) against its targets over valid steps, []. Arguments [T, B]."""
    return mean_valid(jnp.square(q - targets), valid)


def critic_targets(config: Config, reward: Array, following: Array, terminated: Array, ended: Array) -> Array:
    """Returns lambda-returns G_t of the team's reward, [T, B].

    reward [T, B, N]; following [T, B]: the target critic's Q of state and actions after step t; flags [T, B].
    """
    team = credited(reward, config.credit)[..., 0]
    return lambda_returns(team, following, terminated, ended, config.gamma, config.lambda_)


def climbed(config: Config, key: Key, logits: Array) -> Array:
    """Returns u [..., N, A], the actors' input to the critic. The entry of an unavailable action is exactly 0.

    "probabilities": the policies themselves. "gumbel": one-hot draws from them, with the gradient of
    softmax((logits + noise) / temperature) (straight-through; Jang et al. 2017). logits [..., N, A], masked.
    """
    how = "softmax" if config.climbs == "probabilities" else "straight-through"
    return relaxed(key, logits, how, config.temperature)


def worth_of_policies(config: Config, key: Key, critic: JointNet, sees: Array, logits: Array) -> Array:
    """Returns Q(s, u) [...] for policies with logits [..., N, A]: the objective of all actors. sees: see `central`."""
    return critic(sees, beside=(side_by_side(climbed(config, key, logits)),))


def policy_loss(q: Array, valid: Array, randomness: Array, weight: Array | float) -> Array:
    """Returns -(mean Q(s_t, pi_1, ..., pi_N) over valid steps) - weight * randomness, [].

    q, valid [T, B]; randomness []: see `entropy_term`.
    """
    return -mean_valid(q, valid) - weight * randomness


def new_critic(config: Config, spec: Spec, key: Key) -> JointNet:
    joint, width = spec.agents * spec.action.n, config.critic_width
    layers = 1 if config.critic_layers == "one" else 2

    def net(key: Key, inputs: int) -> MixingCritic | FlatCritic:
        mixing = lambda key: MixingCritic(key, inputs, joint, width, layers)  # noqa: E731
        if config.critic == "mixing":
            return mixing(key)
        parameters = sum(x.size for x in jax.tree.leaves(jax.eval_shape(mixing, key)))
        matched = config.critic == "mlp-matched"
        return FlatCritic(key, inputs, joint, matched_width(inputs + joint, parameters) if matched else width)

    part = Part(spec.state) if config.critic_reads == "state" else Part(spec.view, spec.agents)
    return joint_net(key, (part,), net, config.hidden, config.convolutions)


def central(config: Config, spec: Spec, observation: Observation) -> Array:
    """Returns the critic's input: the state [..., 1, *], or all agents' views [..., N, *]."""
    if config.critic_reads == "views":
        return observation.view
    return jnp.expand_dims(observation.state, observation.available.ndim - 2)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "lica", images=True)
    spec, acts = env.spec, actions(env.spec.action)
    team = actors.recurrent_team(config, env, acts, config.actors, config.core, config.hidden, config.activation)
    team = replace(team, reads_id=config.agent_id and not team.separate)
    actor_optimizer = team.optimizer(optimizer("adam", config.learning_rate, config.clip, epsilon=config.epsilon))
    critic_optimizer = optimizer("adam", config.critic_learning_rate, config.clip, epsilon=config.epsilon)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), new_critic(config, spec, key_critic)
        target = jax.tree.map(jnp.copy, critic)  # a donated state may not hold an array twice
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        return State(actor, critic, target, *opt_states, jnp.zeros((), jnp.int32))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        value = state.critic(central(config, spec, observation), beside=(side_by_side(policy.probabilities),))
        notes = {**policy.notes(), "value": jnp.broadcast_to(value[..., None], action.shape)}
        return action, team.acted(memory, action), notes

    def critic_step(state: State, sees: Array, taken: Array, steps: Transition) -> tuple[State, Array]:
        """Returns (state, loss []) after a step of the critic.

        sees [T + 1, B, ...], taken [T + 1, B, N A]: critic inputs and joint actions, with those after the last step.
        """
        following = state.target_critic(sees[1:], beside=(taken[1:],))
        targets = critic_targets(config, steps.reward, following, steps.terminated, steps.ended)
        error = lambda critic: critic_loss(critic(sees[:-1], beside=(taken[:-1],)), targets, steps.valid)  # noqa: E731
        loss, grads = jax.value_and_grad(error)(state.critic)
        critic, opt_state = take_step(critic_optimizer, state.critic, state.critic_opt_state, grads)
        copied = state.since + 1 >= config.target_period
        target, since = towards(state.target_critic, critic, 1, copied), jnp.where(copied, 0, state.since + 1)
        return state._replace(critic=critic, target_critic=target, critic_opt_state=opt_state, since=since), loss

    def update(key: Key, state: State, steps: Transition):
        key_last, key_noise = jax.random.split(key)
        observation, valid = replay.observed(steps), steps.valid  # leaves [T + 1, B, ...]; [T, B]
        available, before = observation.available[:-1], team.begin(valid.shape[1])

        def policies(actor: RecurrentNet) -> Categorical:  # [T + 1, B, N]
            outputs = team.unroll(actor, observation.view, before, None, steps.action)
            return acts(outputs, observation.available)

        policy, pull_back = jax.vjp(policies, state.actor)
        # After a truncated episode comes Q of the policy's next action. It was not played, so it is drawn here.
        after = Categorical(policy.logits[-1]).sample(key_last)
        taken = side_by_side(acts.encoded(jnp.concatenate([steps.action, after[None]])))  # [T + 1, B, N A]
        sees = central(config, spec, observation)
        state, loss_critic = critic_step(state, sees, taken, steps)

        def loss(policy: Categorical) -> tuple[Array, Array]:
            logits = policy.logits[:-1]
            q = worth_of_policies(config, key_noise, state.critic, sees[:-1], logits)
            randomness = entropy_term(logits, available, valid, config.entropy)
            return policy_loss(q, valid, randomness, config.entropy_weight), q

        (loss_policy, q), of_policy = jax.value_and_grad(loss, has_aux=True)(policy)
        (grads,) = pull_back(of_policy)
        actor, opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
        metrics = {
            "policy_loss": loss_policy,
            "critic_loss": loss_critic,
            "q": mean_valid(q, valid),
            "entropy": mean_choice(entropy(policy.logits[:-1]), available, valid),
            "gradient_norm": optax.tree.norm(grads),
        }
        return state._replace(actor=actor, actor_opt_state=opt_state), metrics

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True)
