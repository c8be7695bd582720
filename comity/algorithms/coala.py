"""COALA-PG: policy gradients of players whose opponents learn (Meulemans et al. 2025, arXiv 2410.18636).

A game with learners inside (`LearningOpponents`) plays b inner games at once against one learner, M episodes in a row.
An action counts for the rest of its own inner episode, and, since the opponent learns from all games alike, for what
later episodes bring in all of them (`learning/shaping.py`). M-FOS and the batch-unaware gradient are the same file with
another credit. Against another player, who learns only between whole episodes, games are independent and the plain
gradient is right. PPO climbs it. docs/algorithms/coala.md.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms.coala_exact import exact_worth
from comity.algorithms.tabular import require_exact_values
from comity.compatibility import require_discrete
from comity.learning import divisor, entropy, log_prob, masked, optimizer, per_agent_optimizer, sample, take_step
from comity.learning.shaping import CREDITS, Estimator, batch_advantages, batch_lambda_returns
from comity.networks import stacked
from comity.networks.sequence import Sequence, sequence_memory, sequence_net
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import MetaEpisodes
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of COALA-PG. Paper: its tables for the iterated prisoner's dilemma."""

    estimator: Estimator = "coala"
    network: Sequence = "gru"  # paper: hawk
    width: Positive[int] = 32
    epochs: Positive[int] = 4
    minibatches: Positive[int] = 2  # of whole episodes, at most, see `learning.divisor`
    clip: Positive[float] = 0.2  # of the ratio, and of what a value moves
    learning_rate: Positive[float] = 3e-4  # Adam
    epsilon: Positive[float] = 1e-5  # Adam's, added to the root
    gradient_clip: Positive[float] = 1.0  # norm, of each player's network
    gamma: Fraction = 1.0  # per step; below 1 it fades what shaping earns, as lambda_ does
    lambda_: Fraction = 1.0  # of advantages
    lambda_target: Fraction = 1.0  # of what the critic learns
    value_coefficient: NotNegative[float] = 0.5
    entropy_coefficient: NotNegative[float] = 0.0
    normalise: bool = False  # advantages: the mean of each kind of opponent to 0, the deviation of all to 1
    reward_factor: Positive[float] = 0.05  # rewards are multiplied by it, for learning only
    measure: bool = False  # also the two parts of the gradient, own episode and later ones, at twice the cost
    exact: bool = False  # also what players that are tables earn by the closed form, against each other and a learner

    def __post_init__(self):
        check(self)


PRESETS = {
    "sound": {},
    "paper": {"network": "hawk"},
    "tables": {"network": "table", "learning_rate": 0.02},  # players of five rows, which shape within a minute
    "m-fos": {"estimator": "m-fos"},
    "batch-unaware": {"estimator": "batch-unaware"},
}


class State(NamedTuple):
    net: PyTree  # outputs A logits and a value; leaves [K, ...]
    opt_state: PyTree


class Batch(NamedTuple):
    """Episodes of B games of b inner ones, seats S; all fields have B at `PLACES`."""

    view: Array  # [L, B, S, b, V]
    available: Array  # [L, B, S, b, A]
    action: Array  # [L, B, S, b]
    log_prob: Array  # [L, B, S, b], when it was played
    value: Array  # [L, B, S, b], as the critic gave it in play, in units of the factor
    advantage: Array  # [L, B, S, b]
    target: Array  # [L, B, S, b], what the value should be
    naive: Array  # [B] bool, the opponent learns inside the game
    player: Array  # [B, S] int32, who sat there


PLACES: Any = Batch(*(1,) * 7, naive=0, player=0)  # pyright: ignore[reportArgumentType]  # where B is


def credit(
    estimator: Estimator, reward: Array, value: Array, naive: Array, ends: Array, gamma, lambda_, lambda_target
) -> tuple[Array, Array]:
    """(advantages, targets of the critic), [L, B, S, b]. reward, value as these; naive [B]; ends [L].

    The critic is one for all: of the rest of its own game's M episodes (C.3), whoever the opponent is.
    """
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    shaping = batch_advantages(reward, value, following, ends, gamma, lambda_, estimator)
    plain = batch_advantages(reward, value, following, ends, gamma, lambda_, "batch-unaware")
    target = batch_lambda_returns(reward, following, ends, gamma, lambda_target, CREDITS["batch-unaware"])
    return jnp.where(naive[:, None, None], shaping, plain), target


def parts(estimator: Estimator, reward: Array, value: Array, ends: Array) -> tuple[Array, Array]:
    """An action's advantage inside its own episode, and in later ones, [L, B, S, b], at discount 1 (figure 12).

    Together they are the whole advantage against a naive opponent.
    """
    games = reward.shape[-1]
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])

    def step(carry: tuple[Array, Array], xs) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        own, later = carry
        surprise, ends = xs
        later = jnp.where(ends, own + later, later)  # what was ahead is another episode now
        own = jnp.where(ends, 0.0, own) + surprise
        return (own, later), (own, later)

    zeros = jnp.zeros_like(reward[0])
    own, later = lax.scan(step, (zeros, zeros), (reward + following - value, ends), reverse=True)[1]
    if CREDITS[estimator].averages:
        later = jnp.broadcast_to(later.mean(-1, keepdims=True), later.shape)
    return own / (games if CREDITS[estimator].normalises else 1), later


def standardised_by_kind(advantage: Array, naive: Array, seated: Array, chose: Array) -> Array:
    """Advantages [L, B, S, b] less the mean of their kind of opponent, naive [B], in deviations of all; seated [B, S],
    chose [L, B, S, b].

    What stands in seats that nobody learns from is not counted, nor are steps without a choice, as those that an inner
    game waits after an early end.
    """
    learnt = seated[..., None] & chose

    def less_mean(x: Array, of: Array) -> Array:
        chosen = learnt & of[:, None, None]
        mean = jnp.where(chosen, x, 0.0).sum() / jnp.maximum(chosen.sum(), 1)
        return jnp.where(of[:, None, None], x - mean, x)

    advantage = less_mean(less_mean(advantage, naive), ~naive)
    deviation = jnp.sqrt(jnp.where(learnt, jnp.square(advantage), 0.0).sum() / jnp.maximum(learnt.sum(), 1))
    return advantage / (deviation + 1e-5)


def weights(estimator: Estimator, meta: MetaEpisodes, share: float, naive: Array, player: Array) -> Array:
    """[B, S], how much a seat's rows count in their player's loss: seats against learners and against players, each
    kind's mean by its share of opponents.

    COALA's gradient is a sum over the b inner games, as M-FOS's; the plain one their mean (C.2).
    """
    seated = jnp.stack([jnp.ones_like(naive), ~naive], -1)[:, : meta.seats]  # the learner's own seat teaches nobody
    same = jax.nn.one_hot(player, meta.players)  # [B, S, K]

    def mean_of(kind: Array, share: float) -> Array:
        chosen = (seated & kind[:, None]).astype(jnp.float32)
        count = (chosen[..., None] * same).sum((0, 1))  # [K]
        return share * chosen / jnp.maximum((count * same).sum(-1), 1.0)

    summed = 1 if estimator == "batch-unaware" else meta.games
    return summed * mean_of(naive, share) + mean_of(~naive, 1 - share)


def only(net: PyTree) -> PyTree:
    """The network of the only player."""
    return jax.tree.map(lambda x: x[0], net)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "coala")
    spec, meta = env.spec, env.spec.meta
    if meta is None:
        raise ValueError(
            f"coala plays games whose opponents learn, {type(env).__name__} is none: put learners into it, "
            "as in `comity train ipd+learners coala`"
        )
    if config.exact:
        if config.network != "table":
            raise ValueError(f"coala's exact values are those of tables, the network is {config.network}: set network")
        require_exact_values(env.game, "coala with exact values")  # pyright: ignore[reportAttributeAccessIssue]
    seats, games, players = meta.seats, meta.games, meta.players
    share = meta.naive_share
    adam = optimizer("adam", config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    adam = per_agent_optimizer(adam)
    new = partial(sequence_net, config.network, inputs=spec.view.size, width=config.width, outputs=spec.action.n + 1)
    fresh = sequence_memory(config.network, config.width, spec.agents)
    ends = jnp.arange(1, spec.length + 1) % meta.length == 0  # [L]

    def seated(x: Array, axis: int) -> Array:
        """[..., N, ...] as [..., S, b, ...]."""
        return x.reshape(*x.shape[:axis], seats, games, *x.shape[axis + 1 :])

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        lead = observation.available.ndim - 2
        view = observation.view.astype(jnp.float32)
        step = lambda net, x, memory: net(x, memory)  # noqa: E731
        if players == 1:
            outputs, memory = step(only(state.net), view, memory)
        else:
            sitting = observation.state[..., 1 : 1 + seats].astype(jnp.int32)
            for _ in range(lead + 1):
                step = jax.vmap(step)
            nets = jax.tree.map(lambda x: x[sitting], state.net)  # [..., S, ...]
            outputs, memory = step(nets, *jax.tree.map(lambda x: seated(x, lead), (view, memory)))
            join = lambda x: x.reshape(*x.shape[:lead], seats * games, *x.shape[lead + 2 :])  # noqa: E731
            outputs, memory = jax.tree.map(join, (outputs, memory))
        logits = masked(outputs[..., :-1], observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        notes = {"log_prob": log_prob(logits, action), "value": outputs[..., -1]}
        return action, memory, {"probabilities": jax.nn.softmax(logits), **notes}

    def outputs_of(net: PyTree, view: Array, player: Array) -> Array:
        """[L, B, S, b, V] -> [L, B, S, b, A + 1]."""
        memory = jax.tree.map(
            lambda x: jnp.broadcast_to(seated(jnp.asarray(x), 0), (view.shape[1], seats, games, *x.shape[1:])), fresh
        )
        if players == 1:
            return only(net).unroll(view, memory)
        chosen = jax.tree.map(lambda x: x[player], net)
        unroll = lambda net, x, memory: net.unroll(x, memory)  # noqa: E731
        return jax.vmap(jax.vmap(unroll, (0, 1, 0), 1), (0, 1, 0), 1)(chosen, view, memory)

    def loss(net: PyTree, batch: Batch) -> tuple[Array, dict[str, Array]]:
        outputs = outputs_of(net, batch.view, batch.player)
        logits, value = masked(outputs[..., :-1], batch.available), outputs[..., -1]
        log_ratio = log_prob(logits, batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        surrogate = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)
        near = batch.value + jnp.clip(value - batch.value, -config.clip, config.clip)
        error = jnp.maximum(jnp.square(value - batch.target), jnp.square(near - batch.target))
        over = lambda x: x.mean((0, 3))  # noqa: E731  # [B, S], means over steps and inner games
        weight = weights(config.estimator, meta, share, batch.naive, batch.player)
        alike = weights("batch-unaware", meta, share, batch.naive, batch.player)
        surprise = (alike * over(entropy(logits))).sum() / players
        policy, errors = -(weight * over(surrogate)).sum(), (alike * over(error)).sum()
        total = policy + config.value_coefficient * errors - config.entropy_coefficient * players * surprise
        metrics = {
            "policy_loss": policy / players,
            "critic_loss": errors / players,
            "entropy": surprise,
            "kl": -(alike * over(log_ratio)).sum() / players,
            "clipped": (alike * over((jnp.abs(ratio - 1) > config.clip).astype(jnp.float32))).sum() / players,
        }
        return total, metrics

    def sizes(net: PyTree, batch: Batch, reward: Array) -> dict[str, Array]:
        """Norms of the policy gradient's two parts, against learners (figure 12)."""
        weight = weights(config.estimator, meta, share, batch.naive, batch.player) * batch.naive[:, None]

        def gradient(advantage: Array) -> Array:
            def climbed(net: PyTree) -> Array:
                logits = masked(outputs_of(net, batch.view, batch.player)[..., :-1], batch.available)
                return (weight * (advantage * log_prob(logits, batch.action)).mean((0, 3))).sum()

            return optax.tree.norm(jax.grad(climbed)(net))

        own, later = map(gradient, parts(config.estimator, reward, batch.value, ends))
        return {"gradient_own": own, "gradient_later": later, "gradient_balance": later / jnp.maximum(own, 1e-12)}

    def init(key: Key) -> State:
        net = stacked(new, key, players)
        return State(net, adam.init(net))  # pyright: ignore[reportArgumentType]

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        first = steps.observation.state[0]  # [B, .]
        naive, player = first[:, 0] > 0, first[:, 1 : 1 + seats].astype(jnp.int32)
        reward, value = config.reward_factor * seated(steps.reward, 2), seated(steps.notes["value"], 2)
        advantage, target = credit(
            config.estimator, reward, value, naive, ends, config.gamma, config.lambda_, config.lambda_target
        )
        if config.normalise:
            learnt = jnp.stack([jnp.ones_like(naive), ~naive], -1)[:, :seats]
            chose = seated(steps.observation.available, 2).sum(-1) > 1
            advantage = standardised_by_kind(advantage, naive, learnt, chose)
        rows = Batch(
            seated(steps.observation.view.astype(jnp.float32), 2),
            seated(steps.observation.available, 2),
            seated(steps.action, 2),
            seated(steps.notes["log_prob"], 2),
            value,
            advantage,
            target,
            naive,
            player,
        )
        metrics = sizes(state.net, rows, reward) if config.measure else {}
        if config.exact:
            table = state.net.rows  # [K, 5, A + 1]
            metrics |= exact_worth(env.game, table[..., 0] - table[..., 1])  # pyright: ignore[reportAttributeAccessIssue]

        def step(carry: tuple[PyTree, PyTree], chosen: Array) -> tuple[tuple[PyTree, PyTree], dict[str, Array]]:
            net, opt_state = carry
            batch = jax.tree.map(lambda x, axis: jnp.take(x, chosen, axis, mode="clip"), rows, PLACES)
            grads, told = jax.grad(loss, has_aux=True)(net, batch)
            return take_step(adam, net, opt_state, grads), {**told, "gradient_norm": optax.tree.norm(grads)}

        count = naive.size
        minibatches = divisor(count, config.minibatches)
        order = jax.vmap(partial(jax.random.permutation, x=count))(jax.random.split(key, config.epochs))
        order = order.reshape(config.epochs * minibatches, -1)
        (net, opt_state), told = lax.scan(step, (state.net, state.opt_state), order)
        return State(net, opt_state), {**jax.tree.map(jnp.mean, told), **metrics}

    return Algorithm(init, act, update, fresh, whole_episodes=True)
