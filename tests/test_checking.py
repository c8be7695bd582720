"""Every way in which a game or an algorithm may not fit is told in one line."""

import dataclasses
import re
import sys
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import comity
from comity import checking
from comity.algorithms import ALGORITHMS, random
from comity.learning import masked, sample
from comity.recipes import from_objects
from comity.training.loop import train
from comity.training.settings import Training
from comity.types import Algorithm, Observation, Timestep


class State(NamedTuple):
    time: Any  # [] int32
    last: Any  # [N] int32


@dataclasses.dataclass(frozen=True)
class Game:
    """Fits. Each test changes one thing."""

    length: int = 3
    num_agents, num_actions, view_size, state_size, continuous = 2, 3, 4, 5, False

    def reset(self, key):
        state = State(jnp.zeros((), jnp.int32), jnp.zeros(2, jnp.int32))
        return state, self.observe(state)

    def step(self, key, state, action):
        state = State(state.time + 1, action)
        return state, self.timestep(state, action)

    def timestep(self, state, action):
        reward = (action == 0).astype(jnp.float32)
        return Timestep(self.observe(state), reward, jnp.bool_(False), state.time >= self.length, {"events": reward})

    def observe(self, state):
        view = jnp.zeros((2, 4)).at[:, 0].set(state.time)
        return Observation(view, jnp.zeros(5), jnp.ones((2, 3), bool))


def problems_of(thing: Any, env: Any = None) -> list[str]:
    with pytest.raises(ValueError, match=r".") as caught:
        comity.check(thing, env)
    return str(caught.value).splitlines()


def only_problem_of(thing: Any, env: Any = None) -> str:
    problems = problems_of(thing, env)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_game_that_fits_passes():
    comity.check(Game())
    comity.check(Game(length=1))


# Games, before they are traced


def test_class_instead_of_instance():
    assert only_problem_of(Game) == "Game is a class: give an instance, Game()"


def test_missing_members_are_all_named():
    class Empty:
        num_agents = 2

    problems = problems_of(Empty())
    assert "Empty has no `num_actions`: how many actions an agent has (continuous: how many numbers)" in problems
    assert [re.findall("`(.*)`", line)[0] for line in problems] == [
        "num_actions", "view_size", "state_size", "length", "continuous", "reset", "step",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("num_agents", 0, "`num_agents` is 0, not a whole number of at least 1"),
        ("view_size", 2.5, "`view_size` is 2.5, not a whole number of at least 0"),
        ("continuous", 0, "`continuous` is 0, neither True nor False"),
        ("step", None, "`step` is None, not a method"),
        ("heads", (2, 2), "`heads` is (2, 2): it must be a tuple of action counts whose sum is num_actions 3"),
    ],
)
def test_members_of_the_wrong_kind(name, value, words):
    assert words in only_problem_of(type("Other", (Game,), {name: value})())


def test_dataclass_that_can_be_changed():
    changeable = dataclasses.make_dataclass("Changeable", [("size", int, 1)], bases=())
    for name in ("num_agents", "num_actions", "view_size", "state_size", "length", "continuous", "reset", "step"):
        setattr(changeable, name, getattr(Game, name, 3))
    assert "write @dataclass(frozen=True)" in only_problem_of(changeable())


# Games, traced


def observing(**changes: Any) -> Any:
    class Changed(Game):
        def observe(self, state):
            return super().observe(state)._replace(**changes)

    return Changed()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"view": jnp.zeros((2, 5))}, "observation.view is float32[2, 5]: num_agents 2 and view_size 4 ask for [2, 4]"),
        ({"view": None}, "observation.view is None, not an array"),
        ({"view": jnp.zeros((2, 2, 2))}, "observation.view is float32[2, 2, 2]: num_agents 2 and view_size 4 ask for"),
        ({"state": jnp.zeros((2, 5))}, "observation.state is float32[2, 5], 10 numbers: state_size is 5"),
        ({"state": jnp.zeros(5, complex)}, None),
        ({"state": jax.random.split(jax.random.key(0), 5)}, "networks read numbers"),
        ({"available": jnp.ones((2, 3))}, "observation.available is float32[2, 3]: it must be bool[2, 3]"),
        ({"available": jnp.ones(3, bool)}, "observation.available is bool[3]: it must be bool[2, 3]"),
        ({"available": (jnp.ones((2, 3), bool),)}, "observation.available is a tuple, but the game has no `heads`"),
    ],
)
def test_observation_of_the_wrong_shape(changes, words):
    if words is None:
        comity.check(observing())
    else:
        assert words in only_problem_of(observing(**changes))


def test_heads_need_one_mask_each():
    heads = type("Heads", (Game,), {"heads": (1, 2)})()
    assert "observation.available is no tuple, but the game has `heads`" in only_problem_of(heads)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reward": jnp.zeros(())}, "reward is float32[]: it must be float32[2]"),
        ({"reward": jnp.zeros(2, int)}, "reward is int32[2]: it must be float32[2]"),
        ({"terminated": False}, None),
        ({"terminated": jnp.zeros(2, bool)}, "terminated is bool[2]: it must be bool[]"),
        ({"truncated": jnp.zeros(())}, "truncated is float32[]: it must be bool[]"),
        ({"info": ()}, "info is a tuple of 0: it must be a dict"),
        (
            {"info": {"doors": jnp.zeros(3)}},
            "info['doors'] is float32[3]: it must be one number [] or one per agent [2]",
        ),
        ({"info": {"return": jnp.zeros(())}}, "info has the name 'return', which every game's statistics use"),
        ({"observation": ()}, "timestep.observation is a tuple of 0: it must be an Observation"),
    ],
)
def test_timestep_of_the_wrong_shape(changes, words):
    class Changed(Game):
        def timestep(self, state, action):
            return super().timestep(state, action)._replace(**changes)

    if words is None:  # a Python bool is as good
        checking.refuse(random.make, random.Config(), Changed())
    else:
        assert words in only_problem_of(Changed())


def test_what_reset_and_step_return():
    class Bare(Game):
        def reset(self, key):
            return super().reset(key)[1]

    class Short(Game):
        def step(self, key, state, action):
            return (*super().step(key, state, action), 0)

    assert only_problem_of(Bare()) == "reset returns an Observation: it must return (state, Observation)"
    assert only_problem_of(Short()) == "step returns a tuple of 3: it must return (state, Timestep)"


def test_state_that_changes_its_dtype_or_structure():
    class Floats(Game):
        def step(self, key, state, action):
            state, timestep = super().step(key, state, action)
            return state._replace(time=state.time * 1.0), timestep

    class Grows(Game):
        def step(self, key, state, action):
            state, timestep = super().step(key, state, action)
            return state._replace(last={"a": state.last, "b": state.last}), timestep

    words = "state.time is int32[] from reset and float32[] from step: it must stay the same"
    assert only_problem_of(Floats()) == words
    assert "the structure of state differs between reset and step: state.last is gone" in only_problem_of(Grows())


def test_observation_that_changes():
    class Changes(Game):
        def timestep(self, state, action):
            timestep = super().timestep(state, action)
            view = timestep.observation.view.astype(jnp.int8)
            return timestep._replace(observation=timestep.observation._replace(view=view))

    assert "observation.view is float32[2, 4] from reset and int8[2, 4] from step" in only_problem_of(Changes())


def test_python_that_asks_for_a_value():
    class Asks(Game):
        def step(self, key, state, action):
            if action[0] == 0:
                return super().step(key, state, action)
            return state, self.timestep(state, action)

    problem = only_problem_of(Asks())
    assert "step cannot be traced by jax: it asks for the value of an array (test_checking.py, line" in problem
    assert "jnp.where" in problem


def test_an_error_of_the_game_is_told_with_its_place():
    class Fails(Game):
        def step(self, key, state, action):
            return state.tiem

    problem = only_problem_of(Fails())
    assert "step cannot be traced by jax: AttributeError: 'State' object has no attribute 'tiem'" in problem
    assert "(test_checking.py, line" in problem


def test_hidden_state():
    class Counts(Game):
        count = [0]  # noqa: RUF012

        def step(self, key, state, action):
            self.count[0] += 1
            state, timestep = super().step(key, state, action)
            return state, timestep._replace(reward=timestep.reward * self.count[0])

    class Draws(Game):
        def reset(self, key):
            state, observation = super().reset(key)
            return state, observation._replace(view=observation.view + np.random.default_rng().uniform())

    assert "step does something else when it is called again" in only_problem_of(Counts())
    assert "reset does something else when it is called again" in only_problem_of(Draws())


def test_arrays_kept_from_an_earlier_call():
    class Keeps(Game):
        kept = []  # noqa: RUF012

        def step(self, key, state, action):
            state, timestep = super().step(key, state, action)
            before = self.kept[-1] if self.kept else timestep.reward
            self.kept.append(timestep.reward)
            return state, timestep._replace(reward=timestep.reward + before)

    assert "step keeps arrays of an earlier call" in only_problem_of(Keeps())


def test_optional_members():
    class Summary(Game):
        def summary(self, reward, info, valid):
            return {"score": reward.sum()}

    class Draw(Game):
        def draw(self, state):
            return np.zeros((4, 4))

    class Breaks(Game):
        def draw(self, state):
            return state.tiem

    assert "summary's 'score' is float32[] for 8 games: it must be [B] or [B, N]" in only_problem_of(Summary())
    assert only_problem_of(Draw()) == "draw returns float64[4, 4]: it must return a numpy array uint8 [H, W, 3]"
    assert "draw fails on the state after reset: AttributeError" in only_problem_of(Breaks())
    headline = only_problem_of(type("Headline", (Game,), {"headline": "sucess"})())
    assert headline == "headline is 'sucess', which is no statistic: there are events, length, return"
    names = only_problem_of(type("Names", (Game,), {"action_names": ("left",)})())
    assert names == "action_names has 1 entry, num_actions is 3"
    agents = only_problem_of(type("Agents", (Game,), {"agent_names": ("a",)})())
    assert agents == "agent_names has 1 entry, num_agents is 2"
    history = only_problem_of(type("History", (Game,), {"history_size": 5})())
    assert history == "`history_size` is 5: it must be a whole number from 0 to view_size 4"


def test_rewards_for_the_learner_alone():
    class Shaped(Game):
        def training_reward(self, key, steps, iteration):
            return steps.reward.sum(-1)

    assert only_problem_of(Shaped()) == "training_reward gives float32[3, 8] for rewards float32[3, 8, 2]"


def test_what_a_replay_keeps():
    class Half(Game):
        def pack(self, observation):
            return observation

    class Loses(Half):
        def unpack(self, codes):
            return codes._replace(view=0 * codes.view)

    class Widens(Half):
        def unpack(self, codes):
            return codes._replace(view=codes.view.astype(jnp.int32))

    class Whole(Half):
        def unpack(self, codes):
            return codes

    assert only_problem_of(Half()) == "pack and unpack belong together: give both, or neither"
    assert "unpack gives another observation than pack was given" in only_problem_of(Loses())
    assert "view" in only_problem_of(Widens())
    comity.check(Whole())  # raises nothing


def test_step_of_all_games_at_once():
    class Together(Game):
        def step_games(self, keys, state, action):
            return jax.vmap(self.step)(keys, state, 0 * action)

    assert "step_games gives another result than step of each game" in only_problem_of(Together())


def test_images():
    image = observing(view=jnp.zeros((2, 5, 6, 3)))
    assert "view_size 4 ask for [2, 4]" in only_problem_of(image)
    comity.check(type("Image", (type(image),), {"view_size": (5, 6, 3)})())


# Games, played


def test_episode_longer_than_length():
    class Endless(Game):
        def timestep(self, state, action):
            return super().timestep(state, action)._replace(truncated=state.time > self.length)

    assert "an episode lasts longer than length 3" in only_problem_of(Endless())


def test_no_available_action_and_infinite_reward():
    class Stuck(Game):
        def observe(self, state):
            observation = super().observe(state)
            return observation._replace(available=observation.available & (state.time != 1))

        def timestep(self, state, action):
            timestep = super().timestep(state, action)
            return timestep._replace(reward=timestep.reward / (state.time - 2))

    problems = problems_of(Stuck())
    assert any("an agent has no available action in a running game" in line for line in problems)
    assert "reward becomes NaN or infinite in random play" in problems


def test_randomness_from_outside():
    class Calls(Game):
        def timestep(self, state, action):
            timestep = super().timestep(state, action)
            draw = lambda: np.random.default_rng().uniform(size=2).astype(np.float32)  # noqa: E731
            noise = jax.pure_callback(draw, jax.ShapeDtypeStruct((2,), np.float32), vmap_method="sequential")
            return timestep._replace(reward=timestep.reward + noise)

    assert "the same keys, states and actions give another result the second time" in only_problem_of(Calls())


# Algorithms


def own(make: Any = random.make, **settings: Any) -> Any:
    """A Config instance of a module with this `make`. settings: fields with their defaults."""
    module = ModuleType("own_algorithm")
    fields = [(name, type(value), value) for name, value in settings.items()]
    config = dataclasses.make_dataclass("Config", fields, frozen=True, namespace={"__module__": module.__name__})
    module.make, module.Config = make, config  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules[module.__name__] = module
    return config()


def changed(**parts: Any) -> Algorithm:
    """Random play with other parts."""
    return random.make(random.Config(), Game())._replace(**parts)  # pyright: ignore[reportArgumentType]


def act(key, state, memory, observation, explore=True):
    logits = masked(jnp.zeros(observation.available.shape), observation.available)
    return sample(key, logits), memory, {}


def test_algorithms_that_fit_pass_in_every_form():
    for thing in (changed(), random, random.Config(), own()):
        comity.check(thing)
    comity.check(random, Game())


def test_what_make_returns():
    assert only_problem_of(own(lambda config, env: None)).startswith("make returns None: it must return an Algorithm")
    module = ModuleType("no_make")
    with pytest.raises(ValueError, match=r"no_make has no make\(config, env\)"):
        comity.check(module)


def test_make_that_refuses():
    def make(config, env):
        raise ValueError("needs a team of three: got two")

    assert "make fails on a small game of two agents and three actions: needs a team of three" in only_problem_of(
        own(make)
    )
    assert only_problem_of(own(make), Game()) == "needs a team of three: got two"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"init": lambda: ()}, "init() cannot be called as init(key)"),
        ({"act": lambda key, state, memory, observation: None}, "cannot be called as act(key, state, memory,"),
        ({"update": lambda state, steps: None}, "update(state, steps) cannot be called as update(key, state, steps)"),
        ({"update": 3}, "update is 3, not a function update(key, state, steps)"),
        ({"steps": 0}, "steps is 0: give a whole number of at least 1"),
        ({"memory": jnp.zeros(3)}, "memory is float32[3]: its first axis must be the 2 agents"),
    ],
)
def test_signatures_and_members(parts, words):
    assert words in only_problem_of(changed(**parts))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda action, memory: (action, memory), "returns a tuple of 2: it must return (action, memory, notes)"),
        (lambda action, memory: (action * 1.0, memory, {}), "gives actions float32[8, 2]: this game takes int32[8, 2]"),
        (lambda action, memory: (action[0], memory, {}), "gives actions int32[2]: this game takes int32[8, 2]"),
        (
            lambda action, memory: (action, {"h": memory}, {}),
            "the structure of memory differs between Algorithm.memory",
        ),
        (
            lambda action, memory: (action, memory.astype(int), {}),
            "memory is float32[8, 2] from Algorithm.memory and int",
        ),
        (lambda action, memory: (action, memory, None), "gives notes None: they must be a dict"),
        (lambda action, memory: (action, memory, {"value": jnp.zeros(2)}), "notes.value as float32[2]: it must begin"),
    ],
)
def test_what_act_returns(result, words):
    def other(key, state, memory, observation, explore=True):
        return result(act(key, state, memory, observation)[0], memory)

    assert words in only_problem_of(changed(act=other, memory=jnp.zeros(2)))


def test_act_takes_any_leading_axes():
    def batched(key, state, memory, observation, explore=True):
        games, agents, _ = observation.available.shape
        return jnp.zeros((games, agents), jnp.int32), memory, {}

    problem = only_problem_of(changed(act=batched))
    assert problem.startswith("act on leaves [N, ...] cannot be traced by jax: not enough values to unpack")


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (lambda key, state, steps: state, "update returns a tuple of 0: it must return (state, metrics)"),
        (lambda key, state, steps: ((1.0,), {}), "the structure of state differs between init and update"),
        (
            lambda key, state, steps: (state, {"loss": steps.reward}),
            "metric 'loss' is float32[6, 8, 2]: it must be one",
        ),
        (lambda key, state, steps: (state, {"return": jnp.zeros(())}), "metric 'return' has a name that every run's"),
    ],
)
def test_what_update_returns(update, words):
    assert words in only_problem_of(changed(update=update, whole_episodes=True))


def test_state_that_changes_its_dtype():
    problem = only_problem_of(
        changed(init=lambda key: {"n": jnp.int32(0)}, update=lambda key, state, steps: ({"n": state["n"] / 2}, {}))
    )
    assert problem == "state.n is int32[] from init and float32[] from update: it must stay the same"


def test_float_settings_that_decide_in_python():
    def make(config, env):
        if config.clip > 0:
            pass
        return random.make(random.Config(), env)

    problem = only_problem_of(own(make, learning_rate=0.1, clip=1.0))
    assert problem.startswith("setting clip is declared float, so it is traced, but Python asks for its value (test_")


def test_algorithm_with_hidden_state():
    count = [0]

    def update(key, state, steps):
        count[0] += 1
        return state, {"count": jnp.float32(count[0])}

    assert "update does something else when it is called again" in only_problem_of(changed(update=update))


def test_action_that_is_not_available():
    def ignores(key, state, memory, observation, explore=True):
        return jax.random.randint(key, observation.available.shape[:-1], 0, 3), memory, {}

    problems = problems_of(changed(act=ignores))
    assert "act chooses an action that is not available: use comity.learning.masked" in problems


def test_action_that_reads_the_state():
    def peeks(key, state, memory, observation, explore=True):
        choice = observation.state[..., None, :3].argmax(-1, keepdims=True) == jnp.arange(3)
        logits = jnp.broadcast_to(choice * 1.0, observation.available.shape)
        return masked(logits, observation.available).argmax(-1), memory, {}

    problems = problems_of(changed(act=peeks))
    assert "act reads observation.state: an action may depend on view and available alone" in problems


def test_action_that_depends_on_other_games():
    def mixes(key, state, memory, observation, explore=True):
        games = observation.view.reshape(-1, 2, 4).sum((0, 1))[3]
        logits = jnp.broadcast_to(jnp.arange(3.0) * jnp.sign(games - 0.001), observation.available.shape)
        return masked(logits, observation.available).argmax(-1), memory, {}

    problem = only_problem_of(changed(act=mixes))
    assert problem == "act chooses otherwise for a game among others than for the same game alone"


def test_update_that_makes_nan():
    def update(key, state, steps):
        return {"weight": jnp.sqrt(state["weight"] - 1)}, {}

    problem = only_problem_of(changed(init=lambda key: {"weight": jnp.zeros(2)}, update=update))
    assert problem == "after one update: state.weight is NaN or infinite"


def test_training_refuses_before_it_writes(tmp_path):
    recipe = from_objects(observing(view=jnp.zeros((2, 5))), "pg")
    with pytest.raises(ValueError, match=r"view_size 4 ask for \[2, 4\]"):
        train(recipe, Training(seeds=1, iterations=1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_refusal_is_one_line():
    class Several(Game):
        def timestep(self, state, action):
            return super().timestep(state, action)._replace(reward=jnp.zeros(()), info=())

    with pytest.raises(ValueError, match=r"^reward is .* \(and 1 more: comity.check\(game\) lists them\)$"):
        checking.refuse(random.make, random.Config(), Several())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_settings_say_whose_they_are(name):
    """So that `train` takes `comity.algorithm(name, ...)` for every algorithm."""
    recipe = from_objects(Game(), comity.algorithm(name))
    assert recipe.algorithm.name == name
