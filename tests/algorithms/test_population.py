"""Populations: each learner sees only its own agents, and learns as if alone if nothing connects them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import comity
from comity import rollout
from comity.algorithms import combinators, part, random
from comity.algorithms.policy_gradient import pg
from comity.algorithms.roles import agents_of, label
from comity.environments.particle.physical_deception import PhysicalDeception
from comity.environments.particle.predator_prey import PredatorPrey
from comity.recipes import find_algorithm
from comity.spec import Discrete, Spec, Vector
from comity.training import checkpoint
from comity.types import Algorithm, Observation, Timestep

KEY = jax.random.key(0)
GAMES = 4


@dataclasses.dataclass(frozen=True)
class Lanes:
    """Agents side by side: each counts its own steps and is paid for action step mod 3, whatever the others do."""

    agents: int = 3
    roles: tuple[str, ...] = ("outer", "inner", "outer")
    length: int = 4

    @property
    def spec(self) -> Spec:
        sizes = self.agents, Vector(3), Discrete(3), self.length
        return Spec(*sizes, state=Vector(self.agents), roles=self.roles[: self.agents], mixed_motive=True)

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self.observe(jnp.int32(0))

    def step(self, key, state, action):
        return state + 1, Timestep(
            self.observe(state + 1), 1.0 * (action == state % 3), jnp.bool_(False), state + 1 >= self.length, {}
        )

    def observe(self, time) -> Observation:
        view = jnp.broadcast_to(jax.nn.one_hot(time % 3, 3), (self.agents, 3))
        return Observation(view, jnp.arange(self.agents) + 10.0, jnp.ones((self.agents, 3), bool))


def iterations(algorithm: Algorithm, env: Any, count: int = 3):
    """(state, last rollout) after `count` updates."""

    @jax.jit
    def run():
        state, play = algorithm.init(KEY), rollout.start(KEY, env, algorithm.memory, GAMES)
        for number in range(count):
            key_play, key_update = jax.random.split(jax.random.fold_in(KEY, number))
            play, steps = rollout.collect(key_play, env, algorithm, state, play)
            state, metrics = algorithm.update(key_update, state, steps)
        return state, steps, metrics

    return run()


def alone(algorithm: Algorithm, member: int, members: int) -> Algorithm:
    """With the keys that this member of a population has."""
    mine = lambda key: jax.random.split(key, members)[member]  # noqa: E731
    return algorithm._replace(
        init=lambda key: algorithm.init(mine(key)),
        act=lambda key, *rest, **how: algorithm.act(mine(key), *rest, **how),
        update=lambda key, *rest: algorithm.update(mine(key), *rest),
    )


def close(one, two, tolerance: float = 1e-6) -> None:
    for (path, x), y in zip(checkpoint.named(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y).reshape(x.shape), atol=tolerance, err_msg=path)


SMALL = {"pg": {"hidden": 6}, "ddpg": {"hidden": 6, "steps": 4, "every": 16, "capacity": 64, "batch": 8, "warmup": 8}}


@pytest.mark.parametrize("name", SMALL)
def test_learners_of_rewards_that_nothing_joins_learn_as_each_alone(name):
    """Of whole episodes and memory, and of a replay. `independent` is the same with its states on one axis."""
    module = find_algorithm(name).thing
    make = lambda env: module.make(module.Config(**SMALL[name]), env)  # noqa: E731
    env = Lanes(2)
    both, _, metrics = iterations(combinators.population({"0": make, "1": make}, env), env)
    stacked, _, means = iterations(combinators.independent(make, env), env)
    for member in range(2):
        single = Lanes(1)
        mine, _, alone_metrics = iterations(alone(make(single), member, 2), single)
        close(mine, both[member])
        close(mine, jax.tree.map(lambda x, member=member: x[member], stacked))
        for metric, x in alone_metrics.items():
            np.testing.assert_allclose(metrics[f"agent_{member}/{metric}"], x, atol=1e-5)
    norms = [metrics[f"agent_{member}/gradient_norm"] for member in range(2)]
    np.testing.assert_allclose(means["gradient_norm"], sum(norms) / 2, atol=1e-5)
    pairs = zip(*map(jax.tree.leaves, both), strict=True)
    assert any(np.abs(np.asarray(x) - np.asarray(y)).max() > 0 for x, y in pairs)


def spy(mark: float):
    """A learner whose state is the rollout it saw. It notes and remembers its mark and chooses by it."""

    def make(env):
        agents = env.spec.agents
        memory = jnp.zeros((agents, 2))

        def act(key, state, memory, observation, explore=True):
            assert observation.view.shape[-2] == agents
            action = jnp.full(observation.available.shape[:-1], int(mark) % 3, jnp.int32)
            return action, memory + mark, {"mark": memory[..., 0] + mark, "value": jnp.full(action.shape, mark)}

        def init(key):
            act_ = lambda key, memory, observation: act(key, (), memory, observation)  # noqa: E731
            one = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), rollout.shapes(env, act_, memory))
            return jax.tree.map(lambda x: jnp.repeat(x, GAMES, 1), one._replace(info={}))

        return Algorithm(
            init, act, lambda key, state, steps: (steps._replace(info={}), {"mark": jnp.float32(mark)}), memory, True
        )

    return make


def test_each_member_sees_exactly_the_rows_of_its_agents():
    env = Lanes()
    algorithm = combinators.population({"outer": spy(1.0), "inner": spy(2.0)}, env)
    (outer, inner), steps, metrics = iterations(algorithm, env, 1)
    assert (float(metrics["outer/mark"]), float(metrics["inner/mark"])) == (1, 2)
    np.testing.assert_array_equal(steps.action[0, 0], [1, 2, 1])
    np.testing.assert_array_equal(steps.notes["value"][0, 0], [1, 2, 1])  # as films show it
    for seen, agents, mark in ((outer, np.array([0, 2]), 1.0), (inner, np.array([1]), 2.0)):
        time = np.arange(env.length)[:, None, None]
        np.testing.assert_array_equal(seen.action, steps.action[:, :, agents])
        np.testing.assert_array_equal(seen.reward, steps.reward[:, :, agents])
        np.testing.assert_array_equal(seen.observation.view, steps.observation.view[:, :, agents])
        np.testing.assert_array_equal(seen.next_observation.available, steps.next_observation.available[:, :, agents])
        np.testing.assert_array_equal(seen.observation.state, steps.observation.state)  # whole
        np.testing.assert_array_equal(seen.memory[..., 0], np.broadcast_to(mark * time, seen.action.shape))
        np.testing.assert_array_equal(seen.next_memory[..., 1], np.broadcast_to(mark * (time + 1), seen.action.shape))
        np.testing.assert_array_equal(seen.notes["mark"], seen.next_memory[..., 0])
        assert set(seen.notes) == {"mark", "value"}
    assert all(x.shape[2] == 3 for x in jax.tree.leaves(steps.memory)), "memory stands by agents, all of them"
    np.testing.assert_array_equal(steps.memory[0][:, :, 1], 0)  # which nobody reads


def test_a_part_of_a_game_is_a_game():
    """Its rules are those of the game, with the others doing the first thing that they can."""
    game = PhysicalDeception()
    comity.check(part.Part(game, (1, 2)))
    one, two = part.Part(game, (1, 2)), jax.random.split(KEY)
    (state, seen), (whole, observation) = one.reset(KEY), game.reset(KEY)
    for key in two:
        np.testing.assert_array_equal(seen.view, observation.view[1:])
        np.testing.assert_array_equal(seen.state, observation.state)
        state, timestep = one.step(key, state, jnp.array([3, 4]))
        whole, everyone = game.step(key, whole, jnp.array([0, 3, 4]))
        np.testing.assert_array_equal(timestep.reward, everyone.reward[1:])
        seen, observation = timestep.observation, everyone.observation
    assert part.part_of(game, (0, 1, 2)) is game
    spec = part.Part(game, (0, 2)).spec
    assert (spec.agents, spec.roles, spec.agent_names) == (2, ("adversary", "good"), ("adversary", "good 2"))
    assert spec.state == game.spec.state


def test_roles_of_games():
    assert PhysicalDeception(good=3).spec.roles == ("adversary", "good", "good", "good")
    assert PredatorPrey(prey="learns").spec.roles[-2:] == ("predator", "prey")
    assert not PredatorPrey().spec.roles  # all alike
    assert comity.make("cooperative-communication").spec.roles == ("speaker", "listener")
    assert agents_of("good", PhysicalDeception().spec) == agents_of("1-2", PhysicalDeception().spec) == (1, 2)
    assert [*map(label, ("good", "0", "1-2"))] == ["good", "agent_0", "agents_1_2"]


def whole(env):
    return pg.make(pg.Config(hidden=4), env)


def going(steps: int):
    ddpg = find_algorithm("ddpg").thing
    return lambda env: ddpg.make(ddpg.Config(hidden=4, steps=steps), env)


def nothing(env):
    return random.make(random.Config(), env)


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"outer": whole}, "agent 1 (inner) has no learner: give every agent one, if only random"),
        ({"outer": whole, "inner": whole, "2": whole}, "agent 2 (outer) has two learners, outer and 2: give it one"),
        (
            {"outr": whole, "inner": whole},
            "'outr' is no role of this game; did you mean outer?; its roles are outer (0, 2), inner (1); numbers name "
            "agents, too: 0 or 1-2",
        ),
        ({"0-3": whole}, "there are no agents 0-3: this game has 3, numbered from 0"),
        ({"2-1": whole}, "there are no agents 2-1: this game has 3, numbered from 0"),
        (
            {"outer": whole, "inner": going(4)},
            "outer learns from whole episodes, inner from rollouts that go on behind an end: one game is played one "
            "way; take learners of one kind (docs/algorithms/population.md lists them)",
        ),
        (
            {"outer": going(8), "inner": going(4)},
            "outer learns from rollouts of 8 steps, inner of 4: give both one number, such as "
            "--algorithm.inner.steps 8",
        ),
        (
            {"outer": whole, "inner": lambda env: whole(env)._replace(own_play=True)},
            "inner: this algorithm plays the whole game by itself, so it cannot be a member",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_a_population_is_refused_in_one_line(members, line):
    with pytest.raises(ValueError, match="^" + line.translate({ord(c): f"\\{c}" for c in "()?'"}) + "$"):
        combinators.population(members, Lanes())


def test_who_learns_nothing_takes_any_rollout():
    of = lambda other: combinators.population({"outer": nothing, "inner": other}, Lanes())  # noqa: E731
    assert (of(whole).whole_episodes, of(whole).steps) == (True, None)
    assert (of(going(8)).whole_episodes, of(going(8)).steps) == (False, 8)
    assert (of(nothing).whole_episodes, of(nothing).steps) == (True, None)


def test_one_member_may_drive_its_agents_by_another_policy_in_training():
    practised = lambda env: spy(1.0)(env)._replace(practise=spy(2.0)(env).act)  # noqa: E731
    algorithm = combinators.population({"outer": practised, "inner": spy(1.0)}, Lanes())
    _, steps, _ = iterations(algorithm, Lanes(), 1)
    np.testing.assert_array_equal(steps.action[0, 0], [2, 1, 2])
    assert combinators.population({"0-2": spy(1.0)}, Lanes()).practise is None


def test_joint_actions_of_play_inside_members_are_counted_together():
    extra = lambda env: spy(1.0)(env)._replace(update=lambda key, state, steps: (state, {"extra_steps": 5.0}))  # noqa: E731
    _, _, metrics = iterations(combinators.population({"outer": extra, "inner": extra}, Lanes()), Lanes(), 1)
    assert {name: float(x) for name, x in metrics.items()} == {"extra_steps": 10.0}


TINY: dict[str, Any] = {
    "seeds": 1,
    "envs": 2,
    "chunk": 1,
    "evaluations": 1,
    "evaluation_episodes": 2,
    "final_episodes": 2,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two learners and a bonus on a game of two, from Python."""
    learners = {"speaker": comity.algorithm("pg", hidden=4), "listener": "pg+counts"}
    settings = comity.population(learners)
    settings = dataclasses.replace(settings, listener=dataclasses.replace(settings.listener, hidden=5))
    env = comity.make("cooperative-communication", length=4)
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMITY_PROGRAMS", "")
        return comity.train(env, settings, out=out, progress=False, iterations=4, **TINY), env, settings, out


def test_a_run_is_loaded_and_resumed_to_the_same_bits(trained):
    run, env, settings, out = trained
    again = comity.load(run.path)
    assert again.recipe.config == settings
    assert again.recipe.algorithm.name == "speaker:pg,listener:pg+counts"
    half = comity.train(env, settings, out=out, progress=False, iterations=2, **TINY)
    resumed = comity.resume(half.path, iterations=4, progress=False)
    assert resumed.iteration == again.iteration == 4
    for name, x in again.arrays().items():
        np.testing.assert_array_equal(resumed.arrays()[name], x, err_msg=name)
    last = run.directory.lines("metrics.jsonl")[-1]
    assert {"speaker/policy_loss", "listener/policy_loss", "listener/counts/mean", "return"} <= set(last)


def test_a_run_is_filmed_with_what_every_member_notes(trained):
    run, env, *_ = trained
    film = run.film(games=2, episode=0)
    steps = len(film.rewards)
    assert film.probabilities.shape == (steps, env.spec.agents, env.spec.action.n)
    assert film.values.shape == (steps, env.spec.agents)


def test_settings_of_members_from_python():
    settings = comity.algorithm("good:maddpg,adversary:ddpg", "good:paper", adversary={"gamma": 0.5})
    assert (settings.good.batch, settings.adversary.batch, settings.adversary.gamma) == (1_024, 256, 0.5)
    for preset, values, line in (
        ("godo:paper", {}, r"^preset 'godo:paper': no godo is in good:maddpg,adversary:ddpg; give good:PRESET$"),
        ("good:papr", {}, r"^preset 'papr' of maddpg is not one of .*; did you mean paper\?$"),
        (None, {"gamma": 0.5}, r"^good:maddpg,adversary:ddpg has no setting gamma; known: good, adversary$"),
        (None, {"good": {"gama": 0.5}}, r"^maddpg has no setting gama; did you mean gamma\?$"),
        (None, {"good": 3}, r"^good:maddpg,adversary:ddpg: good 3 are no settings: give them by name$"),
    ):
        with pytest.raises(ValueError, match=line):
            comity.algorithm("good:maddpg,adversary:ddpg", preset, **values)
    with pytest.raises(ValueError, match=r"^good: 3 is neither a name nor an algorithm's settings"):
        comity.population({"good": 3})


@pytest.mark.learn
@pytest.mark.slow
def test_two_different_learners_train_physical_deception(tmp_path):
    """DDPG chases, MADDPG hides: each side earns more than a random one would in its place against the same other."""
    env = PhysicalDeception()
    learners = comity.population({"adversary": "ddpg", "good": "maddpg"})
    budget: Any = {**TINY, "envs": 32, "chunk": 50, "evaluation_episodes": 32, "final_episodes": 32}
    run = comity.train(env, learners, out=tmp_path, progress=False, iterations=400, **budget)
    adversary, good = run.state()
    parts = {"adversary": find_algorithm("ddpg").thing, "good": find_algorithm("maddpg").thing}

    def earned(trained: set[str]) -> np.ndarray:
        """[2] mean returns of the adversary and of the good agents; who is not trained plays at random."""
        make = {
            role: (lambda env, role=role: parts[role].make(parts[role].Config(), env)) if role in trained else nothing
            for role in parts
        }
        team = combinators.population(make, env)
        states = tuple(x if role in trained else () for role, x in zip(parts, (adversary, good), strict=True))

        @jax.jit
        def play():
            act = lambda *given: team.act(given[0], states, *given[1:])  # noqa: E731
            start = rollout.start(KEY, env, team.memory, 256)
            return rollout.collect_episodes(jax.random.key(1), env, act, start).reward.sum(0).mean(0)

        return np.asarray(play())[:2]

    both, random_adversary, random_good = earned({*parts}), earned({"good"}), earned({"adversary"})
    assert both[0] > random_adversary[0] + 10  # 28 seen
    assert both[1] > random_good[1] + 5  # 12 seen
