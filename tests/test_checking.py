"""Every way in which a game or an algorithm may not fit gives one line."""

import dataclasses
import sys
from types import ModuleType
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import comity
from comity import checking
from comity.algorithms import ALGORITHMS, random
from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.learning import masked, sample
from comity.recipes import from_objects
from comity.spec import Box, Discrete, Entities, Image, MultiDiscrete, Spec, Vector
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

    @property
    def spec(self) -> Spec:
        return Spec(2, Vector(4), Discrete(3), self.length, state=Vector(5))

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


def saying(base: type = Game, **changes: Any) -> Any:
    """A game whose spec says something else."""

    class Changed(base):
        @property
        def spec(self) -> Spec:
            return dataclasses.replace(super().spec, **changes)

    return Changed()


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
        pass

    spec, reset, step = problems_of(Empty())
    assert spec == (
        "Empty has no `spec`: write spec = Spec(agents=2, view=Vector(4), action=Discrete(3), length=10), how many "
        "play, what each sees, what each does, and the most steps of an episode; all are in comity.spec"
    )
    assert reset == "Empty has no `reset`: reset(key) -> (state, observation)"
    assert step == "Empty has no `step`: step(key, state, action) -> (state, timestep)"


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ({"continuous": False}, "Spec(agents=4, view=Vector(7), action=Discrete(5), length=3, state=Vector(9)), "),
        ({"continuous": True}, "Spec(agents=4, view=Vector(7), action=Box(5), length=3, state=Vector(9)), "),
        (
            {"view_size": (5, 6, 3), "state_size": 0},
            "Spec(agents=4, view=Image(5, 6, 3), action=Discrete(5), length=3), ",
        ),
        (
            {"heads": (2, 3)},
            "Spec(agents=4, view=Vector(7), action=MultiDiscrete((2, 3)), length=3, state=Vector(9)), ",
        ),
    ],
)
def test_a_game_from_before_the_spec_is_told_its_own(old, said):
    members = {"num_agents": 4, "num_actions": 5, "view_size": 7, "state_size": 9, "length": 3, "continuous": False}
    old = type("Old", (), {**members, **old, "reset": Game.reset, "step": Game.step})()
    problem = only_problem_of(old)
    assert problem.startswith(f"Old has no `spec`: write spec = {said}")
    assert "it takes the place of num_agents, num_actions, view_size, state_size" in problem


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (3, "`spec` is 3: it must be a comity.spec.Spec"),
        (lambda self: 3, "`spec` is a method: write @property above it"),
        (property(lambda self: self.tiem), "spec fails: AttributeError: 'Other' object has no attribute 'tiem'"),
    ],
)
def test_a_spec_that_is_none(spec, words):
    assert words in only_problem_of(type("Other", (Game,), {"spec": spec})())


PARTS = Entities((0,), ((1, 2, 3),), (1,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agents": 0}, "`spec.agents` is 0, not a whole number of at least 1: how many agents play"),
        ({"length": 2.5}, "`spec.length` is 2.5, not a whole number of at least 1: the most steps of an episode"),
        ({"view": 4}, "`spec.view` is 4: it must be Vector(size) or Image(height, width, channels), what each agent"),
        ({"view": Vector(-1)}, "`spec.view.size` is -1, not a whole number of at least 0"),
        ({"view": Image(5, 0, 3)}, "`spec.view.width` is 0, not a whole number of at least 1"),
        ({"view": Vector(3, PARTS)}, "`spec.view.entities` has the column 3: there are 0 to 2"),
        ({"view": Vector(4, Entities((0,), (), (1,)))}, "`spec.view.entities` has 0 others and 1 offsets"),
        (
            {"view": Vector(4, Entities((), ((0,), (1, 2)), (1, 2)))},
            "`spec.view.entities` has others of unequal length",
        ),
        (
            {"view": Vector(4, cast(Any, (0, 1)))},
            "`spec.view.entities` is (0, 1): it must be Entities(own, others, offsets)",
        ),
        ({"action": 3}, "`spec.action` is 3: it must be Discrete(n), MultiDiscrete((n1, n2)) or Box(n)"),
        ({"action": Discrete(0)}, "`spec.action.n` is 0, not a whole number of at least 1: how many actions an agent"),
        ({"action": Box(True)}, "`spec.action.n` is True, not a whole number of at least 1: how many numbers an agent"),
        ({"action": MultiDiscrete(cast(Any, 3))}, "`spec.action.heads` is 3: it must be a tuple of action counts"),
        ({"action": MultiDiscrete((2, 0))}, "`spec.action.heads[1]` is 0, not a whole number of at least 1"),
        ({"action": MultiDiscrete((2, 1), pointer=2)}, "`spec.action.pointer` is 2: it must be one of the 2 heads"),
        ({"action": MultiDiscrete((2, 1), pointer=1)}, "a head of 1 actions: spec.view.entities has 0 others"),
        ({"state": 5}, "`spec.state` is 5: it must be Vector(size) or Image(height, width, channels), what only a"),
        (
            {"private": Vector(3)},
            "`spec.private` asks for 6 numbers at the end of the state, 3 for each agent: spec.state",
        ),
        ({"private": Image(1, 1, 1)}, "it must be Vector(size), what of the state is for one agent's critic"),
        ({"history": 5}, "`spec.history` is 5: it must be a whole number from 0 to 4, of vectors of 4 numbers"),
        ({"history": -1}, "`spec.history` is -1: it must be a whole number of 0 or more"),
        ({"mixed_motive": 0}, "`spec.mixed_motive` is 0: it must be True or False"),
        ({"headline": None}, "`spec.headline` is None: it must be the name of a statistic"),
        ({"scripts": "all-c"}, "`spec.scripts` is 'all-c': it must be a tuple of names"),
        ({"meta": 3}, "`spec.meta` is 3: it must be None or MetaEpisodes"),
        ({"event_names": "events"}, "`spec.event_names` is 'events': it must be None or a tuple of names"),
        ({"unread": ("size",)}, "`spec.unread` is ('size',): it must be a frozenset of names of settings"),
        ({"agent_names": ("a",)}, "spec.agent_names has 1 entry, spec.agents is 2"),
        ({"agent_colours": ("#000000",) * 3}, "spec.agent_colours has 3 entries, spec.agents is 2"),
        ({"action_names": ("left",)}, "spec.action_names has 1 entry, spec.action.n is 3"),
        ({"action_names": (("left",),)}, "it must be a tuple of names, of several heads a tuple for each"),
    ],
)
def test_a_spec_that_says_what_cannot_be(changes, words):
    assert words in only_problem_of(saying(**changes))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((("a", "b"),), "spec.action_names has 1 entry, the number of heads is 2"),
        ((("a", "b"), ("c", "d")), "spec.action_names[1] has 2 entries, spec.action.heads[1] is 1"),
    ],
)
def test_names_of_the_actions_of_each_head(names, words):
    assert words in only_problem_of(saying(action=MultiDiscrete((2, 1)), action_names=names))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((("a", "b"),), "spec.action_names has 1 entry, spec.agents is 2"),
        ((("a", "b"), ("c",)), "spec.action_names[1] has 1 entry, spec.action.n is 2"),
        ((("a", "b"), "c"), "it must be a tuple of names, of several heads a tuple for each, of numbers one for all"),
    ],
)
def test_names_of_the_numbers_of_each_agent(names, words):
    assert words in only_problem_of(saying(action=Box(2), action_names=names))


def test_a_method_that_is_none():
    assert "`step` is None, not a method" in only_problem_of(type("Other", (Game,), {"step": None})())


def test_a_spec_is_no_setting():
    spec = Spec(2, Vector(4), Discrete(3), 3, state=Vector(5))
    field = dataclasses.make_dataclass("Field", [("spec", Spec, dataclasses.field(default=spec))], frozen=True)
    field.reset, field.step = Game.reset, Game.step
    assert "`spec` is a field of the dataclass" in only_problem_of(field())


def test_dataclass_that_can_be_changed():
    changeable = dataclasses.make_dataclass("Changeable", [("size", int, 1)], bases=())
    changeable.spec, changeable.reset, changeable.step = Game().spec, Game.reset, Game.step
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
        (
            {"view": jnp.zeros((2, 5))},
            "observation.view is float32[2, 5]: 2 agents and vectors of 4 numbers ask for [2, 4]",
        ),
        ({"view": None}, "observation.view is None, not an array"),
        (
            {"view": jnp.zeros((2, 2, 2))},
            "observation.view is float32[2, 2, 2]: 2 agents and vectors of 4 numbers ask for",
        ),
        ({"state": jnp.zeros((2, 5))}, "observation.state is float32[2, 5], 10 numbers: spec.state has 5"),
        ({"state": jnp.zeros(5, complex)}, None),
        ({"state": jax.random.split(jax.random.key(0), 5)}, "networks read numbers"),
        ({"available": jnp.ones((2, 3))}, "observation.available is float32[2, 3]: it must be bool[2, 3]"),
        ({"available": jnp.ones(3, bool)}, "observation.available is bool[3]: it must be bool[2, 3]"),
        (
            {"available": (jnp.ones((2, 3), bool),)},
            "observation.available is a tuple, but spec.action is no MultiDiscrete",
        ),
    ],
)
def test_observation_of_the_wrong_shape(changes, words):
    if words is None:
        comity.check(observing())
    else:
        assert words in only_problem_of(observing(**changes))


def test_heads_need_one_mask_each():
    heads = saying(action=MultiDiscrete((1, 2)))
    assert "observation.available is no tuple, but spec.action is MultiDiscrete" in only_problem_of(heads)


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
    headline = only_problem_of(saying(headline="sucess"))
    assert headline == "spec.headline is 'sucess', which is no statistic: there are events, length, return"
    assert only_problem_of(saying(scripts=("all-c",))) == (
        "spec.scripts has names, but the game has no script(name) -> (memory, act)"
    )


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
    assert "vectors of 4 numbers ask for [2, 4]" in only_problem_of(image)
    pictures = saying(type(image), view=Image(5, 6, 3))
    assert "a picture holds whole numbers from 0 to 255; give uint8" in only_problem_of(pictures)
    comity.check(saying(type(observing(view=jnp.zeros((2, 5, 6, 3), jnp.uint8))), view=Image(5, 6, 3)))


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
    assert problem == "act chooses another action for a game in a batch than for the same game alone"


def test_update_that_makes_nan():
    def update(key, state, steps):
        return {"weight": jnp.sqrt(state["weight"] - 1)}, {}

    problem = only_problem_of(changed(init=lambda key: {"weight": jnp.zeros(2)}, update=update))
    assert problem == "after one update: state.weight is NaN or infinite"


def test_training_refuses_before_it_writes(tmp_path):
    recipe = from_objects(observing(view=jnp.zeros((2, 5))), "pg")
    with pytest.raises(ValueError, match=r"vectors of 4 numbers ask for \[2, 4\]"):
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


@pytest.mark.parametrize("mean", [0.0, np.nan])
def test_numbers_may_lie_outside_their_bounds_but_are_finite(mean):
    """Games get them clipped; a normal policy draws without bounds."""
    env = CooperativeNavigation(agents=2, length=3, actions="continuous")

    def act(key, state, memory, observation, explore=True):
        drawn = mean + 2.0 * jax.random.normal(key, observation.available.shape)
        return (drawn if explore else 0 * drawn + mean), memory, {}

    wild = Algorithm(lambda key: (), act, lambda key, state, steps: (state, {}), whole_episodes=True)
    if mean == 0:
        comity.check(wild, env)
        return
    with pytest.raises(ValueError, match="act gives numbers that are not finite"):
        comity.check(wild, env)
