"""Presets `released` of VDN, QMIX, QTRAN and MAVEN against what the authors' code computed on recorded batches
(tests/golden/README.md): targets, losses, parameters after one and after three updates.

Each of these errors was tried and made the updates fail: a loss that is the mean over agents, values read in the right
order (`parallel`), the tanh form of GELU, another `tau`, a target that moves one step late, ends that teach, empty
steps that are masked, or that keep their views (`early`), QTRAN's memories in the right order or its next actions
greedy. Targets in which nothing available is worth 1e-10 fail `early`, and with a single such action
`test_value_decomposition.py::test_td_loss_by_hand`.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.values import maven, qmix, qtran, vdn
from comity.algorithms.values import value_decomposition as family
from comity.learning import replay
from comity.networks import MLP
from comity.settings import with_floats
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep, Transition
from tests.algorithms.released_facts import KEY, below, facts, gru, linear, recorded, recurrent

FACTS = facts("released_mixers.npz")
MODULES: dict[str, Any] = {"vdn": vdn, "qmix": qmix, "qtran": qtran, "maven": maven}
MIXERS = {  # our network -> recorded layers
    "vdn": {},
    "qmix": {
        "weights": ("hyper_w1.0",),
        "bias": ("hyper_b1",),
        "out_weights": ("hyper_w2.0",),
        "out_bias": ("hyper_b2.0", "hyper_b2.2"),
    },
    "qtran": {
        "encoder": ("action_encoding.0", "action_encoding.2"),
        "joint": ("Q.0", "Q.2", "Q.4"),
        "value": ("V.0", "V.2", "V.4"),
    },
    "maven": {
        "weights": ("hyper_w_1",),
        "bias": ("hyper_b_1",),
        "out_weights": ("hyper_w_final",),
        "out_bias": ("V.0", "V.2"),
    },
}
TARGETS: list[np.ndarray] = []  # [T, S B, N] of every update, as the learner made them


@dataclass(frozen=True)
class Sizes:
    """Of the recorded batches: 12 steps, two agents, 27 numbers seen. Never played."""

    spec = Spec(agents=2, view=Vector(27), action=Discrete(6), length=12, state=Vector(114))

    def reset(self, key):
        return (), Observation(jnp.zeros((2, 27)), jnp.zeros(114), jnp.ones((2, 6), bool))

    def step(self, key, state, action):
        return (), Timestep(self.reset(key)[1], jnp.zeros(2), jnp.bool_(False), jnp.bool_(False), {})


@pytest.fixture(autouse=True)
def everything_drawn(monkeypatch):
    """Updates learn from all that is stored, in the order in which it came; `TARGETS` holds their targets."""
    targets = family.td_targets

    def spied(*arguments):
        found = targets(*arguments)
        jax.debug.callback(lambda x: TARGETS.append(np.asarray(x)), found)
        return found

    def drawn(key, memories, count, block, replacement):
        assert (count, block) in ((4, 1), (6, 3))
        return jax.tree.map(lambda x: x[:count], memories.rows)

    for module in (family, qtran):
        monkeypatch.setattr(module, "td_targets", spied)
    monkeypatch.setattr(replay, "draw", drawn)


def close(found, wanted, tolerance):
    """Relative to numbers above 1."""
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


# Recorded layouts as ours, and back ----------------------------------------------------------------------------------


def layered(net: MLP, arrays, names) -> MLP:
    return eqx.tree_at(lambda net: net.layers, net, tuple(linear(arrays, name) for name in names))


def mixed(mixer, arrays, learner: str, prefix: str):
    for part, names in MIXERS[learner].items():
        net = layered(getattr(mixer, part), arrays, [f"{prefix}.{name}" for name in names])
        mixer = eqx.tree_at(lambda mixer, part=part: getattr(mixer, part), mixer, net)
    return mixer


def latent_net(net, arrays, prefix: str):
    """One matrix [A, H] for each of the four one-hot numbers, z first; and the bias."""
    weight = arrays[f"{prefix}.hyper_noise_fc1.weight"].reshape(6, 128, 4)
    parts = (
        linear(arrays, f"{prefix}.fc1"),
        gru(arrays, f"{prefix}.rnn"),
        weight[..., :2].transpose(1, 2, 0).reshape(128, 12),
        weight[..., 2:].transpose(2, 1, 0),
        arrays[f"{prefix}.hyper_noise_fc1.bias"].reshape(6, 128).T,
    )
    return eqx.tree_at(lambda net: (net.encoder, net.cell, net.head, net.names, net.shift), net, parts)


def policies_last(weight: np.ndarray) -> np.ndarray:
    """[in, out] of the discriminator, whose recorded inputs begin with the 12 probabilities."""
    return np.concatenate([weight[12:], weight[:12]])


def parameters(learner: str, params, prefix: str = ""):
    """The parameters that the learner started with, prefix "target_": of its target."""
    arrays = below(FACTS, "init") | below(FACTS, learner, "init")
    mixer = mixed(params.mixer, arrays, learner, f"{prefix}mixer")
    if learner != "maven":
        return params._replace(agents=recurrent(arrays, f"{prefix}agent"), mixer=mixer)
    told = layered(params.discriminator, arrays, ["discriminator.model.0", "discriminator.model.2"])
    told = eqx.tree_at(lambda net: net.layers[0].weight, told, policies_last(np.asarray(told.layers[0].weight)))
    return params._replace(agents=latent_net(params.agents, arrays, f"{prefix}agent"), mixer=mixer, discriminator=told)


def named(learner: str, params) -> dict[str, np.ndarray]:
    """Parameters by their recorded names, in the recorded layout."""
    dense = lambda layer, name: {f"{name}.weight": np.asarray(layer.weight).T, f"{name}.bias": np.asarray(layer.bias)}  # noqa: E731
    found = {}
    for part, names in MIXERS[learner].items():
        for layer, name in zip(getattr(params.mixer, part).layers, names, strict=True):
            found |= dense(layer, f"mixer.{name}")
    if learner != "maven":
        return found | recorded(params.agents, "agent")
    net, told = params.agents, params.discriminator
    first = np.asarray(told.layers[0].weight)
    head = np.asarray(net.head).reshape(128, 2, 6).transpose(2, 0, 1)
    weight = np.concatenate([head, np.asarray(net.names).transpose(2, 1, 0)], -1)
    alike = eqx.tree_at(lambda net: net.head, recurrent(below(FACTS, "init"), "agent"), net.encoder)  # fc2: not used
    alike = eqx.tree_at(lambda net: (net.encoder, net.cell), alike, (net.encoder, net.cell))
    agent = {name: x for name, x in recorded(alike, "agent").items() if "fc2" not in name}
    return {
        **found,
        **agent,
        **dense(told.layers[0], "discriminator.model.0"),
        **dense(told.layers[1], "discriminator.model.2"),
        "discriminator.model.0.weight": np.concatenate([first[-12:], first[:-12]]).T,
        "agent.hyper_noise_fc1.weight": weight.reshape(768, 4),
        "agent.hyper_noise_fc1.bias": np.asarray(net.shift).T.reshape(768),
    }


# Batches -------------------------------------------------------------------------------------------------------------


def transitions(obs, state, available, action, reward, done, latent: int = 0) -> Transition:
    """A rollout, leaves [T, B, ...]; observations [T + 1, B, ...], done [T, B] from the last step on."""
    valid = np.concatenate([np.ones_like(done[:1]), done[:-1] == 0])
    terminated = (done == 1) & valid
    observation = Observation(jnp.asarray(obs), jnp.asarray(state), jnp.asarray(available, bool))
    before, after = (jax.tree.map(lambda x, part=part: x[part], observation) for part in (slice(-1), slice(1, None)))
    memory: Any = maven.Memory(jnp.zeros((*reward.shape, 1)), jnp.full(reward.shape, latent + 1))
    action, reward, terminated, valid = map(jnp.asarray, (action, reward, terminated, valid))
    truncated = jnp.zeros_like(terminated)
    return Transition(before, memory, action, reward, after, memory, terminated, truncated, valid, {}, {})


def rollouts(kind: str) -> list[Transition]:
    """The batch's rollouts. What follows the last step, and the end of a game alone, is 1 and may not count."""
    batch = below(FACTS, "batch", kind)
    kept = []
    for obs, available, action, reward, done, filled in zip(
        *(batch[name] for name in ("obs", "available_actions", "actions", "rewards", "dones", "filled")), strict=True
    ):
        over = np.maximum.accumulate(done)
        empty = (over == 1) & (np.cumsum(over, 0) > 1) if filled.any() else np.zeros_like(done, bool)
        obs, available = (np.where(empty[..., None, None], 1, x) for x in (obs, available))
        obs, available = (np.concatenate([x, np.ones_like(x[:1])]).astype(x.dtype) for x in (obs, available))
        state = np.ones((*obs.shape[:2], 114), np.float32)
        kept.append(transitions(obs, state, available, action, reward.astype(np.float32), over))
    return kept


def latent_rollout() -> Transition:
    """MAVEN's batch: 13 observations, every game with the second latent."""
    batch = {name: x.swapaxes(0, 1) for name, x in below(FACTS, "maven", "batch").items() if name != "noise"}
    assert (below(FACTS, "maven", "batch")["noise"] == [0, 1]).all()
    reward, done = batch["reward"][:-1].astype(np.float32), batch["terminated"][:-1, :, 0]
    state = batch["state"].astype(np.float32)
    return transitions(batch["obs"], state, batch["avail_actions"], batch["actions"][:-1, ..., 0], reward, done, 1)


@cache
def learner_of(learner: str, episodes: int):
    """(state of `learner` as recorded, its update: (rate, state, steps) -> (state, metrics)), of so many episodes."""
    module, env = MODULES[learner], Sizes()
    config = module.Config(**module.PRESETS["released"])
    config = replace(config, capacity=2 * episodes, batch=episodes, warmup=episodes, updates=1)

    def update(rate, state, steps):
        floats = {"learning_rate": rate, "last_learning_rate": rate}
        return module.make(with_floats(config, floats), env).update(KEY, state, steps)

    shaped = jax.eval_shape(module.make(config, env).init, KEY)
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shaped)
    learned = state.learned if learner == "maven" else state
    params, target = (parameters(learner, learned.params, prefix) for prefix in ("", "target_"))
    if learner == "maven":
        target = target._replace(discriminator=params.discriminator)
        state = state._replace(learned=learned._replace(params=params, target_params=target))
    else:
        state = state._replace(params=params, target_params=target)
    return state, jax.jit(update)


def updated(learner: str, variant: str, rate: float, steps: list[Transition]):
    """Checks targets and losses of three updates on the same batch; gives the parameters after each."""
    state, update = learner_of(learner, sum(x.valid.shape[1] for x in steps))
    learned = state.learned if learner == "maven" else state
    memories = learned.replay
    for rollout in steps[:-1]:
        memories = replay.push(memories, replay.stored(Sizes(), rollout))
    after = []
    for number in (1, 2, 3):
        TARGETS.clear()
        state, metrics = update(rate, state_with(state, memories), steps[-1])
        jax.effects_barrier()
        found = below(FACTS, variant, f"update{number}")
        exact = number == 1 or rate < 0.01
        close(metrics["loss"], found["loss"], 1e-5 if exact else 1e-4)
        check_targets(TARGETS, found["target"], FACTS[f"{variant}/mask"], 1e-5 if exact else None)
        after.append((state.learned if learner == "maven" else state).params)
    return after


def state_with(state, memories):
    if isinstance(state, maven.State):
        return state._replace(learned=state.learned._replace(replay=memories))
    return state._replace(replay=memories)


def check_targets(targets: list[np.ndarray], wanted: np.ndarray, mask: np.ndarray, tolerance: float | None):
    """Where the recorded mask says that they count; wanted [S, T, B, N], or [B, T, N]."""
    assert len(targets) == 1
    found = targets[0].swapaxes(0, 1)  # [S B, T, N]
    if wanted.ndim == 4:
        found = found.reshape(wanted.shape[0], wanted.shape[2], -1, 2).swapaxes(1, 2)
    counts = np.broadcast_to(mask.reshape(*wanted.shape[:-1], 1) == 1, wanted.shape)
    if tolerance:
        close(found[:, : wanted.shape[1]][counts], wanted[counts], tolerance)


def check_parameters(learner: str, params, variant: str, when: str, tolerance: float):
    found, wanted = named(learner, params), below(FACTS, variant, when)
    assert set(found) == set(wanted)
    for name, x in wanted.items():
        mine = found[name].ravel()
        close(mine[:: max(1, mine.size // 150)], x, tolerance)


CASES = [(learner, kind) for learner in ("vdn", "qmix", "qtran") for kind in ("plain", "early", "parallel")]


@pytest.mark.parametrize(("learner", "kind"), CASES)
def test_released_updates(learner, kind):
    """At the rate 0.1 a first step moves weights by up to 1, so that later ones tell of losses only. One game per
    rollout, games that end early with empty steps learned from, three games whose values are read in another order."""
    variant = learner if kind == "plain" else f"{learner}_{kind}"
    after = updated(learner, variant, 0.1, rollouts(kind))
    check_parameters(learner, after[0], variant, "after1", 1e-3)


@pytest.mark.parametrize("learner", ["vdn", "qmix", "qtran"])
def test_released_updates_at_a_small_rate(learner):
    after = updated(learner, f"{learner}_small_rate", 1e-4, rollouts("plain"))
    check_parameters(learner, after[2], f"{learner}_small_rate", "after3", 1e-5)


def test_released_updates_of_maven():
    after = updated("maven", "maven", 5e-4, [latent_rollout()])
    check_parameters("maven", after[0], "maven", "after1", 1e-5)
    check_parameters("maven", after[2], "maven", "after3", 1e-5)


# What is no part of an update ----------------------------------------------------------------------------------------


def test_released_exploration_ends_sooner():
    """1 - t / 3e6, at 0.05 from 2.85e6 on; a line that reaches 0.05 at 3e6 is higher by t / 6e7 until then."""
    config = vdn.Config(**vdn.PRESETS["released"])
    for time, wanted in ((0, 1.0), (1_500_000, 0.5), (2_850_000, 0.05), (4_000_000, 0.05)):
        close(family.explore_rate(config, jnp.int32(time)), wanted, 1e-6)


def test_released_weights_are_drawn_as_recorded():
    """QMIX's hypernetworks orthogonal with biases 0, MAVEN's between -1/2 and 1/2, four numbers being read."""
    env, q, m = Sizes(), qmix.PRESETS["released"], maven.PRESETS["released"]
    mixer = jax.jit(lambda: qmix.new_mixer(KEY, qmix.Config(**q), 2, 54))()
    for net in (mixer.weights, mixer.bias, mixer.out_weights, mixer.out_bias):
        for layer in net.layers:
            close(np.linalg.svd(layer.weight)[1], 1.0, 1e-4)
            assert (layer.bias == 0).all()
    agents = jax.jit(maven.make(maven.Config(**m), env).init)(KEY).learned.params.agents
    for x in (agents.head, agents.names, agents.shift):
        assert 0.49 < jnp.abs(x).max() <= 0.5


def test_target_of_maven_is_first_copied_at_batch_100():
    """Counted from 0, as the 101st; the mixers' moves ahead of the first step of all, and of every 200th."""
    steps = latent_rollout()
    sizes: dict[str, Any] = {
        "updates": 1,
        "warmup": 4,
        "batch": 4,
        "capacity": 8,
        "hidden": 1,
        "target_period": 2,
        "tau": 0.25,
    }
    for moves, wanted in (("after", [2, 4]), ("late", [3]), ("before", [1, 3])):
        algorithm = vdn.make(vdn.Config(**sizes, target_moves=moves), Sizes())  # pyright: ignore[reportArgumentType]
        state = jax.jit(algorithm.init)(KEY)
        state = state._replace(target_params=jax.tree.map(lambda x: x + 1, state.target_params))
        update, moved = jax.jit(algorithm.update), []
        for step in (1, 2, 3, 4):
            before = state.target_params.agents.head.bias
            state, _ = update(KEY, state, steps)
            moved += [step] * bool((state.target_params.agents.head.bias != before).any())
        assert moved == wanted
    assert maven.PRESETS["released"]["target_moves"] == "late"
    assert maven.PRESETS["released"]["replacement"] is False
