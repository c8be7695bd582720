"""Credit at the gift, on the smallest gift (specification 3.6, G1), whose numbers are all known in closed form."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.off_policy.deterministic_nets import without_memory
from comity.algorithms.policy_gradient import coma, lica, liir, pg
from comity.experiments.credit import replays, rules, study
from comity.experiments.hidden_gifts.credit import Sizes
from comity.learning.corrections import ray_of
from comity.networks import RecurrentNet
from comity.types import Algorithm
from tiny.gift import Gift

ENV, GAMMA, P, Q = Gift(), 0.9, 0.3, 0.6
GIVE = 1
LIKE = pg.Config(core="none", hidden=4, gamma=GAMMA, learning_rate=1e-2, critic_learning_rate=1e-2)
KEY = jax.random.key(3)


def table_player():
    """Agent 0 gives with P, agent 1 uses with Q, at every step."""
    chances = jnp.array([[1 - P, P], [1 - Q, Q]])

    def act(key, state, memory, observation, explore=True):
        allowed = chances * observation.available
        allowed = allowed / allowed.sum(-1, keepdims=True)
        action = (jax.random.uniform(key, allowed.shape[:-1]) < allowed[..., 1]).astype(jnp.int32)
        return action, memory, {"probabilities": allowed}

    return Algorithm(lambda key: (), act, lambda key, state, steps: (state, {}), memory=jnp.zeros((2, 0)))


def could_give(game):
    return (game.time == 1) & jnp.array([True, False])


def reward_of(steps):
    return {"collective": steps.reward}


ASKED = study.Question(GIVE, could_give, reward_of)


@pytest.fixture(scope="module")
def gifts():
    """Three situations of table players, and 4,000 replays of each."""
    team = table_player()
    found = replays.found(KEY, ENV, team, (), could_give, 3, 8)
    play = jax.jit(lambda key, one: replays.replayed(key, ENV, team, (), one, GIVE, 4_000))
    return found, [play(jax.random.key(k), jax.tree.map(lambda x, k=k: x[k], found)) for k in range(3)]


def enumerated(give):
    """E[G | a_0 = give] over all that agent 1 may do, by the game's own steps."""
    total = 0.0
    for use, idle in product((0, 1), repeat=2):  # what agent 1 does at step 2, and at step 1, where it counts nothing
        game, _ = ENV.reset(KEY)
        for time, action in enumerate(((0, 0), (give, idle), (0, use))):
            game, step = ENV.step(KEY, game, jnp.array(action))
            chance = (Q if use else 1 - Q) * (Q if idle else 1 - Q)
            total += chance * GAMMA ** (time - 1) * float(step.reward[0])
    return total


def test_situations_are_those_asked_for(gifts):
    found, _ = gifts
    assert found.there.all()
    assert found.who.tolist() == [0, 0, 0]
    assert found.game.time.tolist() == [1, 1, 1]
    none = replays.found(KEY, ENV, table_player(), (), lambda game: jnp.zeros(2, bool), 3, 8)
    assert not none.there.any()


def test_the_worth_by_replays_is_the_closed_form(gifts):
    """A = (1 - p) gamma q: exact by enumeration, and by replays within four standard errors."""
    exact = (1 - P) * (enumerated(1) - enumerated(0))
    assert exact == pytest.approx((1 - P) * GAMMA * Q)
    for played in gifts[1]:
        found = replays.worth(played, lambda steps: steps.reward[..., 0], GAMMA)
        assert float(played.chance) == pytest.approx(P)
        assert abs(float(found.advantage) - exact) < 4 * float(found.error)
        by_hand = (1 - P) * GAMMA * np.sqrt(Q * (1 - Q) / 4_000)
        assert float(found.error) == pytest.approx(by_hand, rel=0.05)
        assert (played.done.action[0, :, 0] == GIVE).all()
        assert (played.other.action[0, :, 0] == 1 - GIVE).all()


def test_both_kinds_of_replays_meet_the_same_luck(gifts):
    """What agent 1 does at step 2 is the same draw in both; where the action makes no difference nothing is left."""
    for played in gifts[1]:
        np.testing.assert_array_equal(played.done.action[1, :, 1], played.other.action[1, :, 1])
        nothing = replays.worth(played, lambda steps: steps.action[..., 1].astype(jnp.float32), GAMMA)
        assert float(nothing.advantage) == float(nothing.error) == 0.0
        assert float(nothing.unpaired) > 0.005


# Signals --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def case():
    """(team's state, replays of PG's fresh actors, a case of them)."""
    team = pg.make(LIKE, ENV)
    state = team.init(KEY)

    def made(key):
        one = jax.tree.map(lambda x: x[0], replays.found(key, ENV, team, state, could_give, 1, 4))
        return replays.replayed(key, ENV, team, state, one, GIVE, 500)

    played = jax.jit(made)(KEY)
    return state, played, rules.Case(played.done, played.other, jnp.int32(0), GIVE, played.policy, state.actor)


def test_returns_less_values_have_their_known_means(case):
    """Monte Carlo: gamma r - V(o), r = 1 with q. GAE 0: r + gamma V(o') - V(o), whatever comes later."""
    state, _, one = case
    rule = rules.of_returns(ENV, state.actor, LIKE)
    of_rule = rule.begin(jax.random.key(1))
    told = jax.jit(rule.signals)(KEY, of_rule, one)
    value = pg.make(LIKE, ENV).act(KEY, of_rule._replace(terms=()), jnp.zeros((3, 500, 2, 0)), one.steps.observation)
    value = value[2]["value"][..., 0]  # [T, K]; step 2 is behind the end
    used = one.steps.reward[1, :, 0]
    np.testing.assert_allclose(told["monte-carlo"], GAMMA * used - value[0], atol=1e-6)
    np.testing.assert_allclose(told["gae-0"], GAMMA * value[1] - value[0], atol=1e-6)
    np.testing.assert_allclose(told["gae-50"], GAMMA * (0.5 * value[1] + 0.5 * used) - value[0], atol=1e-6)
    assert not np.asarray(told["correction"]).any()  # no success has been seen yet


def test_the_corrections_weight_has_the_mean_of_the_advantage_where_the_objective_is_a_product(case):
    """G1: with the true mean score E[w | give] = q and E[w | not] = 0, centred (1 - p) q (theorem 1 is exact)."""
    state, played, one = case
    config = LIKE.__class__(**{**LIKE.__dict__, "correction_damping": 1e-6, "correction_weight_clip": 1e6})
    rule = rules.of_returns(ENV, state.actor, config)
    of_rule = rule.begin(jax.random.key(1))
    team, acts = pg.team_of(config, ENV), pg.actors.actions_of(config, ENV)
    seen = jax.tree.map(lambda x: x[1, 0], one.steps.observation)  # at step 2

    def log_use(actor):
        return acts(team.step(actor, seen.view, jnp.zeros((2, 0)))[0], seen.available).log_prob(jnp.array([0, 1]))[1]

    score = jax.grad(log_use)(state.actor)  # of successes: agent 1 used
    assert float(ray_of(score)[1]) > 0.01
    of_rule = of_rule._replace(terms=(of_rule.terms[0]._replace(score=score, success=jnp.ones(2)),))
    told = rule.signals(KEY, of_rule, one)["correction"]
    q = float(jnp.exp(log_use(state.actor)))
    error = float(told.std() / np.sqrt(len(told)))
    other_error = q / np.sqrt(len(told))
    assert abs(float(told.mean()) - (1 - float(played.chance)) * q) < 4 * (error + other_error)
    assert float(told.mean()) > 6 * error


def test_critics_of_actions_say_what_their_formulas_say(case):
    state, _, one = case
    chance = np.asarray(one.policy[0])  # [A]
    seen, action = rules.first(one.steps.observation), rules.first(one.steps.action)

    rule = rules.of_coma(ENV, state.actor, LIKE)
    config = coma.Config(core="none", hidden=4, gamma=GAMMA)
    of_rule = rule.begin(KEY)
    q = np.asarray(of_rule.critic(*coma.critic_reads(config, ENV.spec, seen, action)))[:, 0]  # [K, A]
    wanted = q[:, GIVE] - q @ chance
    np.testing.assert_allclose(rule.signals(KEY, of_rule, one)["coma"], wanted, atol=1e-6)

    rule = rules.of_liir(1, ENV, state.actor, LIKE)
    of_rule, config = rule.begin(KEY), liir.Config(core="none", hidden=4)
    raw = np.asarray(of_rule.critic(*liir.critic_reads(ENV.spec, seen))[0])[:, 0]
    own = 0.01 * 10 * np.tanh(raw / 10)
    np.testing.assert_allclose(rule.signals(KEY, of_rule, one)["liir"], own[:, GIVE] - own @ chance, atol=1e-7)

    rule = rules.of_lica(1, ENV, state.actor, LIKE)
    of_rule, config = rule.begin(KEY), lica.Config(core="none", hidden=4)
    sees, rows, step = lica.central(config, ENV.spec, seen), np.asarray(one.policy), 1e-2

    def worth(shift):  # Q at policies moved towards the action by so much
        moved = rows.copy()
        moved[0] += shift * (np.eye(2)[GIVE] - rows[0])
        beside = jnp.broadcast_to(jnp.asarray(moved.ravel()), (len(sees), 4))
        return np.asarray(of_rule.critic(sees, beside=(beside,)))

    slope = (worth(step) - worth(-step)) / (2 * step)
    np.testing.assert_allclose(rule.signals(KEY, of_rule, one)["lica"], slope, atol=2e-4)


@pytest.mark.parametrize("name", ["vdn", "qmix"])
def test_mixers_say_what_their_sums_say(name, case):
    one = case[2]
    rule = rules.of_values(name, 1, ENV, LIKE)
    of_rule = rule.begin(KEY)
    told = np.asarray(rule.signals(KEY, of_rule, one)[name])
    seen, action = rules.first(one.steps.observation), rules.first(one.steps.action)
    chance = np.asarray(one.policy[0])
    if name == "vdn":  # the others' share cancels
        from comity.algorithms.values import vdn

        play = vdn.make(vdn.Config(core="none", hidden=4, gamma=GAMMA), ENV).act
        q = np.asarray(play(KEY, of_rule, jnp.zeros((500, 2, 0)), seen)[2]["values"])[:, 0]
        np.testing.assert_allclose(told, q[:, GIVE] - q @ chance, atol=1e-6)
    else:  # it depends on what the other did
        both = [told[np.asarray(action[:, 1]) == k] for k in range(2)]
        assert all(np.ptp(x) < 1e-6 for x in both)
        assert abs(both[0][0] - both[1][0]) > 1e-7


def test_alitas_signal_is_the_fall_of_the_others_shortfall(case):
    state, _, one = case
    rule = rules.of_alita(ENV, state.actor, LIKE, capacity=64, batch=8, warmup=8)
    of_rule = rule.begin(KEY)
    told = np.asarray(rule.signals(KEY, of_rule, one)["alita"])
    net = of_rule.added.estimates[0].net  # of agent 0: a clone of agent 1's critic
    action = np.asarray(one.steps.action[0, :, 1])
    view = jax.tree.map(lambda x: x[0, :1], one.steps.observation).view[0].astype(jnp.float32)  # [N, V]

    def worth(mine, theirs):  # critic 1 reads its own view and action first
        parts = view[jnp.array([1, 0])], jnp.concatenate([jnp.eye(2)[theirs], jnp.eye(2)[mine]])[None]
        return float(jax.tree.map(lambda x: x[0], net)(*parts).squeeze())

    best = max(worth(a, b) for a, b in product((0, 1), repeat=2))
    for theirs in (0, 1):
        gap = np.array([(worth(mine, theirs) - best) ** 2 for mine in (0, 1)])
        wanted = -(gap[GIVE] - gap @ np.asarray(one.policy[0]))
        np.testing.assert_allclose(told[action == theirs], wanted, atol=1e-6)


def test_learning_leaves_the_team_as_it_is_and_moves_the_critic(case):
    state, _, _ = case
    team = pg.make(LIKE, ENV)
    play = rollout.start(KEY, ENV, team.memory, 4)
    steps = rollout.collect(KEY, ENV, team, state, play)[1]
    for rule in (rules.of_returns(ENV, state.actor, LIKE), rules.of_coma(ENV, state.actor, LIKE)):
        before = rule.begin(KEY)
        after = jax.jit(rule.learn)(KEY, before, steps)
        jax.tree.map(np.testing.assert_array_equal, after.actor, state.actor)
        jax.tree.map(np.testing.assert_array_equal, before.actor_opt_state, after.actor_opt_state)
        moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (before.critic, after.critic)), strict=True)]
        assert max(moved) > 1e-4


# Agreement, and all of it together ------------------------------------------------------------------------------------


def test_agreement_counts_signs_where_they_are_known():
    nan = float("nan")
    told = {
        "mean": jnp.array([0.5, -0.2, 0.1, 9.0]),
        "variance": jnp.array([0.04, 0.0, 1.0, 1.0]),
        "above": jnp.array([0.7, 0.1, 0.5, 1.0]),
        "zero": jnp.array([0.2, 0.2, 0.0, 0.0]),
        "exact_advantage": jnp.array([0.3, -0.4, 0.05, 1.0]),
        "exact_error": jnp.array([0.1, 0.1, 0.1, 0.1]),
    }
    found = study.agreement(told, jnp.array([True, True, True, False]))
    np.testing.assert_allclose(found["bias"], [0.2, 0.2, 0.05, nan], rtol=1e-5)
    np.testing.assert_allclose(found["noise"], [0.2, 0.0, 1.0, nan], rtol=1e-5)
    np.testing.assert_allclose(found["right"], [0.8, 0.8, nan, nan], rtol=1e-5)
    np.testing.assert_allclose(found["rank"], [1.0, 1.0, 1.0, nan], rtol=1e-5)


def test_rank_correlation_shares_ranks_and_leaves_out_who_is_not_there():
    from scipy.stats import spearmanr

    x, y = np.array([1.0, 2.0, 2.0, 5.0, 4.0, 99.0]), np.array([0.1, 0.3, 0.2, 0.2, 0.9, -9.0])
    there = np.arange(6) < 5
    wanted = spearmanr(x[:5], y[:5])[0]
    assert float(study.spearman(*map(jnp.asarray, (x, y, there)))) == pytest.approx(wanted, abs=1e-6)
    assert np.isnan(study.spearman(jnp.ones(6), jnp.asarray(y), jnp.asarray(there)))


def test_whose_reward_a_worth_is_of():
    rewards, who = jnp.array([[1.0, 2.0, 6.0]]), jnp.int32(1)
    assert [float(study.worth_of(rewards, who, x)[0]) for x in ("own", "mean", "others")] == [2.0, 3.0, 3.5]


def test_a_measurement_from_end_to_end():
    """Table players cannot be judged by networks; fresh actors of PG can. The metrics of all situations."""
    team = pg.make(LIKE, ENV)
    state = team.init(KEY)
    some = (rules.of_returns(ENV, state.actor, LIKE), rules.of_coma(ENV, state.actor, LIKE))
    sizes = Sizes(replays=64, rollouts=2, games=8, passes=1, searched=4)

    def run(key):
        return study.measured(key, ENV, team, state, some, ASKED, sizes, GAMMA, 3)

    told = jax.jit(run)(KEY)
    assert all(x.shape == (3,) for x in told.values())
    assert told["there"].tolist() == [1, 1, 1]
    p = np.asarray(told["chance"])
    # All situations of this game are one, so every advantage is (1 - p) gamma q, with q of step 2.
    worth = np.asarray(told["collective_worth"])
    assert np.ptp(p) < 1e-6
    assert (np.abs(worth - worth.mean()) < 4 * np.asarray(told["collective_error"]) + 1e-6).all()
    np.testing.assert_allclose(told["collective_coma_noise"], 0.0, atol=0.05)
    assert (np.asarray(told["collective_monte-carlo_noise"]) > 0.2).all()


def test_actors_without_memory_are_the_same_as_layers_in_a_row_and_others_are_refused():
    net = RecurrentNet(KEY, 5, 4, 2, "relu", core="none")
    views = jax.random.normal(KEY, (6, 5))
    np.testing.assert_allclose(without_memory(net)(views), net(views, jnp.zeros((6, 0)))[0], rtol=1e-6)
    with pytest.raises(ValueError, match="these actors remember"):
        without_memory(RecurrentNet(KEY, 5, 4, 2, "relu"))
