"""Plays games that Python steps. Rollouts and episodes have the form that `comity.rollout` gives for compiled games.

The seed of an episode is drawn from a tuple of whole numbers, its name.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from comity.types import Observation, PyTree, Transition


@jax.tree_util.register_static
class Under:
    """Games in progress and the totals of their current episodes. In a carry it is a static part, without leaves."""

    def __init__(self, host: Any, count: int, memory: PyTree, totals: PyTree):
        """count: B; memory: leaves [B, N, ...]; totals: see `finished_episodes`."""
        self.host, self.count, self.memory, self.totals = host, count, memory, totals
        self.observation: Observation | None = None  # None: no episode has begun
        self.fresh = np.ones(count, bool)  # [B] an episode begins with the next step

    def begin(self, which: np.ndarray, name: tuple[int, ...]) -> None:
        """Begins new episodes in the games where `which` [B], with seeds drawn from `name`."""
        self.observation, self.fresh = Observation(*self.host.begin(which, _seeds(name, self.count))), which

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Under)  # always equal, so that trees with different games have the same structure

    def __hash__(self) -> int:
        return hash(Under)


class Watched:
    """A host of one game that keeps a picture of each observation, for a film."""

    def __init__(self, host: Any):
        self.host, self.seen = host, []

    def begin(self, which: np.ndarray, seeds: np.ndarray) -> Any:
        found = self.host.begin(which, seeds)
        self.seen = [self.host.render(0)]
        return found

    def step(self, which: np.ndarray, action: Any) -> Any:
        found = self.host.step(which, action)
        self.seen.append(self.host.render(0))
        return found

    def pictures(self) -> np.ndarray | None:
        """The pictures of the episode, [length + 1, H, W, 3]; None if the game draws none."""
        return None if any(x is None for x in self.seen) else np.stack(self.seen)


def rollout_of(under: Under, decide: Callable[..., Any], length: int, whole: bool, name: tuple[int, ...]) -> Transition:
    """Plays a rollout in the form of `comity.rollout.collect`, with numpy leaves [length, B, ...].

    decide: (step, memory, observation, fresh, over) -> (memory before, action, memory after, notes). whole: the rollout
    has whole episodes, frozen at their ends. name: the numbers from which the seeds of its episodes are drawn.
    """
    count, rows = under.count, []
    if whole or under.observation is None:
        under.begin(np.ones(count, bool), (*name, 0))
    over, none = np.zeros(count, bool), np.zeros(count, bool)
    for t in range(length):
        before: Any = under.observation
        memory, action, after, notes = decide(np.int32(t), under.memory, before, under.fresh, over)
        seen, reward, terminated, truncated, *info = under.host.step(~over, np.asarray(action))
        following = Observation(*seen)
        parts: Any = before, memory, action, reward, following, after, terminated, truncated, ~over, notes
        rows.append(Transition(*parts, *(info or [{}])))
        under.memory, under.observation, under.fresh = after, following, none
        if whole and (over := over | terminated | truncated).all():
            break
        if not whole and (ended := terminated | truncated).any():
            under.begin(ended, (*name, t + 1))
    rows += [_padding(rows[-1])] * (length - len(rows))
    return jax.tree.map(lambda *xs: np.stack(xs), *jax.device_get(rows))


def evaluation_episodes(
    host: Any, decide: Callable[..., Any], memory: PyTree, spec: Any, count: int, name: tuple[int, ...]
):
    """Plays whole episodes of `count` games. Returns the fields that statistics read, leaves [T, count, ...]."""
    observation = Observation(*host.begin(np.ones(count, bool), _seeds(name, count)))
    reward, over = np.zeros((spec.length, count, spec.agents), np.float32), np.zeros(count, bool)
    terminated, truncated, valid = (np.zeros((spec.length, count), bool) for _ in range(3))
    info: dict[str, np.ndarray] = {}
    for t in range(spec.length):
        action, memory = decide(np.int32(t), memory, observation, over)
        seen, reward[t], terminated[t], truncated[t], *told = host.step(~over, np.asarray(action))
        for measure, x in told[0].items() if told else ():
            info.setdefault(measure, np.zeros((spec.length, count), np.float32))[t] = x
        observation, valid[t] = Observation(*seen), ~over
        over = over | terminated[t] | truncated[t]
        if over.all():
            break
    nothing: Any = ()
    return Transition(nothing, (), (), reward, nothing, (), terminated, truncated, valid, {}, info)  # pyright: ignore


def _padding(last: Transition) -> Transition:
    """Returns the padding after the end of all games. last: their last step."""
    off = np.zeros_like(last.valid)
    return last._replace(
        observation=last.next_observation, memory=last.next_memory, reward=np.zeros_like(last.reward),
        terminated=off, truncated=off, valid=off, info=jax.tree.map(np.zeros_like, last.info),
    )  # fmt: skip


def numbers_of(key: Any) -> tuple[int, ...]:
    return tuple(int(x) for x in np.asarray(jax.random.key_data(key)).reshape(-1))


def _seeds(name: tuple[int, ...], count: int) -> np.ndarray:
    """Draws seeds for `reset`, [count], below 2^31, from the whole numbers `name`."""
    return np.random.SeedSequence(name).generate_state(count) >> 1
