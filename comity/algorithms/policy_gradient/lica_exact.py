"""LICA's one-step study: a critic that knows every joint action, and three ways to climb it (Zhou et al. 2020, arXiv
2007.02529, section 4.3.1).

One shared policy reads an agent's number, one critic the joint action; nothing is sampled. "lica" climbs the critic at
the actions' probabilities, "coma" the expected counterfactual advantage, "coma-reference" what the authors' code of
their figure 5 computes in its place. docs/algorithms/lica_exact.md.
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

MOST = 64  # joint actions


@dataclass(frozen=True)
class Config:
    """Settings of the study; defaults are the authors'."""

    rule: Literal["lica", "coma", "coma-reference"] = "lica"  # what the policy climbs
    critic_steps: Positive[int] = 5  # k, full-batch steps of the critic before each step of the policy
    critic_factor: Positive[float] = 2.0  # learning rate of the critic over that of the policy
    learning_rate: Positive[float] = 0.01  # of the policy; both Adam
    hidden: Positive[int] = 32  # width of the one hidden layer of policy and critic
    runs: Positive[int] = 1  # learners side by side, each from a start of its own;
    # metrics are their means, the first one plays

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

    policy: MLP  # number of an agent -> logits of its actions but the first, whose logit is 0
    critic: MLP  # chances of all agents' actions but their first, side by side -> Q
    policy_opt_state: PyTree
    critic_opt_state: PyTree


class State(NamedTuple):
    learners: Learner  # leaves [R, ...]


def policy_logits(policy: MLP, agents: int) -> Array:
    """[N, A]; with two actions a sigmoid of one number."""
    free = policy(jnp.arange(agents, dtype=jnp.float32)[:, None])
    return jnp.concatenate([jnp.zeros((agents, 1)), free], -1)


def critic_values(critic: MLP, chances: Array) -> Array:
    """Q [...] of actions [..., N, A], one-hot or mixed."""
    return critic(chances[..., 1:].reshape(*chances.shape[:-2], -1))[..., 0]


def critic_loss(critic: MLP, joint: Array, payoff: Array) -> Array:
    """Mean squared error over all joint actions. joint [J, N, A] one-hot, payoff [J]."""
    return jnp.square(critic_values(critic, joint) - payoff).mean()


def lica_loss(logits: Array, critic: MLP) -> Array:
    """-Q(pi_1, ..., pi_N). logits [N, A]."""
    return -critic_values(critic, jax.nn.softmax(logits))


def replaced(joint: Array) -> Array:
    """[J, N, A, N, A]: each joint action [J, N, A] with one agent's own replaced by each of its actions."""
    _, agents, choices = joint.shape
    own = jnp.eye(agents, dtype=bool)[:, None, :, None]  # whose
    return jnp.where(own, jnp.eye(choices)[:, None, :], joint[:, None, None])


def coma_loss(logits: Array, critic: MLP, joint: Array) -> Array:
    """-sum_a pi(a) sum_i A_i(a) log pi_i(a_i), A_i(a) = Q(a) - sum_b pi_i(b) Q(b, a_-i), in which only log pi_i carries
    gradient. logits [N, A], joint [J, N, A] one-hot."""
    chances = lax.stop_gradient(jax.nn.softmax(logits))
    weight = (joint * chances).sum(-1).prod(-1)  # pi(a), [J]
    q = lax.stop_gradient(critic_values(critic, replaced(joint)))  # [J, N, A]
    advantage = ((joint - chances) * q).sum(-1)  # [J, N]
    log_probs = (joint * jax.nn.log_softmax(logits)).sum(-1)  # [J, N]
    return -(weight[:, None] * advantage * log_probs).sum()


def coma_reference_loss(key: Key, logits: Array, critic: MLP, joint: Array) -> Array:
    """What the authors' code has for COMA: one row for each joint action, agent and action in place of its own, in it
    (Q(a) - Q(b, a_-i)) log pi_i(last action), whatever a_i is; the mean over all rows but one drawn at random.

    Over all rows the differences cancel, so that the policy follows the row left out.
    """
    q = lax.stop_gradient(critic_values(critic, replaced(joint)))  # [J, N, A]
    rows = ((joint * q).sum(-1, keepdims=True) - q) * jax.nn.log_softmax(logits)[:, -1:]
    kept = jnp.arange(rows.size) != jax.random.randint(key, (), 0, rows.size)
    return -(rows.reshape(-1) * kept).sum() / (rows.size - 1)


def require_one_step(env: Environment) -> None:
    """Raises ValueError unless the game is one step of few joint actions."""
    spec = env.spec
    if spec.length != 1 or spec.action.n**spec.agents > MOST:
        raise ValueError(
            f"lica-exact enumerates the joint actions of a team's one step, at most {MOST}; {type(env).__name__} is no "
            "such game: play one-step-traffic-junction or matrix"
        )


def payoffs(env: Environment, actions: Array) -> Array:
    """[J], mean over agents, of joint actions [J, N] in the one state of a game."""
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
    """A joint action in digits: 10, the first agent takes action 1 and the second 0."""
    return "".join(str(int(a)) for a in action)
