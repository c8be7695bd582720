"""PPO: losses by hand, the first step against A2C, chunks against the whole, symmetries, and a game it must solve."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array

from comity import rollout
from comity.algorithms.ppo import ippo, mappo, ppo
from comity.algorithms.released.ppo import misread, unread
from comity.cli.setting_flags import parse
from comity.learning import Moments, cut, divisor, entropy, log_prob, masked, surrogate_loss, value_loss
from comity.networks import per_agent, teams
from comity.settings import floats, with_floats
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep, Transition
from tests.tiny.learning import trained

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
FAMILY = {"ippo": ippo, "mappo": mappo}
SMALL = {"encoder": (4,), "hidden": 4, "chunk": 3}


@dataclass(frozen=True)
class Noise:
    """Everything is drawn: views, states, masks, rewards, and ends of both kinds."""

    length: int = 6

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(5), action=Discrete(3), length=self.length, state=Vector(4), history=2)

    def observe(self, key):
        keys = jax.random.split(key, 3)
        available = jax.random.bernoulli(keys[2], 0.7, (2, 3)).at[:, 0].set(True)
        return Observation(jax.random.normal(keys[0], (2, 5)), jax.random.normal(keys[1], (4,)), available)

    def reset(self, key):
        return jnp.int32(0), self.observe(key)

    def step(self, key, state, action):
        key, key_end, key_reward = jax.random.split(key, 3)
        drawn, late = jax.random.uniform(key_end), state + 1 >= self.length
        reward = jax.random.normal(key_reward, (2,)) + action
        truncated = ((drawn > 0.8) | late) & (drawn >= 0.2)
        return state + 1, Timestep(self.observe(key), reward, drawn < 0.2, truncated, {})


class Question(NamedTuple):
    bit: Array  # [N] int32
    time: Array  # [] int32


@dataclass(frozen=True)
class Recall:
    """Each agent sees a bit, then must name it: 1 to both if both do. The third action is never available."""

    length: int = 2

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(3), action=Discrete(3), length=self.length, state=Vector(4))

    def observe(self, state):
        shown = jax.nn.one_hot(state.bit, 2) * (state.time == 0)
        view = jnp.concatenate([shown, jnp.full((2, 1), state.time == 1, float)], -1)
        everything = jnp.concatenate([2.0 * state.bit - 1, jax.nn.one_hot(state.time, 2)])
        return Observation(view, everything, jnp.ones((2, 3), bool).at[:, 2].set(False))

    def reset(self, key):
        state = Question(jax.random.bernoulli(key, shape=(2,)).astype(jnp.int32), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key, state, action):
        named = (action == state.bit).all() & (state.time == 1)
        after = state._replace(time=state.time + 1)
        return after, Timestep(self.observe(after), jnp.full(2, named, float), after.time >= 2, jnp.bool_(False), {})


ENV = Noise()


def config(name: str, **settings):
    return FAMILY[name].Config(**{**SMALL, "epochs": 1, "steps": 6, **settings})


def made(name: str, values=None, **settings):
    chosen = config(name, **settings)
    return FAMILY[name].make(with_floats(chosen, {**floats(chosen), **(values or {})}), ENV)


@cache
def initial(name: str):
    """A state in which returns have been seen, and every bias is something."""
    state = jax.jit(made(name).init)(KEY)
    moved = lambda net: jax.tree.map(lambda x: x + 0.1 * jax.random.normal(KEY, x.shape), net)  # noqa: E731
    returns = Moments(jnp.array([0.3, -0.2]), jnp.array([2.0, 3.0]), jnp.float32(0.8))
    return state._replace(actor=moved(state.actor), critic=moved(state.critic), returns=returns)


@cache
def played(name: str) -> Transition:
    """6 steps of 4 games, in which episodes end in both ways."""
    algorithm = made(name)

    @jax.jit
    def play(key, state):
        return rollout.collect(key, ENV, algorithm, state, rollout.start(key, ENV, algorithm.memory, 4))[1]

    steps = play(KEY, initial(name))
    assert steps.terminated[:-1].any()
    assert steps.truncated[:-1].any()
    return steps


@cache
def padded(name: str) -> Transition:
    """Whole episodes of 4 games, with padding."""
    algorithm, state = made(name), initial(name)

    @jax.jit
    def play(key):
        act = lambda key, memory, observation: algorithm.act(key, state, memory, observation)  # noqa: E731
        return rollout.collect_episodes(key, ENV, act, rollout.start(key, ENV, algorithm.memory, 4))

    steps = play(KEY)
    assert not steps.valid.all()
    return steps


@cache
def program(name: str, **settings):
    """update(floats, state, steps), compiled once for all tests."""
    return jax.jit(lambda values, state, steps: made(name, values, **settings).update(KEY, state, steps))


def update(name: str, state, steps, **values):
    return program(name)({**floats(config(name)), **values}, state, steps)


def close(a, b, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


# Losses --------------------------------------------------------------------------------------------------------------


def test_clipped_surrogate_by_hand():
    """Ratios 1.5, 0.5, 1.5, 0.5, 1.1 at advantages 2, 2, -1, -1, 3: only harmful moves count beyond the clip."""
    p, ratio = 0.4, np.array([1.5, 0.5, 1.5, 0.5, 1.1])
    advantage = jnp.array([2.0, 2.0, -1.0, -1.0, 3.0]).reshape(5, 1, 1)
    logits = jnp.log(jnp.stack([jnp.asarray(ratio * p), 1 - jnp.asarray(ratio * p)], -1)).reshape(5, 1, 1, 2)
    before = jnp.full((5, 1, 1), np.log(p))
    valid = jnp.ones((5, 1), bool)

    def loss(logits, valid):
        return surrogate_loss(log_prob(logits, jnp.zeros((5, 1, 1), int)), before, advantage, valid, 0.2)

    np.testing.assert_allclose(loss(logits, valid), [-(2.4 + 1.0 - 1.5 - 0.8 + 3.3) / 5], rtol=1e-5)
    np.testing.assert_allclose(loss(logits, valid.at[2:].set(False)), [-(2.4 + 1.0) / 2], rtol=1e-5)
    gradient = jax.grad(lambda logits: loss(logits, valid).sum())(logits)
    np.testing.assert_array_equal((np.abs(gradient) > 0).any((1, 2, 3)), [False, True, True, False, True])


def test_value_loss_by_hand():
    """Far from what it was and beyond its target counts in full; Huber's line begins at 1."""
    old, values = jnp.zeros((4, 1, 1)), jnp.array([0.1, 1.0, -1.0, 3.0]).reshape(4, 1, 1)
    targets, valid = jnp.array([0.5, 0.5, 0.5, 0.0]).reshape(4, 1, 1), jnp.ones((4, 1), bool)
    expected = [0.5 * 0.4**2, max(0.5 * 0.5**2, 0.5 * 0.3**2), max(1.5 - 0.5, 0.5 * 0.7**2), max(3 - 0.5, 0.5 * 0.2**2)]
    loss = value_loss(values, old, targets, valid, 0.2, 1.0)
    np.testing.assert_allclose(loss, [np.mean(expected)], rtol=1e-6)


def test_pieces():
    assert [divisor(150, 10), divisor(7, 10), divisor(11, 10), divisor(1, 10)] == [10, 7, 1, 1]
    x = jnp.arange(12).reshape(6, 2)  # number of step t in game b: 2 t + b
    np.testing.assert_array_equal(cut(x, 3), [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]])


# One update ----------------------------------------------------------------------------------------------------------


def critic_of(name, state, observation, memory):
    """V of each agent in reward units, network by network."""
    if name == "ippo":
        nets = [jax.tree.map(lambda x, n=n: x[n], state.critic) for n in range(2)]
        value = jnp.stack([nets[n](observation.view[..., n, :], memory[..., n, :])[0][..., 0] for n in range(2)], -1)
    else:
        value = jax.tree.map(lambda x: x[0], state.critic)(observation.state, memory[..., 0, :])[0]
    mean, square = (np.asarray(x) / 0.8 for x in state.returns[:2])
    return value * np.sqrt(square - mean**2) + mean


def generalised(steps, value, following, gamma=0.99, lambda_=0.95):
    """Advantages as their definition has them: discounted sums of one-step errors, to the end of the episode."""
    terminated, ended = np.asarray(steps.terminated), np.asarray(steps.ended)
    error = np.asarray(steps.reward + gamma * np.where(terminated[..., None], 0, following) - value)
    result = np.zeros_like(error)
    for t in range(len(error)):
        for b in range(error.shape[1]):
            for k in range(t, len(error)):
                result[t, b] += (gamma * lambda_) ** (k - t) * error[k, b]
                if ended[k, b]:
                    break
    return result


@pytest.mark.parametrize("name", FAMILY)
def test_first_step_is_a2c(name):
    """One epoch, one minibatch: the plain policy gradient, cut where the second piece begins."""
    state, steps = initial(name), played(name)
    values = {"learning_rate": 1e3, "critic_learning_rate": 1e3, "epsilon": 1e3, "actor_clip": 1e9, "critic_clip": 1e9}
    values["value_decay"] = 0.9
    # With so large an epsilon, Adam's first step is the gradient itself.
    after, metrics = update(name, state, steps, **values)
    following = critic_of(name, state, steps.next_observation, steps.next_memory[1])
    value = critic_of(name, state, steps.observation, steps.memory[1])
    np.testing.assert_allclose(value, steps.notes["value"], atol=1e-5)
    advantage = generalised(steps, value, following)
    returns = advantage + value
    normal = (advantage - advantage.mean((0, 1))) / advantage.std((0, 1))
    mean, square = (
        0.9 * np.asarray(old) + 0.1 * x.mean((0, 1))
        for old, x in zip(state.returns[:2], (returns, returns**2), strict=True)
    )
    weight = 0.9 * 0.8 + 0.1
    deviation = np.sqrt(square / weight - (mean / weight) ** 2)
    target = (returns - mean / weight) / deviation
    restart = rollout.starts(steps)

    def unrolled(net, x, memory):
        return jnp.concatenate([net.unroll(x[t : t + 3], memory[t], restart[t : t + 3]) for t in (0, 3)])

    @jax.jit
    def loss(actor, critic):
        total, outputs = 0.0, []
        for n in range(2):
            net = jax.tree.map(lambda x, n=n: x[n], actor)
            logits = unrolled(net, steps.observation.view[:, :, n], steps.memory[0][:, :, n])
            logits = masked(logits, steps.observation.available[:, :, n])
            total -= (normal[..., n] * log_prob(logits, steps.action[..., n]) + 0.01 * entropy(logits)).mean()
            if name == "ippo":
                net, x = jax.tree.map(lambda x, n=n: x[n], critic), steps.observation.view[:, :, n]
                outputs.append(unrolled(net, x, steps.memory[1][:, :, n])[..., 0])
        if name == "mappo":
            net = jax.tree.map(lambda x: x[0], critic)
            value = unrolled(net, steps.observation.state, steps.memory[1][:, :, 0])
        else:
            value = jnp.stack(outputs, -1)
        error = 0.5 * jnp.square(value - target)
        return total + (error.mean((0, 1)).sum() if name == "ippo" else error.mean())

    by_hand = jax.jit(jax.grad(loss, (0, 1)))(state.actor, state.critic)
    taken = jax.tree.map(lambda old, new: old - new, (state.actor, state.critic), (after.actor, after.critic))
    close(taken, jax.tree.map(lambda g: g / (1 + jnp.abs(g) / 1e3), by_hand), 2e-4)
    np.testing.assert_allclose(metrics["gradient_norm"], optax.tree.norm(by_hand[0]), rtol=1e-3)
    close((after.returns.mean, after.returns.square, after.returns.weight), (mean, square, weight))


@pytest.mark.parametrize("name", FAMILY)
def test_pieces_begun_from_stored_memory_repeat_the_play(name):
    """In the first epoch every ratio is 1 and every value as it was, though episodes begin inside of pieces."""
    state, steps = initial(name), played(name)
    _, metrics = update(name, state, steps, clip=1e-4)
    assert metrics["clipped"] == 0
    assert abs(metrics["kl"]) < 1e-6
    off = steps._replace(memory=jax.tree.map(lambda m: m.at[3].set(m[3] + 0.5), steps.memory))
    _, metrics = update(name, state, off, clip=1e-4)
    assert metrics["clipped"] > 0.1  # the second piece begins from there


def test_unrolled_pieces_are_the_whole():
    state, steps = initial("ippo"), played("ippo")
    restart = rollout.starts(steps)
    net = jax.tree.map(lambda x: x[0], state.actor)
    view, memory = steps.observation.view[:, :, 0], steps.memory[0][:, :, 0]

    @jax.jit
    def both(net):
        whole = net.unroll(view, memory[0], restart)
        first = memory[::3].reshape(-1, 4)
        return cut(whole, 3), net.unroll(cut(view, 3), first, cut(restart, 3))

    close(*both(net))


@pytest.mark.parametrize("name", FAMILY)
def test_padding_teaches_nobody(name):
    state, steps = initial(name), padded(name)
    garbled = lambda x, y: jnp.where(steps.valid.reshape(6, 4, *(1,) * (x.ndim - 2)), x, y)  # noqa: E731
    garbage = steps._replace(
        observation=steps.observation._replace(
            view=garbled(steps.observation.view, 7.0), state=garbled(steps.observation.state, 7.0)
        ),
        action=garbled(steps.action, 0),
        notes={note: garbled(x, 0.3) for note, x in steps.notes.items()},
    )
    plain, other = (update(name, state, s)[0] for s in (steps, garbage))
    close((plain.actor, plain.critic, plain.returns), (other.actor, other.critic, other.returns))
    assert not np.allclose(plain.actor.head.weight, state.actor.head.weight, atol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_renaming_agents_renames_results(name):
    state, steps = initial(name), played(name)
    flip = lambda tree, axis: jax.tree.map(lambda x: jnp.flip(x, axis), tree)  # noqa: E731
    per_step = lambda o: Observation(flip(o.view, 2), o.state, flip(o.available, 2))  # noqa: E731

    def renamed(networks):
        actor, critic, returns = networks
        outputs = lambda net: net.head  # noqa: E731
        # Separate critics change places; of one critic its outputs do.
        critic = flip(critic, 0) if name == "ippo" else eqx.tree_at(outputs, critic, flip(critic.head, -1))
        return flip(actor, 0), critic, returns._replace(mean=flip(returns.mean, 0), square=flip(returns.square, 0))

    networks = lambda state: (state.actor, state.critic, state.returns)  # noqa: E731
    actor, critic, returns = renamed(networks(state))
    swapped_steps = steps._replace(
        observation=per_step(steps.observation),
        next_observation=per_step(steps.next_observation),
        **{field: flip(getattr(steps, field), 2) for field in ("action", "reward", "memory", "next_memory", "notes")},
    )
    after, metrics = update(name, state, steps)
    swapped, swapped_metrics = update(name, state._replace(actor=actor, critic=critic, returns=returns), swapped_steps)
    close(renamed(networks(after)), networks(swapped))
    close(metrics, swapped_metrics)


def test_agents_batched_are_agents_in_turn(monkeypatch):
    turn = update("ippo", initial("ippo"), played("ippo"))
    used = []

    def batched(f, in_axes, out_axes=0):
        used.append(f)
        return per_agent(f, in_axes, out_axes, batched=True)

    for module in (ppo, teams):
        monkeypatch.setattr(module, "per_agent", batched)
    close(turn, jax.jit(made("ippo").update)(KEY, initial("ippo"), played("ippo")))
    assert used


def test_shared_actors_and_one_value_for_all():
    """The paper's MAPPO: values of both agents are the same, its target the mean of both; one actor's mean loss."""
    algorithm = made("mappo", actors="shared", critic_reads="views", critic_gives="one", skip_forced=True)
    state = jax.jit(algorithm.init)(KEY)
    assert state.actor.head.weight.shape == (4, 3)
    assert state.critic.layers[0].weight.shape == (1, 2 * 3, 4)  # both views without their pasts
    assert state.critic.head.weight.shape == (1, 4, 1)
    steps = played("mappo")
    observation = jax.tree.map(lambda x: x[0], steps.observation)
    _, _, notes = jax.jit(algorithm.act)(KEY, state, jax.tree.map(lambda x: x[0], steps.memory), observation)
    np.testing.assert_array_equal(notes["value"][:, 0], notes["value"][:, 1])
    update = jax.jit(algorithm.update)
    after, metrics = update(KEY, state, steps)
    np.testing.assert_allclose(after.returns.mean[0], after.returns.mean[1])
    assert all(np.isfinite(x) for x in metrics.values())
    forced_actions_do_not_count_for_actors(update, state, steps)


def forced_actions_do_not_count_for_actors(update, state, steps):
    """Policies are uniform, and nothing is earned or expected, so that an advantage is minus the noted value."""
    nothing = lambda net: eqx.tree_at(lambda net: net.head, net, replace_fn=lambda x: jax.tree.map(jnp.zeros_like, x))  # noqa: E731
    state = state._replace(actor=nothing(state.actor), critic=nothing(state.critic))
    choices = np.asarray(steps.observation.available.sum(-1))
    free, shift = choices > 1, 0.1 * (np.arange(6) < 3)[:, None, None]
    assert len({*free.sum((0, 1)), 24}) == 3  # agents have different numbers of steps that count
    value = jax.random.normal(KEY, choices.shape)
    notes = {**steps.notes, "log_prob": -jnp.log(choices) - shift, "value": value}
    steps = steps._replace(reward=jnp.zeros_like(steps.reward), notes=notes)
    other = steps._replace(notes={**notes, "value": value + 3.0 * ~free})
    (one, told), (two, _) = (update(KEY, state, x) for x in (steps, other))
    close(one.actor, two.actor)
    assert float(jnp.abs(one.actor.head.weight).max()) > 1e-5
    assert float(told["entropy"]) == pytest.approx(np.log(choices[free]).mean(), rel=1e-5)
    advantage = -np.asarray(value)
    advantage = (advantage - advantage[free].mean()) / advantage[free].std()
    assert float(told["policy_loss"]) == pytest.approx(-(np.exp(shift) * advantage)[free].mean(), rel=1e-4)


@pytest.mark.parametrize("reads", ["view", "views"])
def test_what_actors_read(reads):
    """The view; or everyone's view without its past, then the own past alone. Never the state."""
    algorithm = made("mappo", actor_reads=reads)
    state, steps = jax.jit(algorithm.init)(KEY), played("mappo")
    assert state.actor.layers[0].weight.shape == (2, 5 if reads == "view" else 2 * 3 + 2, 4)
    observation, memory = jax.tree.map(lambda x: x[0], (steps.observation, steps.memory))
    act = jax.jit(lambda o: algorithm.act(KEY, state, memory, o)[2])
    plain, probabilities = act(observation), lambda o: act(o)["probabilities"]
    other = act(observation._replace(state=observation.state + 3))
    close((plain["probabilities"], plain["log_prob"]), (other["probabilities"], other["log_prob"]), 0)
    assert not np.allclose(plain["value"], other["value"], atol=1e-4)

    def moved(agent, index):
        """How far agent 0's probabilities move with one number of an agent's view."""
        other = observation._replace(view=observation.view.at[:, agent, index].add(3.0))
        return np.abs(probabilities(other) - plain["probabilities"])[:, 0].max()

    assert (moved(1, 0) > 0) == (reads == "views")
    assert moved(1, -1) == 0
    assert moved(0, 0) > 0
    assert moved(0, -1) > 0


def test_misread_actions_land_in_other_games_and_are_legal():
    """Two agents, four games: what agent 0 meant for games 0..3 is read as games 0 and 1 of both agents."""
    meant = jnp.arange(8).reshape(2, 4).T  # [B, N]: agent n in game b meant 4 n + b
    np.testing.assert_array_equal(misread(meant), [[0, 1], [2, 3], [4, 5], [6, 7]])
    np.testing.assert_array_equal(unread(misread(meant)), meant)
    algorithm = made("mappo", misread_actions=True)
    state, steps = initial("mappo"), played("mappo")
    observation, memory = jax.tree.map(lambda x: x[0], (steps.observation, steps.memory))
    act = jax.jit(lambda key: algorithm.act(key, state, memory, observation))
    for key in jax.random.split(KEY, 8):
        action, _, _ = act(key)
        assert jnp.take_along_axis(observation.available, action[..., None], -1).all()


def test_minibatches_see_every_piece_once():
    """As long as nothing is learned, the mean over two halves is that over the whole."""
    state, steps = initial("ippo"), played("ippo")
    still = {"learning_rate": 1e-12, "critic_learning_rate": 1e-12, "value_decay": 1.0}
    _, halves = program("ippo", minibatches=2)({**floats(config("ippo")), **still}, state, steps)
    _, whole = update("ippo", state, steps, **still)
    names = ("policy_loss", "critic_loss", "entropy")
    close([halves[name] for name in names], [whole[name] for name in names])
    assert abs(halves["gradient_norm"] - whole["gradient_norm"]) > 1e-4


@pytest.mark.parametrize("name", FAMILY)
def test_one_game_of_one_step(name):
    one = jax.tree.map(lambda x: x[:1, :1], played(name))
    shapes = jax.eval_shape(made(name, minibatches=5).update, KEY, initial(name), one)[0]
    jax.tree.map(lambda x, y: x.shape == y.shape or pytest.fail("another shape"), shapes, initial(name))


@pytest.mark.parametrize("bonus", [0.3, -0.3])
def test_entropy_bonus_is_a_reward_of_either_sign(bonus):
    state, steps = initial("ippo"), played("ippo")
    p = steps.notes["probabilities"]
    paid = -bonus * (p * jnp.log(jnp.where(p > 0, p, 1))).sum(-1)
    close(
        update("ippo", state, steps, entropy_bonus=bonus),
        update("ippo", state, steps._replace(reward=steps.reward + paid)),
    )


def test_rates_fall_to_0_after_so_many_optimizer_steps():
    algorithm = made("ippo", rate_steps=2, epochs=1)
    update, states = jax.jit(algorithm.update), [jax.jit(algorithm.init)(KEY)]
    for _ in range(3):
        states.append(update(KEY, states[-1], played("ippo"))[0])
    for network in ("actor", "critic"):
        before, half, whole, after = (jax.tree.leaves(getattr(state, network))[0] for state in states)
        assert 0 < abs(whole - half).max() < 0.8 * abs(half - before).max()
        np.testing.assert_array_equal(after, whole)


# Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "preset"), [(name, preset) for name in FAMILY for preset in FAMILY[name].PRESETS])
def test_presets_construct(name, preset):
    chosen = FAMILY[name].Config(**FAMILY[name].PRESETS[preset])
    state = jax.eval_shape(FAMILY[name].make(chosen, ENV).init, KEY)
    critics = 2 if name == "ippo" else 1
    width = 128 if name == "ippo" and "released" in preset else 64
    shared = preset in ("fast", "images", "smac") or (name == "mappo" and preset in ("paper", "randomised"))
    together = name == "ippo" and preset == "fast"  # the value is one more output of the actor
    if together:
        assert state.critic is None
    else:
        assert state.critic.head.weight.shape[:2] == (critics, width)
    assert len(state.actor.layers) == (1 if preset in ("sound", "fast", "images", "smac") else 3)
    assert state.actor.head.weight.shape == ((64, 3 + together) if shared else (2, width, 3))


def test_layers_can_be_given_on_the_command_line():
    asked = parse(["--algorithm.encoder", "32", "64", "--algorithm.steps", "20"], "", algorithm=ippo.Config())
    assert asked["algorithm"] == ippo.Config(encoder=(32, 64), steps=20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": (8, 0)}, r"encoder \(8, 0\) has 0, which is below 1: give a whole number of 1 or more"),
        ({"lambda_": 1.5}, "lambda_ 1.5 is above 1: give a number from 0 to 1"),
        ({"epochs": 0}, "epochs 0 is below 1: give a whole number of 1 or more"),
        ({"critic_reads": "vue"}, "did you mean view"),
        ({"rollouts": "episodes", "steps": 6}, "whose rollouts are whole episodes: set it to 0"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message):
        ippo.Config(**settings)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mappo", {"padding_counts": True}, "need rollouts 'episodes'"),
        ("mappo", {"rows": "alternating"}, "one critic that gives one value"),
        ("mappo", {"order": "own"}, "a critic for each agent"),
        ("ippo", {"rows": "transposed", "core": "attention", "steps": 0}, "use 'pieces'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        made(name, **settings)


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.learn
@pytest.mark.parametrize("name", FAMILY)
def test_learns_to_recall(name):
    """Rollouts of 4 steps hold two episodes each, and a piece crosses their border."""
    env = Recall()
    chosen = config(
        name, hidden=8, encoder=(8,), steps=4, chunk=4, epochs=4, learning_rate=0.02, critic_learning_rate=0.02
    )
    algorithm = FAMILY[name].make(chosen, env)

    watch = lambda steps, _: (steps.action, steps.reward)  # noqa: E731
    action, reward = jax.device_get(trained(KEY, algorithm, env, 60, 32, watch)[1])
    assert (action < 2).all()
    assert reward[0].sum(0).mean() / 2 < 0.45  # two episodes in a rollout; at random a quarter is paid
    assert reward[-5:].sum(1).mean() / 2 > 0.95
