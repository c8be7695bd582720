"""LICA's one-step study: a critic that is fitted to every joint action, and three gradients for the policy (Zhou et al.
2020, arXiv 2007.02529, section 4.3.1).

One shared policy reads an agent's number, and one critic reads the joint action. Nothing is sampled.

    lica:           ascends Q(pi_1, ..., pi_N)
    coma:           ascends sum over a of pi(a) sum over i of A_i(a) log pi_i(a_i), A_i the counterfactual advantage
    coma-reference: the loss that the authors' code of figure 5 computes in place of COMA's

docs/algorithms/lica_exact.md lists every departure.
"""

from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from comity.compatibility import require_discrete
from comity.learning import entropy, sample, take_step
from comity.networks import MLP
from comity.settings import Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

MOST = 64  # largest number of joint actions


@dataclass(frozen=True)
class Config:
    """Settings of the study; defaults are the authors'."""

    rule: Literal["lica", "coma", "coma-reference"] = "lica"  # the policy's objective
    critic_steps: Positive[int] = 5  # k, full-batch steps of the critic before each step of the policy
    critic_factor: Positive[float] = 2.0  # the critic's learning rate, divided by the policy's
    learning_rate: Positive[float] = 0.01  # learning rate of the policy; both use Adam
    hidden: Positive[int] = 32  # width of the one hidden layer of policy and critic
    runs: Positive[int] = 1  # number of learners that run in parallel, each from its own start;
    # metrics are their means, and the first one plays

    def __post_init__(self):
        check(self)


PRESETS = {
    "sound": {},
    "paper": {},
    "released": {},
    "coma": {"rule": "coma"},
    "coma-reference": {"rule": "coma-reference"},
}


class Learner(NamedTuple):
    """One of the runs."""

    policy: MLP  # number of an agent -> logits of its actions except the first, whose logit is 0
    critic: MLP  # probabilities of all agents' actions except each first one, side by side -> Q
    policy_opt_state: PyTree
    critic_opt_state: PyTree


class State(NamedTuple):
    learners: Learner  # leaves [R, ...]


def policy_logits(policy: MLP, agents: int) -> Array:
    """Returns the logits of all agents' actions, [N, A]. With two actions, the policy is a sigmoid of one number."""
    free = policy(jnp.arange(agents, dtype=jnp.float32)[:, None])
    return jnp.concatenate([jnp.zeros((agents, 1)), free], -1)


def critic_values(critic: MLP, chances: Array) -> Array:
    """Returns Q [...] of actions [..., N, A], which are one-hot or probabilities."""
    return critic(chances[..., 1:].reshape(*chances.shape[:-2], -1))[..., 0]


def critic_loss(critic: MLP, joint: Array, payoff: Array) -> Array:
    """Returns the mean squared error over all joint actions. joint [J, N, A] one-hot, payoff [J]."""
    return jnp.square(critic_values(critic, joint) - payoff).mean()


def lica_loss(logits: Array, critic: MLP) -> Array:
    """Returns -Q(pi_1, ..., pi_N). logits [N, A]."""
    return -critic_values(critic, jax.nn.softmax(logits))


def replaced(joint: Array) -> Array:
    """Returns each joint action [J, N, A] with one agent's action replaced by each of its actions: [J, N, A, N, A]."""
    _, agents, choices = joint.shape
    own = jnp.eye(agents, dtype=bool)[:, None, :, None]  # True for the agent whose action is replaced
    return jnp.where(own, jnp.eye(choices)[:, None, :], joint[:, None, None])


def coma_loss(logits: Array, critic: MLP, joint: Array) -> Array:
    """Returns -sum_a pi(a) sum_i A_i(a) log pi_i(a_i), with A_i(a) = Q(a) - sum_b pi_i(b) Q(b, a_-i).

    Only log pi_i carries gradient. logits [N, A], joint [J, N, A] one-hot.
    """
    chances = lax.stop_gradient(jax.nn.softmax(logits))
    weight = (joint * chances).sum(-1).prod(-1)  # pi(a), [J]
    q = lax.stop_gradient(critic_values(critic, replaced(joint)))  # [J, N, A]
    advantage = ((joint - chances) * q).sum(-1)  # [J, N]
    log_probs = (joint * jax.nn.log_softmax(logits)).sum(-1)  # [J, N]
    return -(weight[:, None] * advantage * log_probs).sum()


def coma_reference_loss(key: Key, logits: Array, critic: MLP, joint: Array) -> Array:
    """Returns the authors' code's loss for COMA.

    There is one row for each joint action a, agent i and replacing action b: (Q(a) - Q(b, a_-i)) log pi_i(last action),
    whatever a_i is. The loss is minus the mean over all rows except one that is drawn at random. The differences cancel
    over all rows, so the policy follows only the row that is left out.
    """
    q = lax.stop_gradient(critic_values(critic, replaced(joint)))  # [J, N, A]
    rows = ((joint * q).sum(-1, keepdims=True) - q) * jax.nn.log_softmax(logits)[:, -1:]
    kept = jnp.arange(rows.size) != jax.random.randint(key, (), 0, rows.size)
    return -(rows.reshape(-1) * kept).sum() / (rows.size - 1)


def require_one_step(env: Environment) -> None:
    """Raises ValueError unless the game has one step and at most `MOST` joint actions."""
    spec = env.spec
    if spec.length != 1 or spec.action.n**spec.agents > MOST:
        raise ValueError(
            f"lica-exact enumerates the joint actions of a team's one step, at most {MOST}; {type(env).__name__} is no "
            "such game: play one-step-traffic-junction or matrix"
        )


def payoffs(env: Environment, actions: Array) -> Array:
    """Returns the payoffs of joint actions [J, N] in the game's one state, means over agents, [J]."""
    key = jax.random.key(0)
    state, _ = env.reset(key)
    return jax.vmap(lambda action: env.step(key, state, action)[1].reward.mean())(actions)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "lica-exact")
    require_one_step(env)
    agents, choices = env.spec.agents, env.spec.action.n
    actions = np.array(list(product(range(choices), repeat=agents)), np.int32)  # [J, N]
    joint = jax.nn.one_hot(actions, choices)
    payoff = payoffs(env, jnp.asarray(actions))
    policy_optimizer = optax.adam(config.learning_rate)
    critic_optimizer = optax.adam(config.learning_rate * config.critic_factor)

    def new_learner(key: Key) -> Learner:
        key_policy, key_critic = jax.random.split(key)
        policy = MLP(key_policy, 1, (config.hidden,), choices - 1)
        critic = MLP(key_critic, agents * (choices - 1), (config.hidden,), 1)
        return Learner(policy, critic, policy_optimizer.init(policy), critic_optimizer.init(critic))  # pyright: ignore

    def init(key: Key) -> State:
        return State(jax.vmap(new_learner)(jax.random.split(key, config.runs)))

    def loss(policy: MLP, key: Key, critic: MLP) -> Array:
        logits = policy_logits(policy, agents)
        if config.rule == "lica":
            return lica_loss(logits, critic)
        if config.rule == "coma":
            return coma_loss(logits, critic, joint)
        return coma_reference_loss(key, logits, critic, joint)

    def learn(key: Key, learner: Learner) -> tuple[Learner, dict[str, Array]]:
        def fit(_, fitted: tuple[MLP, PyTree]) -> tuple[MLP, PyTree]:
            grads = jax.grad(critic_loss)(fitted[0], joint, payoff)
            return take_step(critic_optimizer, *fitted, grads)

        critic, critic_opt_state = lax.fori_loop(
            0, config.critic_steps, fit, (learner.critic, learner.critic_opt_state)
        )
        logits = policy_logits(learner.policy, agents)
        grads = jax.grad(loss)(learner.policy, key, critic)
        policy, policy_opt_state = take_step(policy_optimizer, learner.policy, learner.policy_opt_state, grads)
        chances = jax.nn.softmax(logits)
        likeliest = (actions == logits.argmax(-1)).all(-1)  # [J]
        metrics = {
            "value": ((joint * chances).sum(-1).prod(-1) * payoff).sum(),
            "optimum": (likeliest & (payoff == payoff.max())).any().astype(jnp.float32),
            "certainty": chances.max(-1).mean(),
            "entropy": entropy(logits).mean(),
            "critic_loss": critic_loss(critic, joint, payoff),
            **{f"likeliest_{name(a)}": x.astype(jnp.float32) for a, x in zip(actions, likeliest, strict=True)},
        }
        return Learner(policy, critic, policy_opt_state, critic_opt_state), metrics

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        learners, metrics = jax.vmap(learn)(jax.random.split(key, config.runs), state.learners)
        return State(learners), jax.tree.map(lambda x: x.mean(0), metrics)

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        policy = jax.tree.map(lambda x: x[0], state.learners.policy)
        logits = jnp.broadcast_to(policy_logits(policy, agents), observation.available.shape)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        return action, memory, {"probabilities": jax.nn.softmax(logits)}

    return Algorithm(init, act, update, whole_episodes=True, own_play=True)


def name(action: np.ndarray) -> str:
    """Returns a joint action as digits: in "10" the first agent takes action 1 and the second action 0."""
    return "".join(str(int(a)) for a in action)
