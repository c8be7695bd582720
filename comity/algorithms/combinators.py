"""Algorithms that are made of other algorithms.

`population` puts different learners into one game, `independent` gives each agent its own learner, and `with_bonus`
adds a bonus to a learner's rewards. docs/algorithms/population.md, docs/algorithms/bonuses.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms import part
from comity.algorithms.roles import agents_of, label, one_learner_each
from comity.axes import aligned
from comity.learning import mean_valid
from comity.networks import per_agent
from comity.spec import Spec
from comity.types import Algorithm, Bonus, Environment, Experience, Key, Metrics, Observation, PyTree, Transition

Make = Callable[[Environment], Algorithm]
ON_FILMS = ("probabilities", "value")  # notes that films show for all agents


class Member(NamedTuple):
    """One learner of a population."""

    name: str
    agents: tuple[int, ...]
    learner: Algorithm


def population(makers: Mapping[str, Make], env: Environment) -> Algorithm:
    """Returns one algorithm that holds a different learner for each role. makers: {role: function that makes it}.

    A role is one of `Spec.roles`, the number of an agent ("0"), or a range ("1-2"). Each learner sees a `part.Part` of
    the game: its own agents and the whole state. Raises ValueError, one line, if an agent has no learner or two
    learners, if a role is unknown, or if learners need different rollouts.
    """
    spec = env.spec
    if spec.meta is not None:
        raise ValueError(
            "a population cannot play a game with learning opponents: all seats must belong to one algorithm"
        )
    agents = {role: agents_of(role, spec) for role in makers}
    one_learner_each(agents, spec)
    members = [Member(label(role), agents[role], _learner(role, make, part.part_of(env, agents[role])))
               for role, make in makers.items()]  # fmt: skip
    whole, steps = one_rollout(members, spec)

    def init(key: Key) -> tuple[PyTree, ...]:
        return tuple(one.learner.init(k) for k, one in zip(jax.random.split(key, len(members)), members, strict=True))

    def acting(how: Callable[[Algorithm], Callable], key: Key, state: Any, memory: Any, observation: Observation):
        axis, all_notes = jax.tree.leaves(observation.available)[0].ndim - 2, {}
        actions, after = [], []
        for k, one, own, kept in zip(jax.random.split(key, len(members)), members, state, memory, strict=True):
            observed = part.seen_by(one.agents, observation, axis)
            action, new, notes = how(one.learner)(k, own, part.rows(one.agents, kept, axis), observed)
            actions.append((one.agents, action))
            after.append(part.spread_out(one.agents, new, spec.agents, axis))
            all_notes |= {f"{one.name}/{note}": x for note, x in notes.items()}
        return part.together(actions, axis), tuple(after), all_notes | on_films(members, all_notes, axis)

    def act(key: Key, state: Any, memory: Any, observation: Observation, explore: bool = True):
        how = lambda learner: lambda *given: learner.act(*given, explore=explore)  # noqa: E731
        return acting(how, key, state, memory, observation)

    def practise(key: Key, state: Any, memory: Any, observation: Observation):
        return acting(lambda learner: learner.practise or learner.act, key, state, memory, observation)

    def update(key: Key, state: Any, steps: Transition, reward_of: Callable | None = None):
        if reward_of is not None:
            raise ValueError("members with replays: give the bonus to each of them, with_bonus(member, ...)")
        states: list[PyTree] = []
        metrics: Metrics = {}
        extra: list[Array] = []
        for index, (k, one) in enumerate(zip(jax.random.split(key, len(members)), members, strict=True)):
            prefix = f"{one.name}/"
            notes = {note.removeprefix(prefix): x for note, x in steps.notes.items() if note.startswith(prefix)}
            mine = part.played_by(one.agents, steps, steps.memory[index], steps.next_memory[index], notes)
            new, own = one.learner.update(k, state[index], mine)
            states.append(new)
            extra += [own.pop("extra_steps")] if "extra_steps" in own else []
            metrics |= {prefix + metric: x for metric, x in own.items()}
        return tuple(states), metrics | ({"extra_steps": jnp.stack(extra).sum()} if extra else {})

    memory = tuple(part.spread_out(one.agents, one.learner.memory, spec.agents, 0) for one in members)
    practised = practise if any(one.learner.practise for one in members) else None
    replays = any(one.learner.replays for one in members)
    return Algorithm(init, act, update, memory, whole, steps, practised, replays)


def independent(make: Make, env: Environment) -> Algorithm:
    """Returns an algorithm with one learner per agent, all with the same settings.

    Parameters, optimizer states and replays are stacked, [N, ...]. Each learner sees a `part.Part` of the game. Metrics
    are means over agents.
    """
    agents, one = env.spec.agents, make(part.part_of(env, (0,)))
    one_rollout([Member("each", (0,), one)], env.spec)

    def init(key: Key) -> PyTree:
        return jax.vmap(one.init)(jax.random.split(key, agents))

    def acting(how: Callable, key: Key, state: PyTree, memory: PyTree, observation: Observation):
        axis = jax.tree.leaves(observation.available)[0].ndim - 2

        def alone(key: Key, state: PyTree, mine: tuple, known: Array):
            memory, view, available = jax.tree.map(lambda x: jnp.expand_dims(x, axis), mine)
            action, after, notes = how(key, state, memory, Observation(view, known, available))
            action, after = jax.tree.map(lambda x: x.squeeze(axis), (action, after))
            return action, after, notes

        mine = memory, observation.view, observation.available
        keys = jax.random.split(key, agents)
        act = per_agent(alone, (0, 0, axis, None), (axis, axis, axis))
        action, after, notes = act(keys, state, mine, observation.state)
        shown = {note: notes[note].squeeze(axis + 1) for note in ON_FILMS if _per_agent(notes.get(note), axis + 1, 1)}
        return action, after, {f"each/{note}": x for note, x in notes.items()} | shown

    def act(key: Key, state: PyTree, memory: PyTree, observation: Observation, explore: bool = True):
        return acting(lambda *given: one.act(*given, explore=explore), key, state, memory, observation)

    def practise(key: Key, state: PyTree, memory: PyTree, observation: Observation):
        return acting(one.practise or one.act, key, state, memory, observation)

    def update(key: Key, state: PyTree, steps: Transition, reward_of: Callable | None = None):
        if reward_of is not None:
            raise ValueError("give the bonus to the learner of each agent: independent(with_bonus(...))")

        def alone(key: Key, state: PyTree, rows: PyTree, notes: PyTree, rest: Transition):
            before, after, memory, action, reward, next_memory = jax.tree.map(lambda x: x[:, :, None], rows)
            observation, following = rest.observation, rest.next_observation
            mine = rest._replace(
                observation=Observation(before[0], observation.state, before[1]),
                next_observation=Observation(after[0], following.state, after[1]),
                memory=memory, action=action, reward=reward, next_memory=next_memory, notes=notes,
            )  # fmt: skip
            return one.update(key, state, mine)

        views = [(x.view, x.available) for x in (steps.observation, steps.next_observation)]
        mine = (*views, steps.memory, steps.action, steps.reward, steps.next_memory)
        notes = {note.removeprefix("each/"): x for note, x in steps.notes.items() if note.startswith("each/")}
        only = lambda x: x._replace(view=(), available=())  # noqa: E731
        rest = steps._replace(
            observation=only(steps.observation), next_observation=only(steps.next_observation), memory=(), action=(),
            reward=(), next_memory=(), notes={}, info={},
        )  # fmt: skip
        axes = (0, 0, part.TIME_AND_GAMES, part.TIME_AND_GAMES, None)
        state, metrics = per_agent(alone, axes, (0, 0))(jax.random.split(key, agents), state, mine, notes, rest)
        extra = {"extra_steps": metrics.pop("extra_steps").sum()} if "extra_steps" in metrics else {}
        return state, jax.tree.map(lambda x: x.mean(0), metrics) | extra

    memory = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x), agents, axis=0), one.memory)
    practised = practise if one.practise else None
    return Algorithm(init, act, update, memory, one.whole_episodes, one.steps, practised, one.replays)


def _learner(role: str, make: Make, env: Environment) -> Algorithm:
    try:
        return make(env)
    except ValueError as error:
        raise ValueError(f"{role}: {error}") from error


def one_rollout(members: Sequence[Member], spec: Spec) -> tuple[bool, int | None]:
    """Returns (whole_episodes, steps), which all members share. Raises ValueError, one line, if they differ.

    A member that learns nothing fits every rollout.
    """
    for one in members:
        if one.learner.own_play:
            raise ValueError(f"{one.name}: this algorithm plays the whole game by itself, so it cannot be a member")
    learning = [one for one in members if jax.tree.leaves(jax.eval_shape(one.learner.init, jax.random.key(0)))]
    if not learning:
        return True, None
    first, *others = learning
    steps = lambda one: one.learner.steps or spec.length  # noqa: E731
    for other in others:
        if other.learner.whole_episodes != first.learner.whole_episodes:
            whole, going = (first, other) if first.learner.whole_episodes else (other, first)
            raise ValueError(
                f"{whole.name} learns from whole episodes, {going.name} from rollouts that go on behind an end: one "
                "game is played one way; take learners of one kind (docs/algorithms/population.md lists them)"
            )
        if not first.learner.whole_episodes and steps(other) != steps(first):
            raise ValueError(
                f"{first.name} learns from rollouts of {steps(first)} steps, {other.name} of {steps(other)}: give both "
                f"one number, such as --algorithm.{other.name}.steps {steps(first)}"
            )
    return first.learner.whole_episodes, first.learner.steps


def on_films(members: Sequence[Member], notes: dict[str, Any], axis: int) -> dict[str, Array]:
    """Joins the notes that every member writes into notes of all agents, so that films can show them."""
    found = {}
    for note in ON_FILMS:
        parts = [(one.agents, notes.get(f"{one.name}/{note}")) for one in members]
        sizes = {x.shape[axis + 1 :] for _, x in parts if isinstance(x, jax.Array)}
        if len(sizes) == 1 and all(_per_agent(x, axis, len(agents)) for agents, x in parts):
            found[note] = part.together(parts, axis)
    return found


def _per_agent(x: Any, axis: int, agents: int) -> bool:
    return isinstance(x, jax.Array) and x.ndim > axis and x.shape[axis] == agents


class Rewarded(NamedTuple):
    """The state of a learner and the state of the bonus that is added to its rewards."""

    learner: PyTree
    bonus: PyTree


def with_bonus(algorithm: Algorithm, bonus: Bonus, weight: float | Array, name: str = "bonus") -> Algorithm:
    """Returns `algorithm` changed so that it learns from r + weight * bonus instead of r. Padding gets no bonus.

    The bonus of a rollout is computed with the bonus's state from before the rollout; then that state is updated. A
    learner with a replay computes the bonus of every batch that it draws. Several bonuses add up; each is computed from
    the game's own reward. name: the prefix of the bonus's metrics. Raises ValueError if the bonus could not change
    anything, or if it reads notes that the algorithm does not write.
    """
    if algorithm.own_play or not jax.tree.leaves(jax.eval_shape(algorithm.init, jax.random.key(0))):
        raise ValueError(f"{name} would change nothing: this algorithm learns from no reward of its rollouts")
    if bonus.reads and algorithm.replays:
        raise ValueError(
            f"{name} reads the probabilities of the policy that acted, which this algorithm's replay does not store: "
            "take one that learns from fresh play, such as ippo"
        )

    def init(key: Key) -> Rewarded:
        key_learner, key_bonus = jax.random.split(key)
        return Rewarded(algorithm.init(key_learner), bonus.init(key_bonus))

    def act(key: Key, state: Rewarded, memory: PyTree, observation: Observation, explore: bool = True):
        return algorithm.act(key, state.learner, memory, observation, explore=explore)

    def update(key: Key, state: Rewarded, steps: Transition, reward_of: Callable | None = None):
        key_learner, key_bonus = jax.random.split(key)
        if unsaid := ", ".join(note for note in bonus.reads if note not in steps.notes):
            raise ValueError(f"{name} asks for notes of what was done, {unsaid}, which this algorithm does not write")

        def earned(experience: Experience) -> Array:
            reward = weight * bonus.reward(state.bonus, experience)
            return jnp.where(aligned(experience.valid, reward), reward, 0.0)

        def paid(experience: Experience) -> Array:
            return earned(experience) + (0.0 if reward_of is None else reward_of(experience))

        if algorithm.replays or algorithm.rewarded:
            learner, metrics = algorithm.update(key_learner, state.learner, steps, reward_of=paid)
        else:
            fresh = steps._replace(reward=steps.reward + paid(steps.experience))
            learner, metrics = algorithm.update(key_learner, state.learner, fresh)
        after, about = bonus.update(key_bonus, state.bonus, steps)
        about = {"mean": mean_valid(earned(steps.experience), steps.valid).mean(), **about}
        return Rewarded(learner, after), metrics | {f"{name}/{metric}": x for metric, x in about.items()}

    def practise(key: Key, state: Rewarded, memory: PyTree, observation: Observation):
        return (algorithm.practise or algorithm.act)(key, state.learner, memory, observation)

    practised = practise if algorithm.practise else None
    return algorithm._replace(init=init, act=act, update=update, practise=practised, rewarded=True)
