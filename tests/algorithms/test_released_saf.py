"""SAF's preset `released` against what the authors' code computed in its first pass over a recorded rollout.

It compares encodings, scores of policies, log-probabilities, entropies, returns and losses; docs/algorithms/saf.md
lists what is not compared. tests/golden/README.md describes the arrays.
"""

from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from comity.algorithms.ppo import saf
from comity.algorithms.ppo import saf_networks as networks
from comity.learning import entropy, lambda_returns, log_prob, masked, surrogate_loss, value_loss
from comity.networks import MLP, Linear
from tests.algorithms.released_facts import KEY, below, facts, linear, stack

FACTS = facts("released_saf.npz")
INIT, PASS = below(FACTS, "init"), below(FACTS, "epoch1")
CONFIG = saf.Config(**saf.PRESETS["released"])


def close(found, wanted, tolerance):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def layers(activation, *parts: Linear) -> MLP:
    return eqx.tree_at(lambda net: net.layers, MLP(KEY, 1, (1,) * (len(parts) - 1), 1, activation), parts)


@cache
def params() -> networks.Params:
    """Those that policies read. Kernels on a 3 x 3 window are dense; the projections of attention are put into query
    and keys."""
    flat = {f"{name}.weight": INIT[f"conv.{name}.weight"].reshape(n, -1) for name, n in (("conv1", 32), ("conv2", 64))}
    flat |= {f"{name}.bias": INIT[f"conv.{name}.bias"] for name in ("conv1", "conv2")}
    dense = linear(flat, "conv1"), linear(flat, "conv2"), linear(INIT, "conv.linear1"), linear(INIT, "conv.linear2")
    weight, bias = INIT["SAF.policy_attn.in_proj_weight"].T, INIT["SAF.policy_attn.in_proj_bias"]
    first, second, last = (linear(INIT, f"SAF.policy_query_projector.layers.{k}") for k in (0, 2, 4))
    parts = lambda net: (net.weight, net.bias)  # noqa: E731
    last = eqx.tree_at(parts, last, (last.weight @ weight[:, :64], last.bias @ weight[:, :64] + bias[:64]))
    pool = [layers("tanh", *(linear(INIT, f"actor.{p}.layers.{k}") for k in (0, 2, 4))) for p in range(4)]
    fields: dict[str, Any] = dict.fromkeys(networks.Params._fields)
    fields["encoder"] = layers("relu", *dense)
    fields["query"] = layers("tanh", first, second, last)
    fields["keys"] = jnp.asarray(INIT["SAF.policy_keys"][:, 0] @ weight[:, 64:128] + bias[64:128])
    fields["pool"] = stack(*pool)
    return networks.Params(**fields)


def row(name: str) -> jax.Array:
    """A recorded array of the rollout in the order of the pass, [1, 48, N, ...]."""
    x = FACTS[f"buffer/{name}"] if f"buffer/{name}" in FACTS else FACTS[name]
    return jnp.asarray(x.reshape(48, *x.shape[2:])[PASS["order"]])[None]


def test_policies_and_their_choice_read_the_own_encoding():
    own = networks.encoded(params(), row("obs") * CONFIG.view_scale, CONFIG.encoding == "linear")
    scores = networks.scores_of(params(), own)
    close(jax.nn.softmax(scores)[0], PASS["policy_scores"], 1e-6)
    chosen = jax.nn.one_hot(PASS["policy_choice"], 4)[None]
    logits = masked(networks.policy_outputs(params(), own, chosen), row("action_masks") == 1)
    close(entropy(logits)[0], PASS["entropy"], 1e-5)
    action = row("actions").astype(int)
    found, played = log_prob(logits, action)[0], PASS["logprob"] > -1e6  # others were not available: probability 0
    close(found[played], PASS["logprob"][played], 1e-5)
    assert (~played).any()
    assert (jnp.exp(found)[~played] == 0).all()


def test_noise_is_added_to_softmaxed_scores():
    """However far scores are apart, noise of 2 decides between probabilities, which are at most 1."""
    own = networks.encoded(params(), row("obs") / 255, True)
    sharp = params()._replace(keys=1000 * params().keys)
    scores = networks.scores_of(sharp, own)
    assert (scores.max(-1) - scores.min(-1) > 3).all()
    noise = 2 * jax.nn.one_hot(scores.argmin(-1), 4)
    np.testing.assert_array_equal(networks.choose(sharp, own, noise, True).argmax(-1), scores.argmin(-1))
    assert not (networks.choose(sharp, own, noise).argmax(-1) == scores.argmin(-1)).any()


def test_returns_and_losses():
    """Advantages are normalised with the divisor n - 1, steps after the end included; the value's weight is 0.25."""
    rewards, ended = jnp.asarray(FACTS["buffer/rewards"]), jnp.zeros((12, 4), bool).at[-1].set(True)
    returns = lambda_returns(rewards, jnp.zeros_like(rewards), ended, ended, CONFIG.gamma, CONFIG.lambda_)
    close(returns, FACTS["returns"], 1e-6)
    target, old, valid = row("returns"), row("values"), jnp.ones((1, 48), bool)
    away = target - old
    advantage = (away - away.mean()) / (away.std(ddof=1) + 1e-8)
    action = jnp.zeros((1, 48, 2), int)
    log_probs = jnp.maximum(jnp.asarray(PASS["logprob"]), -1e9)[None]
    logits = jnp.stack([log_probs, jnp.log1p(-jnp.exp(log_probs))], -1)
    losses = surrogate_loss(log_prob(logits, action), row("logprobs"), advantage, valid, CONFIG.clip)
    close(losses.mean(), PASS["policy_loss"], 1e-5)
    errors = value_loss(jnp.asarray(PASS["value"])[None], old, target, valid, CONFIG.value_clip, CONFIG.huber).mean()
    close(errors, PASS["value_loss"], 1e-6)
    total = losses.mean() + CONFIG.value_coefficient * errors + PASS["KL"]
    close(total - CONFIG.entropy_coefficient * PASS["entropy"].mean(), PASS["total_loss"], 1e-5)
    close(PASS["value"][:, 0], PASS["value"][:, 1], 0)  # agent 0's for both
