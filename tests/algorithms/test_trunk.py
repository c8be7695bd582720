"""PPO with one network for actor and critic: what they share, whose values it gives, what it refuses, and learning."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.ppo import ippo, mappo, ppo, ppo_batches, trunk
from comity.algorithms.ppo.ppo import teams_of
from comity.api import make
from comity.settings import floats, with_floats
from comity.training.programs import programs

KEY = jax.random.key(0)
ENV = make("repeated-matrix")
SMALL = {"hidden": 6, "encoder": (5,), "epochs": 2, "chunk": 5, "steps": 10, "trunk": "shared"}


@cache
def running(config):
    @jax.jit
    def run(values, key):
        learner = ippo.make(with_floats(config, values), ENV)
        state = learner.init(key)
        play = rollout.start(key, ENV, learner.memory, 3)
        _, steps = rollout.collect(key, ENV, learner, state, play)
        return state, steps, *learner.update(key, state, steps)

    return run


def played(**numbers):
    """(config, (state, a rollout, the state after it, metrics)). numbers: settings that compile nothing anew."""
    config = ippo.Config(**SMALL)
    return config, running(config)({**floats(config), **numbers}, KEY)


@pytest.fixture(scope="module")
def separate():
    return played()


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def test_there_is_one_network_and_one_memory(separate):
    _, (state, steps, after, metrics) = separate
    assert state.critic is after.critic is state.critic_opt_state is None
    apart = ippo.make(ippo.Config(**{**SMALL, "trunk": "apart"}), ENV).init(KEY)
    assert count(state.actor) == count(apart.actor) + 2 * (6 + 1)  # one more output of each agent's head
    assert ippo.make(ippo.Config(**SMALL), ENV).memory[1] == ()
    assert steps.notes["value"].shape == steps.reward.shape
    assert all(np.isfinite(x) for x in metrics.values())


def test_the_value_begins_of_size_one_and_the_policy_near_uniform(separate):
    state, steps = separate[1][:2]
    value, *policy = (np.linalg.norm(column) for column in np.asarray(state.actor.head.weight[0]).T)
    assert value == pytest.approx(trunk.VALUE_GAIN, rel=1e-4)
    assert policy == pytest.approx([trunk.POLICY_GAIN] * len(policy), rel=1e-4)
    assert np.abs(np.exp(steps.notes["log_prob"]) - 1 / len(policy)).max() < 0.02
    assert np.abs(steps.notes["value"]).max() > 0.05


def test_values_and_policies_are_those_of_the_one_network_step_by_step(separate):
    config, (state, steps, _, _) = separate
    teams = teams_of(config, ENV, ppo.Critics(2, 1, ppo.own_views, ENV.spec.view))
    assert teams.together
    first = jax.tree.map(lambda x: x[0], steps.memory[0])
    outputs = teams.actors.unroll(state.actor, steps.observation.view, first, rollout.starts(steps))
    logits, value = trunk.parted(outputs)
    in_play = ppo_batches.in_reward_units(config, state, value)
    np.testing.assert_allclose(steps.notes["value"], in_play, atol=1e-5)
    policy = teams.actions(logits, steps.observation.available)
    np.testing.assert_allclose(policy.log_prob(steps.action), steps.notes["log_prob"], atol=1e-5)
    follow, _ = ppo_batches.evaluate(config, ENV, teams, state, steps.next_observation, steps.next_memory[0])
    goes_on = ~np.asarray(steps.ended[:-1])
    np.testing.assert_allclose(follow[:-1][goes_on], steps.notes["value"][1:][goes_on], atol=1e-5)


def test_targets_bootstrap_with_the_value_after_the_step_in_reward_units(separate):
    config, (state, steps, after, _) = separate
    teams = teams_of(config, ENV, ppo.Critics(2, 1, ppo.own_views, ENV.spec.view))
    one_step = replace(config, lambda_=0.0)
    returns, _ = ppo_batches.targets(one_step, ENV, teams, state, steps)
    bootstrapped = steps.reward[:-1] + config.gamma * steps.notes["value"][1:]
    goes_on = ~np.asarray(steps.ended[:-1])
    np.testing.assert_allclose(returns[:-1][goes_on], bootstrapped[goes_on], atol=1e-4)
    first = jax.tree.map(lambda x: x[0], (steps.memory, steps.observation))
    assert float(jnp.abs(after.returns.mean).max()) > 1e-6
    moved = after._replace(returns=after.returns._replace(mean=jnp.full(2, 7.0)))
    played, known = (ippo.make(config, ENV).act(KEY, s, *first)[2]["value"] for s in (after, moved))
    assert np.abs(known - played).min() > 1  # the mean of returns is part of a value


@pytest.mark.parametrize("moved", ["value", "policy"])
def test_both_losses_reach_the_trunk(separate, moved):
    config, (state, steps, _, _) = separate
    teams = teams_of(config, ENV, ppo.Critics(2, 1, ppo.own_views, ENV.spec.view))

    def part(net):
        first = jax.tree.map(lambda x: x[0], steps.memory[0])
        policy, value = trunk.parted(teams.actors.unroll(net, steps.observation.view, first))
        return jnp.square(value).sum() if moved == "value" else jnp.square(policy).sum()

    grads = jax.jit(jax.grad(part))(state.actor)
    assert float(jnp.abs(grads.layers[0].weight).max()) > 0
    head = np.abs(np.asarray(grads.head.weight)).max((0, 1))  # of each output
    assert (head > 0).tolist() == [moved == "value"] + [moved == "policy"] * (len(head) - 1)


def test_the_coefficient_weighs_the_critics_loss(separate):
    norms = [separate[1][3]["gradient_norm"], played(value_coefficient=100.0)[1][3]["gradient_norm"]]
    assert norms[1] > 5 * norms[0]


@pytest.mark.parametrize("settings", [{"actors": "shared", "agent_id": True}, {"core": "none"}, {"core": "rg-lru"}])
def test_other_actors_share_as_well(settings):
    config = ippo.Config(**{**SMALL, **settings})
    learner = ippo.make(config, ENV)

    def run(key):
        state = learner.init(key)
        play = rollout.start(key, ENV, learner.memory, 3)
        _, steps = rollout.collect(key, ENV, learner, state, play)
        return state, learner.update(key, state, steps)[0]

    before, after = jax.eval_shape(run, KEY)
    assert jax.tree.map(lambda x: x.shape, before) == jax.tree.map(lambda x: x.shape, after)


@pytest.mark.parametrize(
    ("make_one", "told"),
    [
        (partial(ippo.make, ippo.Config(trunk="shared", critic_reads="views")), "needs a critic for each agent"),
        (partial(ippo.make, ippo.Config(trunk="shared", actor_reads="views")), "needs a critic for each agent"),
        (partial(mappo.make, mappo.Config(trunk="shared", critic_reads="views")), "needs a critic for each agent"),
        (partial(ippo.make, ippo.Config(trunk="shared", rows="transposed")), "needs rows 'pieces'"),
        (partial(ippo.make, ippo.Config(trunk="shared", core="attention")), "a core other than 'attention'"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(make_one, told):
    with pytest.raises(ValueError, match=told) as error:
        make_one(ENV)
    assert "\n" not in str(error.value)


def test_it_finds_the_safe_square_of_the_climbing_game():
    env = make("matrix")
    config = ippo.Config(**{**SMALL, "steps": 1, "chunk": 1, "hidden": 16, "core": "none", "learning_rate": 5e-3})
    one = programs(ippo.make, config, env, 32, 150, 8)
    carry = one.init(one.floats, KEY)
    _, history, finite = jax.jit(one.chunk)(one.floats, KEY, np.int32(0), np.int32(150), carry)
    assert finite
    assert np.mean(history.by_name()["return"][:5]) < -3
    assert np.mean(history.by_name()["return"][-5:]) > -0.5
