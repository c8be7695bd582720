"""comity's games for PettingZoo, PettingZoo's games for comity."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pettingzoo")
gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402
from pettingzoo import ParallelEnv  # noqa: E402
from pettingzoo.test import parallel_api_test  # noqa: E402

import comity  # noqa: E402
from comity import interop  # noqa: E402
from comity.spec import Box  # noqa: E402

GAMES = {
    "discrete": ("cooperative-navigation", {"length": 7}),
    "continuous": ("cooperative-navigation", {"length": 7, "actions": "continuous"}),
    "unequal": ("physical-deception", {"length": 7}),
    "masks": ("manitokan", {"length": 12}),
    "heads": ("prisoners-buddy", {"length": 6}),
    "one step": ("matrix", {}),
}


@functools.cache
def game(kind: str):
    name, options = GAMES[kind]
    return comity.make(name, **options)


@pytest.mark.parametrize("kind", GAMES)
def test_games_pass_pettingzoos_own_test(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parallel_api_test(interop.to_pettingzoo(game(kind)), num_cycles=30)


def played(env, seed: int, steps: int = 40):
    """All that an environment gave, with actions drawn where masks allow, over several episodes."""
    told = []
    observations, infos = env.reset(seed=seed)
    for k, name in enumerate(env.possible_agents):
        env.action_space(name).seed(seed + k)
    for _ in range(steps):

        def draw(name, infos=infos):
            mask, space = infos[name]["action_mask"], env.action_space(name)
            return space.sample(mask) if isinstance(space, spaces.Discrete) else space.sample()

        *found, infos = env.step({name: draw(name) for name in env.agents})
        told.append((observations, *found, env.state()))
        observations = found[0]
        if not env.agents:
            observations, infos = env.reset()
    return told


@pytest.mark.parametrize("kind", ["masks", "continuous", "heads"])
def test_one_seed_is_one_history(kind):
    """Forty steps through several episodes, twice in one environment and once in another."""
    first = interop.to_pettingzoo(game(kind))
    one, again, other = played(first, 3), played(first, 3), played(interop.to_pettingzoo(game(kind)), 3)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    different = played(first, 4)
    assert any((x != y).any() for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(different), strict=True))


def test_an_episode_is_that_of_the_game():
    """Step by step the numbers of `env.step` with the same keys."""
    env = game("masks")
    parallel = interop.to_pettingzoo(env)
    views, infos = parallel.reset(seed=0)
    state, seen = parallel._state, parallel._seen
    for t in range(env.spec.length):
        joint = np.array([np.flatnonzero(infos[name]["action_mask"])[t % 2] for name in parallel.agents])
        key = jax.random.split(parallel._key)[1]
        names = list(parallel.agents)
        views, rewards, terminated, truncated, infos = parallel.step(dict(zip(names, joint, strict=True)))
        state, timestep = env.step(key, state, jnp.asarray(joint))
        seen = timestep.observation
        np.testing.assert_array_equal(np.stack(list(views.values())), seen.view)
        np.testing.assert_allclose(list(rewards.values()), timestep.reward)
        assert set(terminated.values()) == {bool(timestep.terminated)}
        assert set(truncated.values()) == {bool(timestep.truncated)}
        if not parallel.agents:
            break
    with pytest.raises(RuntimeError, match="the episode is over"):
        parallel.step({})


def test_games_get_the_number_of_the_episode():
    parallel = interop.to_pettingzoo(comity.make("manitokan", length=2, order="alternating"))
    leaders = []
    for seed in (3, None, None, 3):
        parallel.reset(seed=seed)
        leaders.append(int(parallel._state.order[0]))
    assert leaders == [0, 1, 0, 0]


def test_bad_use_is_said_in_a_line():
    with pytest.raises(ValueError, match="render_mode 'human' is not None or 'rgb_array'"):
        interop.to_pettingzoo(game("masks"), render_mode="human")
    with pytest.raises(ValueError, match="Matrix draws no pictures"):
        interop.to_pettingzoo(game("one step"), render_mode="rgb_array")
    with pytest.raises(ValueError, match=r"stepped by Python already, .*: use that environment itself"):
        interop.to_pettingzoo(interop.from_pettingzoo(Guess, length=10))
    parallel = interop.to_pettingzoo(game("one step"))
    parallel.reset(seed=0)
    with pytest.raises(ValueError, match="no action for agent_1"):
        parallel.step({"agent_0": 0})


def test_pictures():
    parallel = interop.to_pettingzoo(game("masks"), render_mode="rgb_array")
    parallel.reset(seed=0)
    picture = parallel.render()
    assert picture is not None
    assert picture.dtype == np.uint8
    assert picture.shape[-1] == 3


# A game of somebody else ----------------------------------------------------------------------------------------------


class Guess(ParallelEnv):
    """Each agent sees a light and is paid for naming it; `short` has two actions and two lights, `long` three. `short`
    leaves after three steps, `long` after five, and nobody may name 0 twice in a row."""

    metadata = {"name": "guess"}  # noqa: RUF012

    def __init__(self, boxes: bool = False):
        self.possible_agents, self.agents, self.boxes = ["short", "long"], [], boxes

    def observation_space(self, agent):
        return spaces.Dict(
            {"observation": spaces.Discrete(self.size(agent)), "action_mask": spaces.MultiBinary(self.size(agent))}
        )

    def action_space(self, agent):
        return spaces.Box(-3.0, 1.0, (1,), np.float32) if self.boxes else spaces.Discrete(self.size(agent))

    @staticmethod
    def size(agent):
        return {"short": 2, "long": 3}[agent]

    def seen(self):
        self.lights = {name: int(self.rng.integers(self.size(name))) for name in self.possible_agents}
        mask = lambda name: np.array([self.last.get(name) != 0, *[True] * (self.size(name) - 1)], np.int8)  # noqa: E731
        return {name: {"observation": self.lights[name], "action_mask": mask(name)} for name in self.agents}

    def reset(self, seed=None, options=None):
        self.rng, self.time, self.last = np.random.default_rng(seed), 0, {}
        self.agents = list(self.possible_agents)
        return self.seen(), {name: {} for name in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.time += 1
        if self.boxes:
            assert all(-3 <= float(a[0]) <= 1 for a in actions.values())
            rewards = {name: -abs(float(a[0]) + 2) for name, a in actions.items()}
        else:
            assert all(not (a == 0 and self.last.get(name) == 0) for name, a in actions.items())
            rewards = {name: float(actions[name] == self.lights[name]) for name in actions}
            self.last = dict(actions)
        over = {name: self.time >= {"short": 3, "long": 5}[name] for name in actions}
        self.agents = [name for name in self.agents if not over[name]]
        return self.seen(), rewards, over, dict.fromkeys(actions, False), {name: {} for name in actions}


def test_sizes_of_agents_that_differ():
    hosted = interop.from_pettingzoo(Guess, length=10)
    assert (hosted.spec.agents, hosted.spec.action.n, hosted.spec.view.size, hosted.spec.state.size) == (2, 3, 3, 6)
    host = hosted.host(2)
    seen = host.begin(np.ones(2, bool), np.arange(2))
    assert not seen.available[:, 0, 2].any()
    assert seen.available[:, 1].all()
    np.testing.assert_array_equal(seen.view.sum(-1), 1)


@pytest.mark.learn
def test_a_learner_learns_somebody_elses_game(tmp_path):
    """PPO names the lights. Of 8 points per episode chance gives about 3.2; the mask costs a few."""
    config = comity.algorithm(
        "ippo", learning_rate=0.01, critic_learning_rate=0.01, steps=20, chunk=1, encoder=(16,), hidden=8
    )
    hosted = interop.from_pettingzoo(Guess, length=10)
    run = comity.train(
        hosted, config, iterations=60, envs=8, seeds=1, evaluations=1, evaluation_episodes=16, final_episodes=16,
        out=tmp_path, progress=False,
    )  # fmt: skip
    points = 2 * run.curve("return")[1][0]
    assert points[0] < 4.5
    assert points[-1] > 5.5


def test_boxes_are_scaled_to_their_bounds(tmp_path):
    """DDPG finds -2 between -3 and 1."""
    hosted = interop.from_pettingzoo(Guess, length=10, boxes=True)
    assert hosted.spec.action == Box(1)
    settings = {"steps": 5, "hidden": 16, "every": 4, "warmup": 64, "batch": 32, "capacity": 4_000, "tau": 0.05}
    settings |= {"learning_rate": 3e-3, "critic_learning_rate": 5e-3, "logit_penalty": 0.0, "noise": 0.3}
    run = comity.train(
        hosted, comity.algorithm("iddpg", **settings), iterations=60, envs=8, seeds=1, evaluations=0,
        evaluation_episodes=1, final_episodes=1, out=tmp_path, progress=False,
    )  # fmt: skip
    seen = comity.Observation(*hosted.host(4).begin(np.ones(4, bool), np.arange(4)))
    action = run.act(jax.random.key(0), (), seen, explore=False)[0]
    np.testing.assert_allclose(action, -0.5, atol=0.15)
    assert hosted.spaces.action_of(0, np.array([-0.5])) == pytest.approx(-2.0)
    with pytest.raises(ValueError, match="chooses among discrete actions"):
        comity.train(hosted, "qmix", iterations=1, progress=False)


def test_comitys_own_game_there_and_back(tmp_path):
    """As a PettingZoo environment, trained from outside: sizes and rewards are the game's."""
    env = game("discrete")
    hosted = interop.from_pettingzoo(lambda: interop.to_pettingzoo(env), length=env.spec.length)
    assert hosted.spec.agents == env.spec.agents
    assert (hosted.spec.action, hosted.spec.view.size, hosted.spec.state.size) == (
        env.spec.action, env.spec.view.size, env.spec.state.size
    )  # fmt: skip
    comity.check(hosted)
    run = comity.train(
        hosted, "random", iterations=2, envs=2, seeds=1, evaluations=0, evaluation_episodes=2, final_episodes=2,
        out=tmp_path, progress=False,
    )  # fmt: skip
    assert run.env_steps == {0: 2 * 2 * env.spec.length}
    assert run.play(2)[0]["mean"]["return"] < 0
