"""Presets `released` of MAPPO and IPPO against what the authors' code computed on recorded rollouts.

tests/golden/README.md describes the arrays. Each of these errors makes a test here fail: rows unrolled in their order,
advantages of MAPPO normalised for each agent, sums of losses where the code has means, moments of returns updated after
the loss, GELU in its tanh form (only in a test of its own: views divided by 255 are too small to show it).
"""

import math
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.ppo import ippo, mappo, ppo, ppo_batches
from comity.algorithms.released import ppo as released
from comity.learning import pieces
from comity.networks import ACTIVATIONS
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Transition
from tests.algorithms.released_facts import below, deep, facts, recorded_deep, stack

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
FACTS = facts("released_ppo.npz")
FAMILY = {"mappo": mappo, "ippo": ippo}
NETS = {"mappo": ("actor0", "actor1", "critic"), "ippo": ("actor0", "actor1", "critic0", "critic1")}
HEADS = {"a": "act.action_out.linear", "c": "fc3"}
ACTORS_KEPT = [0, 1, 2, 3, 10, 11, 20, 21]  # steps whose actors' memories are recorded: where pieces begin
CASES = [(name, kind) for name in FAMILY for kind in ("clean", "released")]


@dataclass(frozen=True)
class Recorded:
    """A game of which nothing is asked but its sizes."""

    length: int = 30

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(27), action=Discrete(6), length=self.length, state=Vector(1))


GAME: Any = Recorded()


def close(found, wanted, tolerance):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def buffer(name: str, kind: str) -> dict[str, np.ndarray]:
    """The recorded buffer, [T or T + 1, B, N, ...]."""
    if name == "mappo":
        arrays = below(FACTS, name, kind, "buffer")
        if kind == "clean":
            memory = arrays["rnn_states_critic"]
            arrays["rnn_states_critic"] = np.stack([memory, memory], -2)
        return arrays
    ours, theirs = (below(FACTS, name, kind, f"buffer{n}") for n in range(2))
    axis = {"clean": 2, "released": 1}[kind]
    return {k: np.stack([x, theirs[k]], 2 if k in ("masks", "returns") else axis) for k, x in ours.items()}


@cache
def rollout(name: str) -> Transition:
    """The buffer without the step after the end, as our rollout."""
    arrays = buffer(name, "clean")
    views, available, masks = (arrays[k] for k in ("obs", "available_actions", "masks"))
    actors = np.zeros((30, 5, 2, arrays["rnn_states"].shape[-1]), np.float32)
    actors[ACTORS_KEPT] = arrays["rnn_states"]
    critics = jnp.asarray(arrays["rnn_states_critic"])
    valid = jnp.asarray(masks[..., 0] == 1)
    seen = Observation(jnp.asarray(views), jnp.zeros((31, 5, 1)), jnp.asarray(available == 1))
    notes = {
        "probabilities": jnp.full((30, 5, 2, 6), 1 / 6),
        "entropy": jnp.full((30, 5, 2), math.log(6)),
        "log_prob": jnp.asarray(arrays["action_log_probs"]),
        "value": jnp.asarray(arrays["value_preds"][:30] * np.float32(0.1)),  # what it is worth at the first deviation
    }
    return Transition(
        observation=jax.tree.map(lambda x: x[:-1], seen),
        memory=(jnp.asarray(actors), critics[:-1]),
        action=jnp.asarray(arrays["actions"], jnp.int32),
        reward=jnp.asarray(arrays["rewards"]),
        next_observation=jax.tree.map(lambda x: x[1:], seen),
        next_memory=(jnp.asarray(actors), critics[1:]),
        terminated=valid[:-1] & ~valid[1:],
        truncated=jnp.zeros((30, 5), bool),
        valid=valid[:-1],
        notes=notes,
        info={},
    )


def steps_of(name: str, kind: str) -> Transition:
    """The buffer; "released": with the recorded step after the end."""
    if kind == "clean":
        return rollout(name)
    over = buffer(name, kind)
    critics = jnp.asarray(over["rnn_states_critic"])
    critics = jnp.stack([critics, critics], 1) if name == "mappo" else critics
    seen = Observation(jnp.asarray(over["obs"]), jnp.zeros((5, 1)), jnp.asarray(over["available_actions"] == 1))
    notes = {
        "probabilities": jnp.full((5, 2, 6), 1 / 6),
        "entropy": jnp.full((5, 2), math.log(6)),
        "log_prob": jnp.asarray(over["action_log_probs"]),
        "value": jnp.asarray(over["value_preds"] * np.float32(0.1)),
    }
    memory = jnp.asarray(over["rnn_states"]), critics
    return released.with_post_terminal(rollout(name), seen, memory, jnp.asarray(over["actions"], jnp.int32), notes)


def config(name: str, **settings):
    chosen = {**FAMILY[name].PRESETS["released"], "post_terminal": False, **settings}
    return FAMILY[name].Config(**chosen)


@cache
def begin(name: str) -> ppo.State:
    """The recorded parameters, optimizers fresh."""
    activation = config(name).activation
    init = below(FACTS, name, "init")
    nets = {net: deep(init, net, HEADS[net[0]], activation) for net in NETS[name]}
    actor = stack(nets["actor0"], nets["actor1"])
    critic = stack(*(net for label, net in nets.items() if label.startswith("critic")))
    fresh = FAMILY[name].make(config(name), GAME).init
    shapes = jax.eval_shape(fresh, KEY)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return zeros._replace(actor=actor, critic=critic)


def order_of(name: str, kind: str) -> jax.Array:
    """Pieces of each of the 75 optimizer steps, [75, 3] or [75, N, 3]. Recorded numbers count games first, as MAPPO's
    rows here; those of IPPO here count time first."""
    drawn = FACTS[f"{name}/{kind}/permutations"].astype(np.int32)
    if name == "mappo":
        return jnp.asarray(drawn.reshape(75, 3))
    drawn = drawn % 3 * 5 + drawn // 3
    return jnp.asarray(drawn.reshape(15, 2, 5, 3).swapaxes(1, 2).reshape(75, 2, 3))


@cache
def program(name: str):
    """update(state, rows, order): all that an update does once the rollout is in pieces, compiled once."""

    def update(state, rows, order):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "orders", lambda *a, **b: order)
            patch.setattr(ppo, "rows_of", lambda *a, **b: rows)
            return FAMILY[name].make(config(name), GAME).update(KEY, state, rollout(name))

    return jax.jit(update)


@cache
def cut_up(name: str, kind: str) -> tuple[ppo_batches.Batch, jax.Array]:
    """(pieces of the rollout, returns [T, B, N])."""
    chosen, state, steps = config(name), begin(name), steps_of(name, kind)
    reads = partial(ppo.all_views, GAME)
    critics = ppo.Critics(1 if name == "mappo" else 2, 1, reads, Vector(54))
    teams = ppo.teams_of(chosen, GAME, critics)
    found = ppo_batches.targets(chosen, GAME, teams, state, steps)
    return ppo_batches.rows_of(chosen, GAME, teams, state, steps, found, state.returns, 10), found[0]


@cache
def updated(name: str, kind: str, count: int):
    """(state, metrics of each step) after `count` of the 75 optimizer steps of the first update."""
    state, metrics = begin(name), []
    for order in order_of(name, kind)[:count]:
        state, told = program(name)(state, cut_up(name, kind)[0], order[None])
        metrics.append(jax.device_get(told))
    return state, metrics


def first_minibatch(name: str, kind: str) -> ppo_batches.Batch:
    return ppo_batches.minibatch(config(name), cut_up(name, kind)[0], order_of(name, kind)[0])


def as_recorded(name: str, x) -> np.ndarray:
    """[c, R, N, ...] as recorded: [c R, N, ...] of MAPPO, [N, c R, ...] of IPPO."""
    rows = np.asarray(x).reshape(-1, *x.shape[2:])
    return rows if name == "mappo" else np.moveaxis(rows, 1, 0)


def check_parameters(name: str, state: ppo.State, wanted: dict[str, np.ndarray], tolerance: float) -> None:
    """Of arrays of more than 2,000 numbers every eleventh is recorded."""
    found = {}
    for label in NETS[name]:
        nets, number = (state.actor if label[0] == "a" else state.critic), int(label[-1]) if label[-1] != "c" else 0
        found |= recorded_deep(jax.tree.map(lambda x, n=number: x[n], nets), label, HEADS[label[0]])
    assert len(found) == 14 * len(NETS[name])
    for label, x in found.items():
        flat = x.reshape(-1)[:: 11 if x.size > 2000 else 1]
        np.testing.assert_allclose(flat, wanted[label].reshape(-1), rtol=0, atol=tolerance, err_msg=label)


def check_moments(name: str, moments, wanted: dict[str, np.ndarray]) -> None:
    labels = ("running_mean", "running_mean_sq") if name == "mappo" else ("mean", "mean_sq")
    for part, label in zip((moments.mean, moments.square), labels, strict=True):
        each = [wanted[f"value_norm{0 if name == 'mappo' else n}.{label}"][0] for n in range(2)]
        np.testing.assert_allclose(part, each, rtol=1e-5)


# Play ----------------------------------------------------------------------------------------------------------------


@cache
def act(name: str):
    return jax.jit(FAMILY[name].make(config(name), GAME).act)


@pytest.mark.parametrize("name", FAMILY)
def test_play_stores_what_the_code_stores(name):
    """Memories, values, log-probabilities at step 2. MAPPO: what (agent, game) meant is stored as (game, agent)."""
    steps = rollout(name)
    observation, memory = jax.tree.map(lambda x: x[2], (steps.observation, steps.memory))
    action, after, notes = act(name)(KEY, begin(name), memory, observation)
    close(after[0], steps.memory[0][3], 1e-8)
    close(after[1], steps.memory[1][3], 1e-8)
    close(notes["value"], steps.notes["value"][2], 1e-7)
    meant = FACTS["mappo/clean/meant_actions"][2].T if name == "mappo" else steps.action[2]  # [B, N]
    stored = released.misread if name == "mappo" else lambda x: x
    np.testing.assert_array_equal(stored(meant), steps.action[2])
    log_probs = jnp.log(jnp.take_along_axis(notes["probabilities"], jnp.asarray(meant)[..., None].astype(int), -1))
    close(stored(log_probs[..., 0]), steps.notes["log_prob"][2], 1e-6)
    assert jnp.take_along_axis(observation.available, action[..., None], -1).all()


@pytest.mark.parametrize("name", FAMILY)
def test_the_step_after_the_end_overwrites_the_first(name):
    """Its values and memories come from the last views and no memory, and the marks of the buffer are as recorded."""
    over, steps = buffer(name, "released"), rollout(name)
    last = jax.tree.map(lambda x: x[-1], steps.next_observation)
    nothing = jax.tree.map(lambda x: jnp.zeros_like(x[0]), steps.memory)
    _, after, notes = act(name)(KEY, begin(name), nothing, last)
    close(notes["value"], over["value_preds"] * 0.1, 1e-7)
    close(after[0], over["rnn_states"], 1e-8)
    overwritten = steps_of(name, "released")
    np.testing.assert_array_equal(overwritten.valid, over["masks"][:-1, :, 0] == 1)
    assert (np.asarray(overwritten.reward) == buffer(name, "clean")["rewards"]).all()


def test_an_update_makes_the_step_after_the_end_itself():
    """As if the rollout had come with it."""
    tiny = {"hidden": 4, "encoder": (4,), "epochs": 1, "minibatches": 1}
    algorithm = mappo.make(config("mappo", **tiny, post_terminal=True), GAME)
    plain = mappo.make(config("mappo", **tiny), GAME)
    state, steps = jax.jit(plain.init)(KEY), rollout("mappo")
    narrow = lambda memory: jax.tree.map(lambda x: x[..., :4], memory)  # noqa: E731
    steps = steps._replace(memory=narrow(steps.memory), next_memory=narrow(steps.next_memory))
    last = jax.tree.map(lambda x: x[-1], steps.next_observation)
    action, memory, notes = plain.act(jax.random.fold_in(KEY, 1), state, (jnp.zeros((5, 2, 4)),) * 2, last)
    update = jax.jit(plain.update)
    found = jax.jit(algorithm.update)(KEY, state, steps)
    wanted = update(KEY, state, released.with_post_terminal(steps, last, memory, action, notes))
    jax.tree.map(partial(close, tolerance=1e-6), found, wanted)
    assert abs(found[1]["critic_loss"] - update(KEY, state, steps)[1]["critic_loss"]) > 1e-3


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_returns_advantages_ratios_values_and_losses_of_the_first_minibatch(name, kind):
    """Returns are recorded but for their last entry; the deviation before the first update is 0.1."""
    wanted = below(FACTS, name, kind, "first_step")
    close(cut_up(name, kind)[1], buffer(name, kind)["returns"][:30], 1e-6)
    batch = first_minibatch(name, kind)
    advantages = [wanted[f"minibatch{n}/advantages"] for n in (range(2) if name == "ippo" else ("",))]
    if name == "ippo":  # recorded (piece, time), which is unrolled as (time, piece) in the same order
        close(as_recorded(name, batch.advantage)[..., None], np.stack(advantages), 1e-5)
    else:
        close(as_recorded(name, batch.advantage), advantages[0][..., 0], 1e-5)
    _, (metrics,) = updated(name, kind, 1)
    for label, recorded in {"policy_loss": "policy_loss", "critic_loss": "value_loss", "entropy": "entropy"}.items():
        close(metrics[label], wanted[recorded].mean(), 2e-6)
    norms = wanted["grad_norms_before_clip"][:2]  # of the actors
    np.testing.assert_allclose(metrics["gradient_norm"], np.sqrt(np.square(norms).sum()), rtol=1e-4)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_parameters_after_the_first_and_after_all_75_steps(name, kind):
    """To 1e-7 after the first step and 1e-6 after all; the actors of IPPO, where a gradient is nearly 0, to 3e-5.

    Steps move a parameter by 1e-5, and all of them together by up to 7e-4.
    """
    wanted = partial(below, FACTS, name, kind)
    first, _ = updated(name, kind, 1)
    last, metrics = updated(name, kind, 75)
    check_moments(name, first.returns, wanted("first_step"))
    check_moments(name, last.returns, wanted("after_train"))
    losses = [[m[k] for k in ("critic_loss", "policy_loss", "entropy")] for m in metrics]
    close(losses, wanted("steps")["value_policy_entropy_ratio"][:, :3], 2e-5)
    if (name, kind) != ("ippo", "released"):  # whose parameters are not recorded
        check_parameters(name, first, wanted("after_first"), 1e-7)
        check_parameters(name, last, wanted("after_train"), 1e-6 if name == "mappo" else 3e-5)


def test_gelu_is_exact():
    """The tanh form is up to 4.7e-4 off."""
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    exact = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x]
    close(ACTIVATIONS[config("mappo").activation](x), exact, 1e-6)


def check_beginning(arrays: dict[str, np.ndarray], gain: float) -> None:
    """Singular values of weights, biases, and the bounds of the critic's head."""
    for label, x in arrays.items():
        if "fc3" in label:
            assert 0 < np.abs(x).max() < 1 / np.sqrt(arrays["actor0.rnn.norm.weight"].size)
        elif x.ndim > 1:
            expected = 0.01 if "action_out" in label else 1.0 if ".rnn." in label else gain
            close(np.linalg.svd(x.reshape(len(x), -1), compute_uv=False), expected, 1e-5)
        else:
            np.testing.assert_array_equal(x, float("norm.weight" in label))


def test_networks_begin_as_recorded():
    """Of IPPO only the recorded ones are looked at: what draws them is the same."""
    for name in FAMILY:
        check_beginning(below(FACTS, name, "init"), config(name).gain)
    state = jax.jit(mappo.make(config("mappo"), GAME).init)(KEY)
    of = lambda nets, n: jax.tree.map(lambda x: x[n], nets)  # noqa: E731
    actor, critic = of(state.actor, 0), of(state.critic, 0)
    check_beginning(recorded_deep(actor, "actor0", HEADS["a"]) | recorded_deep(critic, "critic", HEADS["c"]), 1.0)
