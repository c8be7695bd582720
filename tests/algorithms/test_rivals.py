"""EITI, EDTI and social influence: their bonuses in closed form and by hand, and what a learner does with them."""

from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity.algorithms.bonuses import edti, eiti, social_influence, transitions
from comity.algorithms.combinators import with_bonus
from comity.environments.grid.sparse.push_box import PushBox
from comity.environments.grid.sparse.secret_room import SecretRoom
from comity.environments.grid.sparse.steps import one_hot
from comity.learning import denormalised
from comity.recipes import find_algorithm, settings_of
from comity.spec import Box, Discrete, Entities, Spec, Vector
from comity.training import checkpoint
from comity.types import Algorithm, Bonus, Observation, Timestep, Transition
from tests.tiny.learning import training

KEY = jax.random.key(0)
T, GAMES = 4, 64
BONUSES: dict[str, Any] = {"eiti": eiti, "edti": edti, "social-influence": social_influence}


def idle(*given, **more) -> Any:
    """What is not called."""


@dataclass(frozen=True)
class Shove:
    """Agent 0 shoves agent 1 to the left (action 0) or to the right (1), or lets it stagger by chance (2).

    Agent 1 does nothing of account, and earns 1 where it has been brought to the right of where it began. Each sees its
    own cell, then the other's, before it the clock.
    """

    touch: bool = True  # False: agent 1 always staggers
    spec = Spec(2, Vector(5, Entities((0, 1, 2), ((3, 4),), (1,))), Discrete(3), T, state=Vector(0))

    def reset(self, key):
        cells = jnp.zeros((2, 2), jnp.int32)
        return (cells, jnp.int32(0)), self.observe(cells, jnp.int32(0))

    def step(self, key, state, action):
        cells, time = state
        by_chance = 2 * jax.random.bernoulli(key).astype(jnp.int32) - 1
        shoved = jnp.array([-1, 1, by_chance])[action[0]] if self.touch else by_chance
        cells = cells.at[1, 1].add(shoved)
        reward = jnp.array([0.0, 1.0]) * (cells[1, 1] > 0)
        return (cells, time + 1), Timestep(self.observe(cells, time + 1), reward, time + 1 >= T, jnp.bool_(False), {})

    def observe(self, cells, time) -> Observation:
        view = jnp.stack([jnp.concatenate([time[None], cells[i], cells[1 - i]]) for i in range(2)])
        return Observation(view, jnp.zeros(0), jnp.ones((2, 3), bool))

    def cells(self, view):
        return view[..., 1:3], view[..., 0, :1]  # the clock is what else there is, so that many rows are known


def actions_of(key, shape=(T, GAMES)):
    return jax.random.randint(key, (*shape, 2), 0, 3)


@partial(jax.jit, static_argnums=0)
def play(env, key):
    """A rollout [T, GAMES] of random agents."""

    def game(key):
        key_reset, *keys = jax.random.split(key, T + 1)
        state, before = env.reset(key_reset)
        found = []
        for k in keys:
            action = jax.random.randint(k, (2,), 0, env.spec.action.n)
            state, timestep = env.step(jax.random.fold_in(k, 1), state, action)
            found.append((before, action, timestep))
            before = timestep.observation
        return jax.tree.map(lambda *xs: jnp.stack(xs), *found)

    seen, action, timestep = jax.vmap(game, out_axes=1)(jax.random.split(key, GAMES))
    notes = {"probabilities": jnp.full((*action.shape, env.spec.action.n), 1 / env.spec.action.n)}
    valid = jnp.ones(timestep.terminated.shape, bool)
    ends = timestep.terminated, timestep.truncated
    return Transition(seen, (), action, timestep.reward, timestep.observation, (), *ends, valid, notes, {})


@partial(jax.jit, static_argnums=(0, 1, 2))
def known(bonus, env, rollouts):
    """The bonus's state after so many rollouts of random agents."""

    def one(state, key):
        return bonus.update(key, state, play(env, key))[0], None

    return lax.scan(one, bonus.init(KEY), jax.random.split(jax.random.key(7), rollouts))[0]


SMALL: dict[str, Any] = {"bits": 10, "hidden": (32,), "batch": 64, "every": 16}


@cache
def learned(name: str, touch, rollouts=300, **settings):
    env, module = Shove(touch), BONUSES[name]
    bonus = module.make(module.Config(**{**SMALL, **settings}), env)
    return bonus, known(bonus, env, rollouts)


# ---------------------------------------------------------------------- counts of moves


def grid_play(seed, shape=(5, 6)):
    """Steps of PushBox between random cells of a small part of it, so that some come again and again."""
    draw = np.random.default_rng(seed)
    cells, box = draw.integers(4, 6, (*shape, 2, 2)), draw.integers(4, 6, (*shape, 1, 2))
    after = cells + draw.integers(-1, 2, cells.shape)
    action, valid = draw.integers(0, 2, (*shape, 2)), draw.random(shape) < 0.8

    def seen(agents):
        view = np.eye(15, dtype=np.int8)[np.concatenate([agents, box], -2)].reshape(*shape, 1, 90)
        view = jnp.asarray(view.repeat(2, -2))
        return Observation(view, view[..., 0, :], jnp.ones((*shape, 2, 5), bool))

    flag, notes = jnp.zeros(shape, bool), {"probabilities": jnp.full((*shape, 2, 5), 0.2)}
    steps = Transition(seen(cells), (), jnp.asarray(action), jnp.zeros((*shape, 2)), seen(after), (), flag, flag,
                       jnp.asarray(valid), notes, {})  # fmt: skip
    return steps, (cells, box[..., 0, :], after - cells, action, valid)


@pytest.mark.parametrize(("measure", "bits"), [("log", 20), ("one-minus", 20), ("log", 6)])
def test_moves_are_counted_as_a_plain_dictionary_counts_them(measure, bits):
    """Rollout by rollout, each judged by what came before it and by itself; padding is not counted.

    In a table that is too small what has a row is counted as exactly, and what has none is paid nothing.
    """
    bonus = eiti.make(eiti.Config(bits=bits, measure=measure), PushBox())
    reward, update = jax.jit(bonus.reward), jax.jit(bonus.update)
    state, own, both = bonus.init(KEY), Counter(), Counter()
    keys = lambda i, j, c, b, a: ((j, *c[j], *b, a[j]), (i, *c[j], *b, a[j], *c[i], a[i]))  # noqa: E731
    distinct, hits = set(), []
    for seed in range(4):
        steps, parts = grid_play(seed)
        paid = np.asarray(reward(state, steps.experience))
        rows = [tuple(part[index] for part in parts) for index in np.ndindex(parts[-1].shape)]
        for index, (c, b, move, a, _) in zip(np.ndindex(parts[-1].shape), rows, strict=True):
            for i, j in ((0, 1), (1, 0)):
                alone, with_i = keys(i, j, c, b, a)
                p_own = (own[alone, tuple(move[j])] + 1) / (own[alone] + 1)
                p_both = (both[with_i, tuple(move[j])] + 1) / (both[with_i] + 1)
                expected = np.log(p_both / p_own) if measure == "log" else 1 - p_own / p_both
                right = np.isclose(paid[index][i], expected, rtol=1e-5, atol=1e-5)
                assert right or (bits == 6 and paid[index][i] == 0)
                hits += [abs(expected) > 1e-3 and right, not right]
        for c, b, move, a, valid in rows:
            for i, j in ((0, 1), (1, 0)) if valid else ():
                alone, with_i = keys(i, j, c, b, a)
                own.update([alone, (alone, tuple(move[j]))])
                both.update([with_i, (with_i, tuple(move[j]))])
                distinct |= {with_i}
        state, metrics = update(KEY, state, steps)
    assert max(both[k] for k in distinct) > 2
    if bits == 6:
        assert min(sum(hits[::2]), sum(hits[1::2])) > 5  # both, pay that is exact and none
        assert float(metrics["filled"]) > 0.5
        assert float(metrics["left_out"]) > 0.2
        return
    np.testing.assert_allclose(metrics["filled"], len(distinct) / 2 / 2**20, rtol=1e-6)  # no two share a row
    steps = sum(grid_play(seed)[1][-1].sum() for seed in range(4))
    assert int(state.own.moves.sum()) == int(state.both.moves.sum()) == 2 * steps
    assert float(metrics["left_out"]) == 0


def test_cells_are_those_of_the_game():
    for env, beside in ((PushBox(), 2), (SecretRoom(), 0), (SecretRoom(obs="code"), 0)):
        places = jnp.array([[3, 4], [5, 6], [7, 8]])
        size = 15 if beside else 25
        view = jnp.stack([one_hot(places[: 3 if beside else 2], size)] * 2)
        view = jnp.pad(view, ((0, 0), (0, env.spec.view.size - view.shape[1])), constant_values=1)
        cell, more = env.cells(jnp.stack([view] * 4))
        assert cell.tolist() == [[[3, 4], [5, 6]]] * 4
        assert more.tolist() == [[7, 8][:beside]] * 4


# ---------------------------------------------------------------------- EITI


@pytest.mark.parametrize("by", ["tables", "networks"])
def test_influence_on_moves_is_what_the_closed_form_says(by):
    """A shove moves agent 1 for certain, where by chance it would go either way: log 2. Agent 0 never moves.

    Networks compare densities: of a deviation of e^-3, the least, and of 1, at a change of 1: 3 + 1/2.
    """
    bonus, state = learned("eiti", True, by=by)
    steps = play(Shove(), jax.random.key(99))
    paid = np.asarray(jax.jit(bonus.reward)(state, steps.experience))
    shoved = np.asarray(steps.action[..., 0]) < 2
    near = 0.05 if by == "tables" else 0.35
    certain = np.log(2) if by == "tables" else 3.5
    np.testing.assert_allclose(paid[shoved, 0].mean(), certain, atol=near)
    np.testing.assert_allclose(paid[~shoved, 0].mean(), 0, atol=near)
    np.testing.assert_allclose(np.abs(paid[..., 1]).mean(), 0, atol=0.02 if by == "tables" else 0.1)


@pytest.mark.parametrize("by", ["tables", "networks"])
def test_agents_that_do_not_touch_are_paid_less_and_less(by):
    sizes = []
    for rollouts in (4, 300):
        bonus, state = learned("eiti", False, rollouts, by=by)
        paid = jax.jit(bonus.reward)(state, play(Shove(False), jax.random.key(99)).experience)
        sizes.append(float(jnp.abs(paid).mean()))
    assert sizes[1] < min(0.5 * sizes[0], 0.06), sizes


def test_one_minus_is_the_measure_of_the_code():
    log, state = learned("eiti", True, by="tables")
    other, _ = learned("eiti", True, by="tables", measure="one-minus")
    experience = play(Shove(), jax.random.key(99)).experience
    np.testing.assert_allclose(other.reward(state, experience), 1 - jnp.exp(-log.reward(state, experience)), atol=1e-6)


def test_sums_are_over_the_others_and_a_pair_stands_at_its_agent():
    who, whom = transitions.pairs(3)
    assert [*zip(who.tolist(), whom.tolist(), strict=True)] == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert transitions.over_others(jnp.arange(6.0), 3).tolist() == [1, 5, 9]


# ---------------------------------------------------------------------- EDTI


def test_without_influence_a_part_of_the_others_rewards_is_all():
    """Of what is known for certain: untouched counts, in which every ratio is 1, whatever the values are."""
    settings = {"others_reward": 0.3, "others_novelty": 0.2, "eta": 0.5, "bits": 10}
    bonus = edti.make(edti.Config(**settings), Shove())
    steps = play(Shove(), KEY)
    state = bonus.init(KEY)
    wild = state._replace(values=jax.tree.map(lambda x: x + 1, state.values))
    wild = wild._replace(moments=jax.tree.map(jnp.ones_like, wild.moments))
    paid = np.asarray(bonus.reward(wild, steps.experience))
    theirs = 0.3 * np.asarray(steps.reward) + 0.2 * 0.5  # nothing was seen before, so each count is 0
    np.testing.assert_allclose(paid, theirs[..., ::-1], rtol=1e-6)
    assert paid.max() > 0.3


def test_the_interaction_is_the_bracket_times_the_others_values():
    """From counts and values by hand; what follows a true end is worth nothing."""
    bonus, state = learned("edti", True, 30, by="tables")
    config = edti.Config()
    steps = play(Shove(), jax.random.key(99))
    paid = np.asarray(jax.jit(bonus.reward)(state, steps.experience))
    moves = transitions.tables(edti.Config(**SMALL), Shove())
    influence = 1 - np.exp(-np.asarray(moves.log_ratio(state.moves, steps.experience)))
    values = np.asarray(of_team(state, steps.next_observation.view))
    new = np.asarray(
        edti.new_to_each(edti.Config(**SMALL, by="tables"), Shove()).reward(state.novelty, steps.experience)
    )
    theirs = 0.1 * np.asarray(steps.reward) + 0.1 * config.eta * new
    worth = 0.99 * (0.1 * values[..., 0] + values[..., 1]) * ~np.asarray(steps.terminated)[..., None]
    np.testing.assert_allclose(paid, theirs[..., ::-1] + influence * worth[..., ::-1], rtol=1e-4, atol=1e-5)
    assert np.abs(influence * worth[..., ::-1]).max() > 0.01


def of_team(state, view):
    outputs = jnp.stack([jax.tree.map(lambda x, i=i: x[i], state.values)(view[..., i, :]) for i in range(2)], -2)
    return denormalised(outputs.reshape(*outputs.shape[:-2], 4), state.moments, first=0.0).reshape(outputs.shape)


def test_values_are_those_of_random_play():
    """Agent 1 earns 1 for each step to the right of 0; a random walk's share of that is known by counting."""
    bonus, state = learned("edti", True, 300, by="tables", value_learning_rate=1e-2, gamma=1.0, lambda_=1.0)
    del bonus
    view = jnp.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    walks = np.array(np.meshgrid(*[[-1, 1]] * T)).reshape(T, -1).cumsum(0)
    found = of_team(state, view)
    np.testing.assert_allclose(found[1, 0], (walks > 0).sum(0).mean(), atol=0.25)
    np.testing.assert_allclose(found[0, 0], 0, atol=0.1)


# ---------------------------------------------------------------------- social influence


def follow(listens):
    """Steps in which agent 1 does what agent 0 did before, or (listens False) anything; agent 0 does anything."""

    def one(key):
        key_0, key_1 = jax.random.split(key)
        leads = jax.random.randint(key_0, (T, GAMES), 0, 3)
        any_ = jax.random.randint(key_1, (T, GAMES), 0, 3)
        follows = any_.at[1:].set(leads[:-1]) if listens else any_
        steps = play(Shove(), key)
        chances = jnp.broadcast_to(jnp.array([0.2, 0.3, 0.5]), (T, GAMES, 2, 3))
        return steps._replace(action=jnp.stack([leads, follows], -1), notes={"probabilities": chances})

    return one


@cache
def model_of(listens):
    bonus = social_influence.make(
        social_influence.Config(hidden=(32,), batch=128, every=8, learning_rate=3e-3), Shove()
    )

    @jax.jit
    def trained(state):
        step = lambda state, key: (bonus.update(key, state, follow(listens)(key))[0], None)  # noqa: E731
        return lax.scan(step, state, jax.random.split(jax.random.key(3), 40))[0]

    return bonus, trained(bonus.init(KEY))


def test_who_is_followed_is_paid_what_its_policy_leaves_open():
    """KL(certain || pi) = -log pi(a): what was unlikely tells most. Who follows moves nobody."""
    bonus, state = model_of(True)
    steps = follow(True)(jax.random.key(99))
    paid = np.asarray(jax.jit(bonus.reward)(state, steps.experience))
    expected = -np.log(np.array([0.2, 0.3, 0.5]))[np.asarray(steps.action[..., 0])]
    ends = np.asarray(steps.ended)
    assert 0 < ends.mean() < 0.5
    expected[ends] = 0  # nobody follows any more
    np.testing.assert_allclose(paid[..., 0], expected, atol=0.15)
    limited = social_influence.make(social_influence.Config(hidden=(32,), limit=1.0), Shove())
    np.testing.assert_allclose(limited.reward(state, steps.experience), np.minimum(paid, 1.0), atol=1e-4)
    assert np.abs(paid[..., 1]).mean() < 0.05


def test_where_nobody_listens_influence_is_nought():
    """Of a model that does not read what the agent itself did: exactly; of one that has learned so: nearly."""
    bonus, state = model_of(False)
    steps = follow(False)(jax.random.key(99))
    assert float(bonus.reward(state, steps.experience).mean()) < 0.05
    bonus, state = model_of(True)
    weight = state.model.net.layers[0].weight  # [N, 5 + 2 x 3, 32]
    deaf = jnp.stack([weight[i].at[5 + 3 * i : 8 + 3 * i].set(0) for i in range(2)])
    state = state._replace(model=eqx.tree_at(lambda model: model.net.layers[0].weight, state.model, deaf))
    np.testing.assert_allclose(bonus.reward(state, steps.experience), 0, atol=1e-6)


# ---------------------------------------------------------------------- any learner


@pytest.mark.parametrize("name", BONUSES)
def test_jit_vmap_and_plain_calls_agree_and_a_state_from_a_file_goes_on(name, tmp_path):
    """The last bit for bit."""
    module, env = BONUSES[name], PushBox()
    small = {"bits": 6, "value_hidden": (4,), "epochs": 2, "hidden": (4,), "batch": 4, "every": 8}
    known = {field: small[field] for field in small.keys() & set(module.Config.__dataclass_fields__)}
    bonus = module.make(module.Config(**known), env)
    keys = jax.random.split(KEY, 2)
    state = jax.vmap(bonus.init)(keys)
    steps = [grid_play(seed, (3, 2))[0] for seed in range(2)]
    both = jax.tree.map(lambda *xs: jnp.stack(xs), *steps)

    def whole(key, state, steps):
        after, metrics = bonus.update(key, state, steps)
        return after, metrics, bonus.reward(after, steps.experience)

    together = jax.jit(jax.vmap(whole))(keys, state, both)
    alone = [jax.tree.map(lambda x, k=k: x[k], (keys, state, both)) for k in range(2)]
    compiled = [jax.jit(whole)(*one) for one in alone]
    checkpoint.save(tmp_path / "state.npz", compiled[0][0], {})
    loaded, _ = checkpoint.load(tmp_path / "state.npz", jax.eval_shape(bonus.init, KEY))
    further = [jax.jit(whole)(keys[1], state, steps[1]) for state in (compiled[0][0], loaded)]
    for x, y in zip(*map(jax.tree.leaves, further), strict=True):
        np.testing.assert_array_equal(x, y)
    for k, one in enumerate(compiled):
        close(jax.tree.map(lambda x, k=k: x[k], together), one)
    close(whole(*alone[0]), compiled[0])


def close(one, two):
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def trained(name, iterations, **settings):
    """Of pg with the bonus, and without: (chances [iterations, 3] of agent 0 in its first step, what it was paid)."""
    module, env = BONUSES[name], Shove()
    learner = find_algorithm("pg").thing
    config = learner.Config(hidden=16, learning_rate=3e-3, critic_learning_rate=1e-2, critic_schedule="batch")
    bonus = module.make(module.Config(**{**SMALL, "by": "tables", **settings}), env)

    @jax.jit
    def run(weight):
        algorithm = with_bonus(learner.make(config, env), bonus, weight, "bonus")
        watch = lambda steps, metrics: (steps.notes["probabilities"][0, 0, 0], metrics["bonus/mean"])  # noqa: E731
        return training(algorithm, env, iterations, GAMES, watch)(KEY)[1]

    return jax.tree.map(np.asarray, (run(1.0), run(0.0)))


@pytest.mark.learn
def test_a_learner_of_eiti_shoves_and_one_without_it_has_no_reason_to():
    """Which way tells nothing more: only staggering ends. What is paid comes near log 2 for one of two agents."""
    (chances, paid), (plain, nothing) = trained("eiti", 100)
    assert chances[0, 2] > 0.3 > 0.1 > chances[-1, 2], chances[-1]
    np.testing.assert_allclose(paid[-1], np.log(2) / 2, atol=0.05)
    np.testing.assert_allclose(plain[-1], plain[0], atol=0.1)
    assert (nothing == 0).all()


@pytest.mark.learn
def test_a_learner_of_edti_shoves_the_other_to_where_it_is_well_off():
    """It has no reward of its own, and is paid for no reward of the other's: only for values that it leads to."""
    only = {"others_reward": 0.0, "others_novelty": 0.0, "novelty_value": 0.0, "value": 1.0}
    (chances, _), (plain, _) = trained("edti", 100, **only, value_learning_rate=1e-2)
    assert chances[-1, 1] > 0.7, chances[-1]
    np.testing.assert_allclose(plain[-1], plain[0], atol=0.1)


@pytest.mark.parametrize("name", BONUSES)
def test_presets_of_a_bonus_go_with_the_learners_of_the_same_name(name):
    source = find_algorithm(f"ippo+{name}")
    setting = name.replace("-", "_")
    for preset, values in BONUSES[name].PRESETS.items():
        chosen = settings_of(source, preset, "preset")
        assert getattr(chosen, setting) == BONUSES[name].Config(**values)
        plain = find_algorithm("ippo")
        if preset in plain.presets:
            assert chosen.learning_rate == settings_of(plain, preset, "preset").learning_rate


def test_a_bonus_outside_another_does_not_hide_the_games_reward_from_it():
    heard = []

    def told(name):
        def reward(state, experience):
            heard.append((name, float(experience.reward.sum())))
            return jnp.ones(experience.reward.shape)

        return Bonus(lambda key: (), reward, lambda key, state, steps: (state, {}))

    def update(key, state, steps):
        return steps.reward.sum(), {}

    learner = Algorithm(lambda key: jnp.zeros(()), idle, update)
    twice = with_bonus(with_bonus(learner, told("inner"), 1.0, "inner"), told("outer"), 2.0, "outer")
    steps = play(Shove(), KEY)
    state, _ = twice.update(KEY, twice.init(KEY), steps)
    assert {name for name, _ in heard} == {"inner", "outer"}
    assert {x for _, x in heard} == {float(steps.reward.sum())}
    np.testing.assert_allclose(state.learner.learner, steps.reward.sum() + 3 * steps.reward.size, rtol=1e-6)


@dataclass(frozen=True)
class Alone(Shove):
    spec = Spec(1, Vector(5), Discrete(3), T)


@dataclass(frozen=True)
class Once(Shove):
    spec = Spec(2, Vector(5), Discrete(3), 1)


@dataclass(frozen=True)
class Numbers(Shove):
    spec = Spec(2, Vector(5), Box(2), T)


def test_what_they_refuse_is_one_line():
    for name, module in BONUSES.items():
        with pytest.raises(ValueError, match=f"^{name} pays for influence on others, and this game has one agent"):
            module.make(module.Config(), Alone())
    with pytest.raises(ValueError, match=r"^social-influence chooses among discrete actions, Numbers has continuous"):
        social_influence.make(social_influence.Config(), Numbers())
    with pytest.raises(ValueError, match=r"^social-influence pays for the others' next actions, .* one step"):
        social_influence.make(social_influence.Config(), Once())
    with pytest.raises(ValueError, match=r"^tables of moves need a grid .* Numbers lacks: set by to 'networks'$"):
        eiti.make(eiti.Config(by="tables"), Numbers())
    eiti.make(eiti.Config(), Numbers())  # by networks
    bonus = social_influence.make(social_influence.Config(), Shove())
    stored = Algorithm(lambda key: jnp.zeros(()), idle, idle, replays=True)
    with pytest.raises(ValueError, match=r"^social-influence reads the probabilities of the policy that acted"):
        with_bonus(stored, bonus, 1.0, "social-influence")
    fresh = with_bonus(stored._replace(replays=False), bonus, 1.0, "social-influence")
    steps = play(Shove(), KEY)
    with pytest.raises(ValueError, match=r"^social-influence learns from an action and the next"):
        bonus.update(KEY, bonus.init(KEY), jax.tree.map(lambda x: x[:1], steps))
    steps = steps._replace(notes={})
    with pytest.raises(ValueError, match=r"^social-influence asks for notes of what was done, probabilities, which"):
        fresh.update(KEY, fresh.init(KEY), steps)
