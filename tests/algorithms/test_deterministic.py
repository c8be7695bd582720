"""MADDPG, DDPG, independent DDPG, SQDDPG: learning on bandits, relations between them, shares of a value."""

from dataclasses import dataclass, replace
from functools import cache, partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.off_policy import (
    alita_td3,
    ddpg,
    deterministic,
    deterministic_nets,
    iddpg,
    maddpg,
    sac,
    sqddpg,
    td3,
)
from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction
from comity.learning import in_a_circle, masked
from comity.learning.coalitions import all_orders, drawn_orders, present, shapley_values
from comity.learning.relaxed import Relaxed, relaxed, replaced
from comity.networks import JointNet
from comity.spec import Box, Spec, Vector
from comity.types import Observation, Timestep
from tests.tiny import learning

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": 16, "steps": 4, "every": 16, "batch": 32, "warmup": 64, "capacity": 2_048}


@dataclass(frozen=True)
class Bandit:
    """One step of continuous actions, two numbers of which the second exists for nobody; `pays` says what is earned."""

    pays: str = "target"  # target: agent i near 0.6 - i | together: the sum near 1 | additive: 3 a_0 - a_1 | nothing: 1
    agents: int = 2
    clock: bool = False  # the end is the clock's

    @property
    def spec(self):
        return Spec(agents=self.agents, view=Vector(3), action=Box(2), length=1, state=Vector(1))

    def reset(self, key):
        return (), self.observation()

    def step(self, key, state, action):
        a = action[:, 0]
        agents = jnp.arange(self.agents)
        team = {"together": -jnp.square(a.sum() - 1), "additive": 3 * a[0] - a[-1], "nothing": 1.0}.get(self.pays, 0.0)
        reward = -jnp.square(a - 0.6 + agents) if self.pays == "target" else jnp.full(self.agents, team)
        unseen = jnp.square(action[:, 1]).sum()  # 0, unless somebody uses what it has not
        over = jnp.bool_(not self.clock)
        return (), Timestep(self.observation(), reward, over, ~over, {"unseen": unseen})

    def observation(self):
        view = jnp.eye(self.agents, 3)
        return Observation(view, jnp.ones(1), jnp.tile(jnp.array([True, False]), (self.agents, 1)))


def trained(module: Any, env: Any, iterations: int, games: int = 16, key=KEY, **settings):
    """(algorithm, state, last steps) after so many iterations."""
    algorithm = module.make(module.Config(**{**TINY, **settings}), env)
    watch = lambda steps, metrics: (steps.reward.mean(), metrics, steps.info)  # noqa: E731
    return algorithm, *learning.trained(key, algorithm, env, iterations, games, watch)


def greedy(algorithm, state, env):
    return algorithm.act(KEY, state, (), env.observation(), False)[0]


@pytest.mark.learn
@pytest.mark.parametrize("module", [iddpg])
def test_every_agent_finds_its_own_best_action(module: ModuleType):
    env = Bandit("target")
    algorithm, state, told = trained(module, env, 400)
    np.testing.assert_allclose(greedy(algorithm, state, env)[:, 0], [0.6, -0.4], atol=0.08)
    assert float(told[2]["unseen"].sum()) == 0  # numbers that do not exist stay 0


@pytest.mark.learn
def test_ddpg_shares_one_network_among_agents():
    env = Bandit("target")
    algorithm, state, _ = trained(ddpg, env, 400)
    assert all(x.ndim <= 2 for x in jax.tree.leaves(state.actors))
    np.testing.assert_allclose(greedy(algorithm, state, env)[:, 0], [0.6, -0.4], atol=0.1)


@pytest.mark.learn
@pytest.mark.parametrize("module", [maddpg, sqddpg])
def test_two_agents_make_up_a_sum(module: ModuleType):
    """r = -(a_1 + a_2 - 1)^2."""
    env = Bandit("together")
    algorithm, state, _ = trained(module, env, 400)
    assert float(greedy(algorithm, state, env)[:, 0].sum()) == pytest.approx(1.0, abs=0.1)


def test_of_one_agent_all_are_ddpg():
    env = Bandit("target", agents=1)
    found = [trained(module, env, 20)[1] for module in (iddpg, maddpg, sqddpg)]
    for other in found[1:]:
        for a, b in zip(jax.tree.leaves(found[0].actors), jax.tree.leaves(other.actors), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    assert found[0].updates > 0


@pytest.mark.parametrize("clock", [False, True])
def test_what_follows_counts_unless_the_game_is_over(clock):
    """Episodes of one step that pay 1 are worth 1, or, when only the clock ends them, 1 / (1 - gamma)."""
    env = Bandit("nothing", clock=clock)
    settings: dict[str, Any] = {"gamma": 0.5, "critic_learning_rate": 0.01, "tau": 0.2}
    _, _, (_, metrics, _) = trained(maddpg, env, 200, **settings)
    assert float(metrics["q"][-1]) == pytest.approx(2.0 if clock else 1.0, abs=0.1)


@pytest.mark.parametrize("how", ["straight-through", "softmax"])
def test_choices_are_climbed_as_vectors(how):
    """Two cars, of which one is to pass: critics that see both find a way, by whatever relaxation."""
    env = OneStepTrafficJunction()
    settings = {"relaxed": how, "logit_penalty": 0.0, "learning_rate": 0.01}
    algorithm, state, told = trained(maddpg, env, 300, **settings)
    passes = algorithm.act(KEY, state, (), env.observation(), False)[0]
    assert int(passes.sum()) == 1
    assert float(told[0][-20:].mean()) > 0.8  # of sampled play


# Relaxations ---------------------------------------------------------------------------------------------------------


def test_a_relaxed_choice_is_the_policy_in_the_mean():
    logits = masked(jnp.array([0.5, -1.0, 2.0, 0.0]), jnp.array([True, True, False, True]))
    keys = jax.random.split(KEY, 20_000)
    hard = jax.vmap(lambda key: relaxed(key, logits, "straight-through"))(keys)
    assert set(np.unique(np.round(hard, 6))) <= {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0), jax.nn.softmax(logits), atol=4 * 0.5 / np.sqrt(20_000))
    kinds: tuple[Relaxed, ...] = ("straight-through", "gumbel", "softmax")
    for how in kinds:
        one, pull = jax.vjp(partial(relaxed, KEY, how=how), logits)
        assert float(one.sum()) == pytest.approx(1.0, abs=1e-6)
        assert float(one[2]) == 0
        assert float(pull(jnp.arange(4.0))[0][2]) == 0  # nor does the missing action get a gradient


def test_straight_through_has_the_gradient_of_the_sample():
    logits, weight = jnp.array([0.3, -0.2, 0.1]), jnp.array([1.0, -2.0, 0.5])

    def climbed(how: Relaxed):
        return jax.grad(lambda x: relaxed(KEY, x, how, 0.7) @ weight)(logits)

    grads = climbed("straight-through"), climbed("gumbel")
    np.testing.assert_allclose(*grads, atol=1e-6)
    step = 1e-3
    ahead, behind = (relaxed(KEY, logits.at[1].add(d), "gumbel", 0.7) @ weight for d in (step, -step))
    assert float(grads[1][1]) == pytest.approx(float(ahead - behind) / (2 * step), abs=1e-3)


def test_gradients_are_clipped_as_asked():
    grads = {"a": jnp.array([3.0, 4.0]), "b": jnp.array([0.3])}

    def clipped(clip_by):
        clip = deterministic_nets.clipped_descent(deterministic.Config(clip=1.0, clip_by=clip_by), 1.0)
        # Adam's first step is the sign of what it gets; its average of gradients shows the size.
        state: Any = clip.update(grads, clip.init(grads))[1]
        return jax.tree.map(lambda x: x / 0.1, state[1][0].mu)

    np.testing.assert_allclose(clipped("array")["a"], [0.6, 0.8], rtol=1e-5)
    np.testing.assert_allclose(clipped("array")["b"], [0.3], rtol=1e-5)
    np.testing.assert_allclose(clipped("entry")["a"], [1.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(clipped("norm")["b"], [0.3 / np.sqrt(25.09)], rtol=1e-5)


# Shares --------------------------------------------------------------------------------------------------------------


def test_shapley_values_by_hand():
    """Gloves: agent 0 has a left one, 1 and 2 a right one; a pair is worth 1. Values 2/3, 1/6, 1/6."""
    gloves = lambda there: (there[0] & (there[1] | there[2])).astype(jnp.float32)  # noqa: E731
    found = shapley_values(gloves, all_orders(3))
    np.testing.assert_allclose(found, [2 / 3, 1 / 6, 1 / 6], atol=1e-6)
    weights = jnp.array([3.0, -1.0, 0.5])
    additive = lambda there: (weights * there).sum()  # noqa: E731
    np.testing.assert_allclose(shapley_values(additive, all_orders(3)), weights, atol=1e-6)
    for orders in (all_orders(3)[:1], drawn_orders(KEY, 4, 3)):  # the shares of any orders make up the whole
        assert float(shapley_values(gloves, orders).sum()) == pytest.approx(1.0)
    drawn = shapley_values(gloves, drawn_orders(KEY, 4_000, 3))
    np.testing.assert_allclose(drawn, [2 / 3, 1 / 6, 1 / 6], atol=0.03)


def test_who_is_there_when_one_joins():
    there = present(jnp.array([2, 0, 1]))  # agent 1 first, then 2, then 0
    np.testing.assert_array_equal(there, [[1, 1, 1], [0, 1, 0], [0, 1, 1]])


def test_a_share_does_not_depend_on_who_joins_later():
    actions = jax.random.normal(KEY, (64, 3, 4))
    read = lambda actions: sqddpg.coalition_actions(KEY, actions, actions, 1)[0]  # noqa: E731
    places = drawn_orders(KEY, 64, 3)
    before = places[:, 1] < places[:, 0]  # agent 1 before agent 0
    moved = (read(actions) != read(actions.at[:, 1].add(1.0))).any(-1)  # [64, N]
    np.testing.assert_array_equal(moved[:, 0], before)
    assert bool(moved[:, 1].all())
    assert 10 < int(before.sum()) < 54


@cache
def additive():
    return trained(sqddpg, Bandit("additive"), 400, critic_learning_rate=3e-3, noise=0.5, learning_rate=1e-5, tau=0.05)


def test_the_shares_make_up_the_value_of_an_additive_game():
    """r = 3 a_0 - a_1: the sum of all shares is learned; each is w_i a_i up to what another pays in its place."""
    env = Bandit("additive")
    _, state, _ = additive()
    actions = jax.random.uniform(KEY, (256, 2, 1), minval=-0.5, maxval=0.5) * jnp.array([1.0, 0.0])
    views = in_a_circle(jnp.broadcast_to(env.observation().view, (256, 2, 3)), 1)
    x = sqddpg.coalition_actions(KEY, actions, actions, 8)
    critic = lambda i: jax.tree.map(lambda p: p[i], state.critics)(views[:, i], x[..., i, None, :])[..., 0]  # noqa: E731
    shares = jnp.stack([critic(i) for i in range(2)], -1)
    worth = 3 * actions[:, 0, 0] - actions[:, 1, 0]
    np.testing.assert_allclose(shares.sum(-1).mean(0), worth, atol=0.25)
    slopes = [np.polyfit(actions[:, i, 0], shares.mean(0)[:, i], 1)[0] for i in range(2)]
    assert slopes[0] == pytest.approx(3.0, abs=1.0)
    assert slopes[1] == pytest.approx(-1.0, abs=1.0)


def test_joint_actions_with_ones_own_replaced():
    actions, mine = jnp.zeros((2, 3, 1)), jnp.ones((2, 3, 1))
    np.testing.assert_array_equal(replaced(actions, mine)[0, ..., 0], np.eye(3))


def critic_reads(module: Any, view, actions):
    """What critics read, [batch, N, I], where every agent's own actions are the negative ones."""
    found = []

    def remember(config, env, member):
        spec = Spec(agents=3, view=Vector(1), action=Box(1), length=1)
        nets = deterministic.nets_of(config, spec, member)
        spy: Any = lambda *parts: JointNet((None, None), lambda x: found.append(x) or x)(*parts)  # noqa: E731
        read = nets._replace(critics=replace(nets.critics, sharing="shared"))
        deterministic_nets.values(read, KEY, spy, view, actions, -actions)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deterministic, "learner", remember)
        module.make(module.Config(), None)
    return found[0]


def test_inputs_stand_in_a_circle():
    view, actions = jnp.array([[[10.0], [20.0], [30.0]]]), jnp.array([[[1.0], [2.0], [3.0]]])
    read = {name: critic_reads(module, view, actions) for name, module in (("maddpg", maddpg), ("ddpg", ddpg))}
    np.testing.assert_array_equal(read["maddpg"][0, 1], [20, 30, 10, -2, 3, 1])
    np.testing.assert_array_equal(read["ddpg"][0, 1], [20, -2])


@pytest.mark.parametrize("module", [td3, sac, alita_td3])
def test_the_papers_of_one_update_per_hundred_transitions_play_as_many(module):
    config = module.Config(**module.PRESETS["paper"])
    assert config.steps == config.every == 100
