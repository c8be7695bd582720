"""PPO for teams of recurrent agents (Schulman et al. 2017, arXiv 1707.06347), the family of IPPO and MAPPO.

    actor:  maximise mean min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A) + c_H H,   rho = pi / pi_old
    critic: minimise the clipped Huber loss of V against lambda-returns

A are generalised advantages, and H is the entropy of the policies. Rollouts continue across episode ends. Each rollout
is learned for several epochs, in minibatches of pieces of consecutive steps. IPPO and MAPPO differ only in the number
and the inputs of the critics (`Critics`). docs/algorithms/mappo.md derives it and lists every departure;
`released/ppo.py` has what the code of "hidden gifts" does in addition.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors, context
from comity.algorithms.policy_gradient import prediction
from comity.algorithms.ppo import trunk
from comity.algorithms.ppo.ppo_batches import (
    Batch,
    State,
    Teams,
    after_rollout,
    choosing,
    each_value,
    evaluate,
    in_deviations,
    in_reward_units,
    minibatch,
    pooled,
    rows_of,
    targets,
)
from comity.algorithms.ppo.ppo_inputs import Critics, actor_sees, actor_view, all_views, own_views, views_of_all
from comity.algorithms.ppo.ppo_settings import FAST, IMAGES, PAPER, RANDOMISED, RELEASED, SMAC, Config
from comity.algorithms.released import ppo as released
from comity.compatibility import require_choices, require_discrete
from comity.learning import (
    divisor,
    fresh_moments,
    linear,
    mean_valid,
    optimizer,
    over_minibatches,
    surrogate_loss,
    take_step,
    value_loss,
)
from comity.networks import ContextNet, Core, DeepRecurrentNet, Team, fresh_core, per_agent
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

__all__ = [
    "FAST",
    "IMAGES",
    "PAPER",
    "RANDOMISED",
    "RELEASED",
    "SMAC",
    "Config",
    "Critics",
    "State",
    "all_views",
    "learner",
    "own_views",
    "views_of_all",
]


def estimates(teams: Teams, critic: PyTree, batch: Batch, alternating: bool) -> Array:
    """Returns normalised V [c, R, N] of a batch. alternating: see `released.folded`."""
    x, restart = batch.critic_input, batch.starts
    if alternating:
        x, restart = released.folded(jnp.moveaxis(x, 0, 2))[None], released.folded(restart)
    unroll = lambda net, x, memory, restart: net.unroll(x, memory, restart)  # noqa: E731
    of_each = 2 if restart.ndim == 3 else None
    outputs = teams.critics.over(unroll, (0, 0, 0, of_each), 2)(critic, x, batch.critic_memory, restart)
    shape = batch.target.shape
    return outputs.reshape(shape) if alternating else each_value(outputs, shape[-1])


def objective(config: Config, teams: Teams, networks: PyTree, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """Returns (the loss of actors, critics and predictor; metrics). Separate networks have independent losses."""
    (actor, critic, head), separate, critics = networks, teams.actors.separate, teams.kinds
    remember = lambda net, x, memory, restart: prediction.unrolled(config, net, x, memory, restart)  # noqa: E731
    axes = (0 if separate else None, 0, 0, 2 if batch.starts.ndim == 3 else None)
    unrolled = per_agent(teams.actors.rounded(remember), axes, (2, 2))
    outputs, memories = unrolled(actor, batch.actor_input, batch.actor_memory, batch.starts)
    outputs, values = trunk.parted(outputs) if teams.together else (outputs, None)
    policy_now = teams.actions(outputs, batch.available)
    log_probs = policy_now.log_prob(batch.action)
    if config.least_log_prob == "-10":
        log_probs = jnp.maximum(log_probs, released.LEAST_LOG_PROB)
    counted = choosing(config, batch.available, batch.valid)
    policy = surrogate_loss(log_probs, batch.log_prob, batch.advantage, counted, config.clip)
    entropy = mean_valid(policy_now.entropy(batch.action), counted)
    policy, entropy = (pooled(config, counted, x) for x in (policy, entropy))
    values = estimates(teams, critic, batch, config.rows == "alternating") if values is None else values
    errors = value_loss(values, batch.value, batch.target, batch.valid, config.clip, config.huber)
    actors_loss = policy - config.entropy_coefficient * entropy  # [N]
    # In a sum, each separate network gets the gradient of its own loss; in a mean, an N-th of it.
    total = actors_loss.sum() if separate and config.actors_loss == "sum" else actors_loss.mean()
    if teams.together:
        total += config.value_coefficient * teams.actors.total(errors)
    else:
        apart = critics.count == errors.shape[0] and config.critics_loss == "sum"
        total += errors.sum() if apart else errors.mean()
    log_ratio = log_probs - batch.log_prob
    clipped = jnp.abs(jnp.exp(log_ratio) - 1) > config.clip
    metrics = {
        "policy_loss": policy.mean(),
        "critic_loss": errors.mean(),
        "entropy": entropy.mean(),
        "kl": -mean_valid(log_ratio, batch.valid).mean(),  # KL(policy that played || present policy)
        "clipped": mean_valid(clipped.astype(jnp.float32), batch.valid).mean(),
    }
    if head is not None:
        more, guesses = prediction.objective(config, head, memories, batch.action, batch.valid, separate)
        total, metrics = total + more, metrics | guesses
    return total, metrics


def teams_of(config: Config, env: Environment, critics: Critics) -> Teams:
    """Returns the networks that the settings ask for."""
    spec, acts = env.spec, actors.actions_of(config, env)
    net = partial(DeepRecurrentNet, layers=config.encoder, hidden=config.hidden, activation=config.activation)
    net = partial(net, norm=config.layer_norm, gain=config.gain)

    def new_actor(key: Key, inputs: int) -> DeepRecurrentNet | ContextNet:
        if config.core == "attention":
            sizes = spec.length, inputs, acts.size, config.encoder
            return context.new_actor(config, key, *sizes, config.activation)
        if config.trunk == "shared":
            return net(key, inputs, outputs=1 + acts.size, head_gain=trunk.gains(acts.size), core=config.core)
        return net(key, inputs, outputs=acts.size, head_gain=trunk.POLICY_GAIN, core=config.core)

    def new_critic(key: Key, inputs: int) -> DeepRecurrentNet:
        head_gain = 1.0 if config.critic_head == "orthogonal" else None
        return net(key, inputs, outputs=critics.values, head_gain=head_gain, core=critic_core(config))

    fresh = context.fresh_memory(config, spec)
    team = actors.team(config, env, acts, config.actors, new_actor, fresh, config.hidden)
    team = replace(team, view=actor_view(config, spec))
    sizes = {"convolutions": config.convolutions, "width": config.hidden, "products": config.products}
    central = Team(new_critic, critics.count, critics.view, **sizes)
    if config.trunk == "shared":
        trunk.check(config, critics.count == spec.agents, team.view, critics.view)
    return Teams(team, central, acts, critics, config.trunk == "shared")


def critic_core(config: Config) -> Core:
    """Returns the critics' memory: the actors', or "gru" if actors use attention."""
    return "gru" if config.core == "attention" else config.core


def adam(config: Config, rate: float, clip: float) -> optax.GradientTransformation:
    """Adam with gradients clipped by their norm. With `rate_steps` its rate falls linearly to 0."""
    falling = partial(linear, rate, 0.0, float(config.rate_steps))
    return optimizer("adam", falling if config.rate_steps else rate, clip, epsilon=config.epsilon)


def learner(config: Config, env: Environment, name: str, critics: Critics, misread_actions: bool = False) -> Algorithm:
    """Returns the family's algorithm with these critics. misread_actions: see docs/algorithms/mappo.md."""
    spec, teams = env.spec, teams_of(config, env, critics)
    agents, team, acts = spec.agents, teams.actors, teams.actions
    if config.skip_forced:
        require_choices(env, f"{name} with skip_forced")
    released.check(config, critics.count == critics.values == 1, critics.count == agents)
    if config.rows != "pieces" or misread_actions or config.post_terminal:
        require_discrete(env, f"{name} as released")
    actor_optimizer = team.optimizer(adam(config, config.learning_rate, config.actor_clip))
    critic_optimizer = teams.critics.optimizer(adam(config, config.critic_learning_rate, config.critic_clip))
    memory = team.memory, () if teams.together else fresh_core(critic_core(config), config.hidden, agents)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), None if teams.together else teams.critics.init(key_critic)
        opt_states = actor_optimizer.init(actor), None if critic is None else critic_optimizer.init(critic)
        head = jax.random.fold_in(key, 1), env, config.hidden, team.separate, actor_optimizer
        return State(actor, critic, fresh_moments(agents), *opt_states, prediction.begin(config, *head))

    def act(key: Key, state: State, memory: tuple[PyTree, PyTree], observation: Observation, explore: bool = True):
        available = observation.available
        slip = misread_actions and available.ndim > 2  # it needs several games
        outputs, actor_memory = team.step(state.actor, actor_sees(config, env, observation), memory[0])
        outputs, value = trunk.parted(outputs) if teams.together else (outputs, None)
        # Masks are misread in the same way, so that the action which the game reads is available.
        policy = acts(outputs, released.unread(available) if slip else available)
        action = policy.sample(key) if explore else policy.mode()
        if value is None:
            value, critic_memory = evaluate(config, env, teams, state, observation, memory[1])
        else:
            value, critic_memory = in_reward_units(config, state, value), ()
        notes = {"log_prob": policy.log_prob(action), "value": value, "entropy": policy.entropy(action)}
        if slip:
            action, notes["log_prob"] = released.misread(action), released.misread(notes["log_prob"])
            actor_memory = jax.tree.map(released.misread, actor_memory)
        return action, (team.acted(actor_memory, action), critic_memory), {**policy.notes(), **notes}

    def overwritten(key: Key, state: State, steps: Transition) -> Transition:
        """Returns the rollout with its first step overwritten by the step after the end."""
        after = jax.tree.map(lambda x: x[-1], steps.next_observation)
        start = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(after.available), *x.shape)), memory)
        action, remembered, notes = act(key, state, start, after)
        return released.with_post_terminal(steps, after, remembered, action, notes)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        if config.post_terminal:
            steps = overwritten(jax.random.fold_in(key, 1), state, steps)
        chunk = len(steps.valid) if config.core == "attention" else divisor(len(steps.valid), config.chunk)
        count = steps.valid.size // chunk
        minibatches = divisor(count, config.minibatches)
        returns, advantage = targets(config, env, teams, state, steps)
        moments = after_rollout(config, critics, state, returns, steps.valid, config.epochs * minibatches)
        rows = rows_of(config, env, teams, state, steps, (returns, advantage), moments, chunk)
        optimizers = actor_optimizer, critic_optimizer, actor_optimizer  # the last is the predictor's

        def step(carry, chosen: Array | None):
            networks, opt_states, moments = carry
            moments, batch = in_deviations(config, teams, moments, minibatch(config, rows, chosen))
            grads, metrics = jax.grad(partial(objective, config, teams), has_aux=True)(networks, batch)
            metrics["gradient_norm"] = optax.tree.norm(grads[0])
            stepped = [
                (net, opt_state) if net is None else take_step(one, net, opt_state, grad)
                for one, net, opt_state, grad in zip(optimizers, networks, opt_states, grads, strict=True)
            ]
            networks, opt_states = zip(*stepped, strict=True)
            return (networks, opt_states, moments), metrics

        head, head_opt_state = state.predictor or (None, None)
        opt_states = state.actor_opt_state, state.critic_opt_state, head_opt_state
        carry = (state.actor, state.critic, head), opt_states, moments
        own = agents if config.order == "own" else None
        carry, metrics = over_minibatches(step, carry, key, count, config.epochs, minibatches, own)
        (actor, critic, head), opt_states, moments = carry
        predictor = None if head is None else prediction.Predictor(head, opt_states[2])
        actor_opt_state, critic_opt_state, _ = opt_states
        return State(actor, critic, moments, actor_opt_state, critic_opt_state, predictor), metrics

    whole = config.core == "attention" or config.rollouts == "episodes"
    return Algorithm(init, act, update, memory, whole_episodes=whole, steps=config.steps or None)
