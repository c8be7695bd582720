"""PG: independent recurrent policy gradients with a Monte-Carlo critic.

The main learner of "The challenge of hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025,
arXiv 2505.20579).

    actor:  ascends  E[(G_t - V(o_t)) grad log pi(a_t | history)]
    critic: descends E[(G_t - V(o_t))^2]

G_t is the discounted return of the agent's own rewards, and V its own critic of the present observation.
docs/algorithms/pg.md derives it and lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors, context
from comity.algorithms.policy_gradient import correction, prediction
from comity.algorithms.released import critics
from comity.algorithms.terms import Learned, actor_of, with_terms
from comity.compatibility import require_choices
from comity.learning import (
    critic_loss,
    discounted_returns,
    fit_critic,
    mean_valid,
    per_agent_optimizer,
    policy_loss,
    take_step,
)
from comity.learning.actions import Actions
from comity.networks import MLP, Activation, ContextNet, RecurrentNet, Team
from comity.settings import Fraction, Positive, check
from comity.spec import Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(
    correction.Settings,
    prediction.Settings,
    context.Settings,
    actors.Products,
    actors.Settings,
    actors.Exploration,
):
    """Settings of PG. Paper: the text and tables; code: the authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper and code: one actor for all agents; critics are separate
    learning_rate: Positive[float] = 5e-4  # learning rate of the actor; paper 5e-5, code 5e-4
    critic_learning_rate: Positive[float] = 5e-4  # paper 5e-5, code 5e-4
    gamma: Fraction = 0.99  # discount per step
    hidden: Positive[int] = 64  # width of every layer
    activation: Activation = "relu"  # paper ReLU, code GELU
    critic_schedule: Literal["each-step", "batch"] = (
        "each-step"  # each-step: one critic step per time index, the last first; batch: one step in all
    )
    critic_reads: Literal["present", "view"] = (
        "present"  # present: the view without the agent's action history, if it has one; view: the whole view
    )
    critic_optimizer: Literal["separate", "joint"] = "separate"
    # joint: one optimizer with one gradient clip for all critics (code)
    critic_clip: Positive[float] = 10.0  # largest gradient norm, per optimizer
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-5  # RMSprop's epsilon, added to the root
    entropy_bonus: float = 0.0  # c in r + c H(pi); the paper's max-entropy 1e-4, its code -1e-4 (a penalty)
    last_value: Literal["zero", "first-critic"] = "zero"
    # the value after the last step in the critic's targets; first-critic (code): of the critic's first parameters

    def __post_init__(self):
        check(self)
        context.check_heads(self)


PAPER = {"actors": "shared", "learning_rate": 5e-5, "critic_learning_rate": 5e-5}
RELEASED = {
    "actors": "shared",
    "activation": "gelu",
    "exploration": "floor",
    "critic_optimizer": "joint",
    "last_value": "first-critic",
    "correction_trigger": "reward",
}
FAST = {  # most success on Manitokan per CPU second; docs/performance.md, "Seconds to a score", has the trials
    "core": "none",  # views contain nearly all that matters, and an update costs a quarter of an update with a GRU
    "actors": "shared",  # one actor learns from both; of 7 trials with separate ones at this rate 2 ended without gifts
    "agent_id": True,  # an agent knows which of the two it is and can take turns: success 89 % instead of 78 %
    "critic_schedule": "batch",  # one critic step instead of 150, which saves a sixth of the remaining update
    "learning_rate": 2e-3,  # four times `sound`; 3e-3 and 5e-3 with separate actors ended at 0
    "critic_learning_rate": 2e-3,  # 5e-3 was no better, and one of its two seeds failed
    "gamma": 0.97,  # 0.99 is slower; with 0.95 the door's reward is too small at the key
}
PRESETS = {
    "sound": {},
    "fast": FAST,
    "paper": PAPER,
    "released": RELEASED,
    "max-entropy": {"entropy_bonus": 1e-4},
    "correction": {"correction": "mixed"},
    "self-correction": {"correction": "self_pure"},
    "anti-collective": {"correction": "mixed", "correction_coefficient": -1.0},
    "released-max-entropy": {**RELEASED, "entropy_bonus": -1e-4},
    "released-correction": {**RELEASED, "correction": "released"},
}


class State(NamedTuple):
    actor: RecurrentNet | ContextNet  # leaves [N, ...] if separate
    critic: MLP  # leaves [N, ...]
    first_critic: MLP | None  # the critic with its first parameters, the code's "target", which it never updates
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    time: Array  # [] int32, steps of a batch so far
    terms: tuple[PyTree, ...]  # states of the terms that are added to the gradient


def new_actor(config: Config, spec: Spec, acts: Actions, key: Key, inputs: int) -> RecurrentNet | ContextNet:
    """Returns a new actor that reads `inputs` numbers."""
    if config.core == "attention":
        return context.new_actor(config, key, spec.length, inputs, acts.size, (config.hidden,), config.activation)
    return RecurrentNet(key, inputs, config.hidden, acts.size, config.activation, core=config.core)


def team_of(config: Config, env: Environment) -> Team:
    """Returns the team of actors."""
    spec, acts = env.spec, actors.actions_of(config, env)
    memory, new = context.fresh_memory(config, spec), partial(new_actor, config, spec, acts)
    return actors.team(config, env, acts, config.actors, new, memory, config.hidden)


def make(config: Config, env: Environment) -> Algorithm:
    spec, acts = env.spec, actors.actions_of(config, env)
    if config.exploration == "floor":
        require_choices(env, "pg's exploration 'floor'")
    team = team_of(config, env)
    sees = actors.present(spec) if config.critic_reads == "present" else spec.view
    new_critic = partial(MLP, hidden=(config.hidden,) * 2, outputs=1, activation=config.activation)
    sizes = {"convolutions": config.convolutions, "width": config.hidden, "products": config.products}
    values = Team(new_critic, spec.agents, sees, **sizes)
    rmsprop = partial(optax.rmsprop, decay=config.decay, eps=config.epsilon, eps_in_sqrt=False)
    actor_optimizer = rmsprop(config.learning_rate)
    over_critics = critics.joint_optimizer if config.critic_optimizer == "joint" else per_agent_optimizer
    critic_optimizer = over_critics(
        optax.chain(optax.clip_by_global_norm(config.critic_clip), rmsprop(config.critic_learning_rate))
    )
    terms = (*correction.terms(config, env, team), *prediction.terms(config, env, team, config.hidden, actor_optimizer))

    def evaluate(critic: PyTree, view: Array) -> Array:
        """Returns V of every agent, [..., N], for views [..., N, V]."""
        return values.call(critic, actors.present_view(sees, view))[..., 0]

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), values.init(key_critic)
        first = critic if config.last_value == "first-critic" else None
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)
        added = tuple(term.init(jax.random.fold_in(key, 1), actor) for term in terms)
        return State(actor, critic, first, *opt_states, jnp.zeros((), jnp.int32), added)

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available, actors.floor(config, state.time) if explore else None)
        action = policy.sample(key) if explore else policy.mode()
        notes = {**policy.notes(), "value": evaluate(state.critic, observation.view)}
        return action, team.acted(memory, action), notes

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        view, available, valid = steps.observation.view, steps.observation.available, steps.valid
        policy_of = lambda outputs: acts(outputs, available, actors.floor(config, state.time))  # noqa: E731
        log_probs = lambda outputs: policy_of(outputs).log_prob(steps.action)  # noqa: E731
        # Whole episodes begin with an empty context. The context of every step would take T times the memory.
        before = None if config.core == "attention" else jax.tree.map(lambda x: x[0], steps.memory)
        actor = actor_of(team, state.actor, steps, before, log_probs, keep=config.predict == "others")

        entropy = policy_of(actor.outputs).entropy(steps.action)
        reward = steps.reward + jnp.where(valid[..., None], config.entropy_bonus * entropy, 0.0)
        returns = targets = discounted_returns(reward, steps.ended, config.gamma)
        if state.first_critic is not None:
            targets = critics.first_critic_targets(partial(evaluate, state.first_critic), reward, steps, config.gamma)
        groups = len(view) if config.critic_schedule == "each-step" else 1
        critic, critic_opt_state, baseline = fit_critic(
            evaluate, critic_optimizer, state.critic, state.critic_opt_state, view, targets, valid, groups
        )

        loss = lambda outputs: team.total(policy_loss(log_probs(outputs), returns - baseline, valid))  # noqa: E731
        actor_loss, of_outputs = jax.value_and_grad(loss)(actor.outputs)
        learned = Learned(steps, reward, baseline)
        grads, added, sizes = with_terms(terms, state.terms, actor, learned, actor.pull_back(of_outputs))
        params, actor_opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
        metrics = {
            "policy_loss": actor_loss,
            "critic_loss": critic_loss(baseline, targets, valid).mean(),
            "entropy": mean_valid(entropy, valid).mean(),
            "gradient_norm": optax.tree.norm(grads),
            **sizes,
        }
        opt_states, time = (actor_opt_state, critic_opt_state), state.time + len(view)
        return State(params, critic, state.first_critic, *opt_states, time, added), metrics

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True)
