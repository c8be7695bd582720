"""COALA-PG: policy gradients for players whose opponents learn (Meulemans et al. 2025, arXiv 2410.18636).

A game with learners inside (`LearningOpponents`) plays b inner games at once against one naive learner, for M episodes
in a row. The learner learns from all b games after each episode. So an action in game k affects the rest of its own
episode in game k, and the later episodes of all games:

    grad = sum over k, t of E[ grad log pi(a_t^k | history) ( cur_t^k / b + mean over games j of fut_t^j ) ]

cur is the return of the rest of the own episode, and fut that of later episodes (`learning/shaping.py`). M-FOS and the
batch-unaware gradient differ only in this credit. Another player learns only between whole meta-episodes, so against
one the games are independent, and the batch-unaware gradient is right. PPO or A2C ascends the gradient.
docs/algorithms/coala.md derives it and lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.shaping.coala_credit import credit, learning_seats, parts, standardised_by_kind, weights
from comity.algorithms.shaping.coala_exact import exact_worth
from comity.algorithms.shaping.coala_players import Players, players_of
from comity.learning import divisor, optimizer, over_minibatches, picked, take_step
from comity.learning.actions import actions
from comity.learning.shaping import Estimator
from comity.networks import Convolutions
from comity.networks.sequence import Sequence
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of COALA-PG. Paper: its tables for the iterated prisoner's dilemma."""

    estimator: Estimator = "coala"  # credit of an action in each game, see docs/algorithms/coala.md; coala: unbiased
    core: Sequence = "gru"  # paper: hawk
    width: Positive[int] = 32  # width of every layer and of the memory
    climbs: Literal["ppo", "a2c"] = "ppo"  # a2c: one step on the plain gradient of all episodes
    epochs: Positive[int] = 4  # passes over a rollout (ppo)
    minibatches: Positive[int] = 2  # most minibatches of whole episodes per epoch (ppo)
    clip: Positive[float] = 0.2  # clip range of the ratio, and of the change of a value (ppo)
    optimizer: Literal["adam", "sgd"] = "adam"  # sgd: plain gradient steps
    learning_rate: Positive[float] = 3e-4  # learning rate of the optimizer
    epsilon: Positive[float] = 1e-5  # Adam's epsilon, added to the root
    gradient_clip: Positive[float] = 1.0  # largest gradient norm, of each player's network
    gamma: Fraction = 1.0  # discount per step; below 1 it reduces the credit for shaping, as lambda_ does
    lambda_: Fraction = 1.0  # lambda of the advantages
    lambda_target: Fraction = 1.0  # lambda of the critic's targets
    value_coefficient: NotNegative[float] = 0.5  # weight of the critic's loss
    entropy_coefficient: NotNegative[float] = 0.0  # weight of the policies' entropy
    normalise: bool = False  # normalise advantages to mean 0 for each kind of opponent, and deviation 1 over all
    reward_factor: Positive[float] = 0.05  # rewards are multiplied by it, for learning only
    convolutions: Convolutions = "small"  # the convolutions before the dense layers, if views are images
    measure: bool = False  # also measure both parts of the gradient, own episode and later ones, at twice the cost;
    # of advantages that are not normalised
    exact: bool = False  # also compute exact returns of tabular players, against each other and naive learners

    def __post_init__(self):
        check(self)


CLEANUP = {"core": "hawk", "normalise": True, "reward_factor": 0.1}
PRESETS = {
    "sound": {},
    "paper": {"core": "hawk"},
    "cleanup": {**CLEANUP, "learning_rate": 0.001},  # the paper's, on CleanUp-lite against naive learners only
    "cleanup-mixed": {
        **CLEANUP,
        "climbs": "a2c",
        "optimizer": "sgd",
        "learning_rate": 0.1,
    },  # the paper's, on CleanUp-lite in a mixed pool
    "tables": {"core": "table", "learning_rate": 0.02},  # tabular players of five rows, which shape within a minute
    "m-fos": {"estimator": "m-fos"},
    "batch-unaware": {"estimator": "batch-unaware"},
}


class State(NamedTuple):
    net: PyTree  # outputs A logits and a value; leaves [K, ...]
    opt_state: PyTree


class Batch(NamedTuple):
    """Episodes of B games with S seats and b inner games each. `PLACES` has the axis B of each field."""

    inputs: PyTree  # [L, B, S, b, ...] input of the networks
    available: Array  # [L, B, S, b, A]
    action: Array  # [L, B, S, b]
    log_prob: Array  # [L, B, S, b], by the policy that played
    value: Array  # [L, B, S, b], the critic's value in play, in reward units times `reward_factor`
    advantage: Array  # [L, B, S, b]
    target: Array  # [L, B, S, b], target of the critic
    naive: Array  # [B] bool, True if the opponent is a naive learner inside the game
    player: Array  # [B, S] int32, number of the player in each seat


PLACES: Any = Batch(*(1,) * 7, naive=0, player=0)  # pyright: ignore[reportArgumentType]  # the axis B of each field


def loss(config: Config, players: Players, acts: Any, net: PyTree, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """Returns (the loss of all players, PPO's or the plain policy gradient's; metrics)."""
    meta = players.meta
    outputs = players.unroll(net, batch.inputs, batch.player)
    policy, value = acts(outputs[..., :-1], batch.available), outputs[..., -1]
    log_ratio = policy.log_prob(batch.action) - batch.log_prob
    ratio, error = jnp.exp(log_ratio), jnp.square(value - batch.target)
    if config.climbs == "ppo":
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        surrogate = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)
        near = batch.value + jnp.clip(value - batch.value, -config.clip, config.clip)
        error = jnp.maximum(error, jnp.square(near - batch.target))
    else:
        surrogate = policy.log_prob(batch.action) * batch.advantage
    over = lambda x: x.mean((0, 3))  # noqa: E731  # [B, S], means over steps and inner games
    weight = weights(config.estimator, meta, batch.naive)
    alike = weights("batch-unaware", meta, batch.naive)
    entropy = (alike * over(policy.entropy())).sum() / meta.players
    policy_loss, errors = -(weight * over(surrogate)).sum(), (alike * over(error)).sum()
    total = policy_loss + config.value_coefficient * errors - config.entropy_coefficient * meta.players * entropy
    metrics = {
        "policy_loss": policy_loss / meta.players,
        "critic_loss": errors / meta.players,
        "entropy": entropy,
        "kl": -(alike * over(log_ratio)).sum() / meta.players,
        "clipped": (alike * over((jnp.abs(ratio - 1) > config.clip).astype(jnp.float32))).sum() / meta.players,
    }
    return total, metrics


def sizes(
    config: Config, players: Players, acts: Any, net: PyTree, batch: Batch, reward: Array, ends: Array
) -> dict[str, Array]:
    """Returns the norms of both parts of the policy gradient against naive learners (figure 12).

    With `normalise` they are those of the advantages before: a part has no mean and deviation of its own.
    """
    meta = players.meta
    weight = weights(config.estimator, meta, batch.naive) * batch.naive[:, None]

    def gradient(advantage: Array) -> Array:
        def climbed(net: PyTree) -> Array:
            policy = acts(players.unroll(net, batch.inputs, batch.player)[..., :-1], batch.available)
            return (weight * (advantage * policy.log_prob(batch.action)).mean((0, 3))).sum()

        return optax.tree.norm(jax.grad(climbed)(net))

    own, later = map(gradient, parts(config.estimator, reward, batch.value, ends, config.gamma, config.lambda_))
    return {"gradient_own": own, "gradient_later": later, "gradient_balance": later / jnp.maximum(own, 1e-12)}


def rows_of(config: Config, players: Players, steps: Transition, ends: Array) -> tuple[Batch, Array]:
    """Returns (the rollout by seats, rewards [L, B, S, b] times `reward_factor`)."""
    seated, first = partial(players.seated, axis=2), steps.observation.state[0]  # [B, .]
    seats = players.meta.seats
    naive, player = first[:, 0] > 0, first[:, 1 : 1 + seats].astype(jnp.int32)
    reward, value = config.reward_factor * seated(steps.reward), seated(steps.notes["value"])
    discounts = config.gamma, config.lambda_, config.lambda_target
    advantage, target = credit(config.estimator, reward, value, naive, ends, *discounts)
    if config.normalise:
        learnt = learning_seats(naive, seats)
        chose = seated(steps.observation.available).sum(-1) > 1
        advantage = standardised_by_kind(advantage, naive, learnt, chose)
    inputs = jax.tree.map(seated, players.team.reads(steps.observation.view))
    available, action, log_prob = map(seated, (steps.observation.available, steps.action, steps.notes["log_prob"]))
    return Batch(inputs, available, action, log_prob, value, advantage, target, naive, player), reward


def make(config: Config, env: Environment) -> Algorithm:
    players, acts = players_of(config, env), actions(env.spec.action)
    rule = optimizer(config.optimizer, config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    climb = players.team.optimizer(rule)
    ends = jnp.arange(1, env.spec.length + 1) % players.meta.length == 0  # [L]

    def init(key: Key) -> State:
        net = players.team.init(key)
        return State(net, climb.init(net))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = players.step(state.net, observation, memory)
        policy = acts(outputs[..., :-1], observation.available)
        action = policy.sample(key) if explore else policy.mode()
        return action, memory, {**policy.notes(), "log_prob": policy.log_prob(action), "value": outputs[..., -1]}

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        rows, reward = rows_of(config, players, steps, ends)
        metrics = sizes(config, players, acts, state.net, rows, reward, ends) if config.measure else {}
        if config.exact:
            table = state.net.rows  # [K, 5, A + 1]
            metrics |= exact_worth(env.game, table[..., 0] - table[..., 1])  # pyright: ignore[reportAttributeAccessIssue]

        def step(carry: tuple[PyTree, PyTree], chosen: Array | None):
            net, opt_state = carry
            batch = rows if chosen is None else picked(rows, PLACES, chosen)
            grads, of_loss = jax.grad(partial(loss, config, players, acts), has_aux=True)(net, batch)
            return take_step(climb, net, opt_state, grads), {**of_loss, "gradient_norm": optax.tree.norm(grads)}

        count = rows.naive.size
        epochs, most = (config.epochs, config.minibatches) if config.climbs == "ppo" else (1, 1)
        minibatches = divisor(count, most)
        carry, of_loss = over_minibatches(step, tuple(state), key, count, epochs, minibatches)
        return State(*carry), {**of_loss, **metrics}

    lends = lambda state: state.net  # noqa: E731
    return Algorithm(init, act, update, players.fresh, whole_episodes=True, lends=lends)
