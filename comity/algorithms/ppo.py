"""PPO for teams of recurrent agents (Schulman et al. 2017, arXiv 1707.06347): what IPPO and MAPPO have in common.

Both play on without a break, learn from generalised advantages, and climb a clipped surrogate for several epochs over
chunks of the rollout. They differ by their critics only, which `Critics` says: how many, and what they read.
docs/algorithms/mappo.md derives it and lists every departure; what the code of "hidden gifts" also does is in
`released/ppo.py`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import context, prediction
from comity.algorithms.ppo_batches import (
    Batch,
    Critics,
    State,
    actor_input,
    after_rollout,
    all_views,
    each_value,
    evaluate,
    own_views,
    picked,
    rows_of,
    targets,
    views_size,
)
from comity.algorithms.ppo_settings import PAPER, RANDOMISED, RELEASED, Config
from comity.algorithms.released import ppo as released
from comity.compatibility import require_discrete
from comity.learning import (
    divisor,
    entropy,
    fresh_moments,
    log_prob,
    masked,
    mean_valid,
    normalised,
    optimizer,
    orders,
    per_agent_optimizer,
    sample,
    surrogate_loss,
    take_step,
    updated_moments,
    value_loss,
)
from comity.networks import DeepRecurrentNet, per_agent, stacked
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

__all__ = [
    "PAPER",
    "RANDOMISED",
    "RELEASED",
    "Config",
    "Critics",
    "State",
    "all_views",
    "learner",
    "own_views",
    "views_size",
]


def estimates(critics: Critics, critic: PyTree, batch: Batch, alternating: bool) -> Array:
    """V [c, R, N] of a batch, in deviations. alternating: see `released.folded`."""
    x, restart = batch.critic_input, batch.starts
    if alternating:
        x, restart = released.folded(jnp.moveaxis(x, 0, 2))[None], released.folded(restart)
    unroll = lambda net, x, memory, restart: net.unroll(x, memory, restart)  # noqa: E731
    of_each = 2 if restart.ndim == 3 else None
    outputs = per_agent(unroll, (0, 0, 0, of_each), 2)(critic, x, batch.critic_memory, restart)
    shape = batch.target.shape
    return outputs.reshape(shape) if alternating else each_value(outputs, shape[-1])


def objective(config: Config, critics: Critics, networks: PyTree, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """(the loss of actors, critics and predictor, metrics). Separate networks climb each their own."""
    (actor, critic, head), separate = networks, config.actors == "separate"
    remember = lambda net, x, memory, restart: prediction.unrolled(config, net, x, memory, restart)  # noqa: E731
    axes = (0 if separate else None, 0, 0, 2 if batch.starts.ndim == 3 else None)
    logits, memories = per_agent(remember, axes, (2, 2))(actor, batch.actor_input, batch.actor_memory, batch.starts)
    logits = masked(logits, batch.available)
    log_probs = log_prob(logits, batch.action)
    if config.least_log_prob == "-10":
        log_probs = jnp.maximum(log_probs, released.LEAST_LOG_PROB)
    policy = surrogate_loss(log_probs, batch.log_prob, batch.advantage, batch.valid, config.clip)
    surprise = mean_valid(entropy(logits), batch.valid)
    values = estimates(critics, critic, batch, config.rows == "alternating")
    errors = value_loss(values, batch.value, batch.target, batch.valid, config.clip, config.huber)
    actors_loss = policy - config.entropy_coefficient * surprise  # [N]
    # A sum only collects what separate networks climb each for itself; a mean of N of them climbs an N-th of it.
    total = actors_loss.sum() if separate and config.actors_loss == "sum" else actors_loss.mean()
    apart = critics.count == errors.shape[0] and config.critics_loss == "sum"
    total += errors.sum() if apart else errors.mean()
    log_ratio = log_probs - batch.log_prob
    clipped = jnp.abs(jnp.exp(log_ratio) - 1) > config.clip
    metrics = {
        "policy_loss": policy.mean(),
        "critic_loss": errors.mean(),
        "entropy": surprise.mean(),
        "kl": -mean_valid(log_ratio, batch.valid).mean(),  # from the policy that played to this one
        "clipped": mean_valid(clipped.astype(jnp.float32), batch.valid).mean(),
    }
    if head is not None:
        more, guesses = prediction.objective(config, head, memories, batch.action, batch.valid, separate)
        total, metrics = total + more, metrics | guesses
    return total, metrics


def new_networks(key: Key, config: Config, env: Environment, critics: Critics) -> tuple[PyTree, PyTree]:
    """(actor, leaves [N, ...] if separate, critic, leaves [C, ...])."""
    spec = env.spec
    key_actor, key_critic = jax.random.split(key)
    net = partial(DeepRecurrentNet, layers=config.encoder, hidden=config.hidden, activation=config.activation)
    net = partial(net, norm=config.layer_norm, gain=config.gain)
    inputs = spec.view.size
    if config.actor_reads == "views":
        inputs = views_size(env) + spec.history
    if config.network == "gru":
        new_actor = partial(net, inputs=inputs, outputs=spec.action.n, head_gain=0.01)
    else:
        new_actor = partial(context.new_actor, config, env=env, inputs=inputs, encoder=config.encoder)
    separate = config.actors == "separate"
    actor: PyTree = stacked(new_actor, key_actor, spec.agents) if separate else new_actor(key_actor)
    head_gain = 1.0 if config.critic_head == "orthogonal" else None
    new_critic = partial(net, inputs=critics.size, outputs=critics.values, head_gain=head_gain)
    return actor, stacked(new_critic, key_critic, critics.count)


def learner(config: Config, env: Environment, name: str, critics: Critics, misread_actions: bool = False) -> Algorithm:
    """The family's algorithm with these critics. misread_actions: see docs/algorithms/mappo.md."""
    require_discrete(env, name)
    agents, hidden, separate = env.spec.agents, config.hidden, config.actors == "separate"
    gated = config.network == "gru"
    one_value = critics.one_value(agents)
    released.check(config, critics.count == critics.values == 1, critics.count == agents)
    adam = partial(optimizer, "adam", epsilon=config.epsilon)
    actor_optimizer = adam(config.learning_rate, config.actor_clip)
    actor_optimizer = per_agent_optimizer(actor_optimizer) if separate else actor_optimizer
    critic_optimizer = per_agent_optimizer(adam(config.critic_learning_rate, config.critic_clip))

    def init(key: Key) -> State:
        actor, critic = new_networks(key, config, env, critics)
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)
        predictor = prediction.begin(config, jax.random.fold_in(key, 1), env, hidden, separate, actor_optimizer)
        return State(actor, critic, fresh_moments(agents), *opt_states, predictor)

    def act(key: Key, state: State, memory: tuple[PyTree, Array], observation: Observation, explore: bool = True):
        axis = observation.available.ndim - 2
        slip = misread_actions and axis > 0  # among several games
        step = per_agent(lambda net, x, h: net(x, h), (0 if separate else None, axis, axis), (axis, axis))
        logits, actor_memory = step(state.actor, actor_input(config, env, observation), memory[0])
        # What the game takes for an agent's action is legal: masks are taken for others in the same way.
        logits = masked(logits, released.unread(observation.available) if slip else observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        value, critic_memory = evaluate(config, critics, state, observation, memory[1])
        log_probs, probabilities = log_prob(logits, action), jax.nn.softmax(logits)
        if slip:
            action, log_probs = released.misread(action), released.misread(log_probs)
            actor_memory = jax.tree.map(released.misread, actor_memory)
        notes = {"probabilities": probabilities, "log_prob": log_probs, "value": value}
        return action, (actor_memory, critic_memory), notes

    def overwritten(key: Key, state: State, steps: Transition) -> Transition:
        """The rollout with the step after the end in the place of its first."""
        after = jax.tree.map(lambda x: x[-1], steps.next_observation)
        start = jax.tree.map(lambda x: jnp.broadcast_to(x, (*after.available.shape[:1], *x.shape)), memory)
        action, remembered, notes = act(key, state, start, after)
        return released.with_post_terminal(steps, after, remembered, action, notes)

    def update(key: Key, state: State, steps: Transition):
        if config.post_terminal:
            steps = overwritten(jax.random.fold_in(key, 1), state, steps)
        chunk = divisor(len(steps.valid), config.chunk) if gated else len(steps.valid)
        count = steps.valid.size // chunk
        minibatches = divisor(count, config.minibatches)
        length = config.epochs * minibatches  # optimizer steps
        returns, advantage = targets(config, critics, state, steps)
        moments = after_rollout(config, critics, state, returns, steps.valid, length)
        rows = rows_of(config, env, critics, state, steps, (returns, advantage), moments, chunk)

        def step(carry, chosen):
            networks, opt_states, moments = carry
            batch = picked(config, rows, chosen)
            if config.value_normalisation and config.moments == "minibatch":
                moments = updated_moments(moments, batch.target, batch.valid, config.value_decay, one_value)
                batch = batch._replace(target=normalised(batch.target, moments, config.first_deviation))
            grads, metrics = jax.grad(partial(objective, config, critics), has_aux=True)(networks, batch)
            metrics["gradient_norm"] = optax.tree.norm(grads[0])
            actor, actor_opt_state = take_step(actor_optimizer, networks[0], opt_states[0], grads[0])
            critic, critic_opt_state = take_step(critic_optimizer, networks[1], opt_states[1], grads[1])
            head, head_opt_state = networks[2], opt_states[2]
            if head is not None:
                head, head_opt_state = take_step(actor_optimizer, head, head_opt_state, grads[2])
            return ((actor, critic, head), (actor_opt_state, critic_opt_state, head_opt_state), moments), metrics

        head, head_opt_state = state.predictor or (None, None)
        opt_states = state.actor_opt_state, state.critic_opt_state, head_opt_state
        order = None  # one minibatch is all pieces, in any order
        if minibatches > 1:
            order = orders(key, count, config.epochs, minibatches, agents if config.order == "own" else None)
        carry = (state.actor, state.critic, head), opt_states, moments
        (networks, opt_states, moments), metrics = lax.scan(step, carry, order, None if minibatches > 1 else length)
        predictor = None if networks[2] is None else prediction.Predictor(networks[2], opt_states[2])
        return State(*networks[:2], moments, *opt_states[:2], predictor), jax.tree.map(jnp.mean, metrics)

    memory = context.fresh_memory(config, env), jnp.zeros((agents, hidden))
    whole = not gated or config.rollouts == "episodes"
    return Algorithm(init, act, update, memory, whole_episodes=whole, steps=config.steps or None)
