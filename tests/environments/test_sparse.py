"""Push-Box and Secret Room: the recorded originals step by step, mutated rules, scripts, and the shortest plan."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.environments.grid.sparse import push_box, secret_room, steps
from comity.environments.grid.sparse.push_box import PushBox
from comity.environments.grid.sparse.secret_room import SecretRoom

KEY = jax.random.key(0)
EPISODES = 10


@cache
def facts(part: str) -> dict[str, np.ndarray]:
    file = np.load(Path(__file__).parents[1] / "golden" / "sparse_grid.npz")
    return {name.split("/")[1]: file[name] for name in file if name.startswith(f"{part}/")}


# Push-Box -------------------------------------------------------------------------------------------------------------


def replayed_boxes(episode: int) -> dict[str, np.ndarray]:
    """All recorded steps by our rules, each from the recorded state before it; None of the box's draws are ours."""
    f, env = facts("push_box"), PushBox(first_observation="before")

    def step(agents, box, action, time):
        after, timestep = env.step(KEY, push_box.State(agents, box, time), action)
        moved = push_box.moved(push_box.State(agents, box, time), action, 15)[1]
        return after, moved, timestep

    agents, box = f["agents"][episode, :-1], f["box_after_step"][episode, :-1]
    after, moved, timestep = jax.jit(jax.vmap(step))(
        jnp.int32(agents), jnp.int32(box), jnp.int32(f["action"][episode]), jnp.arange(300)
    )
    found = {
        "agents": after.agents,
        "box_before_respawn": moved,
        "reward": timestep.reward,
        "done": timestep.terminated | timestep.truncated,
        "obs_agent0": timestep.observation.view[:, 0],
    }
    return {name: np.asarray(x) for name, x in found.items()}


def differences_of_boxes() -> int:
    """How many recorded numbers our rules give otherwise; 0 is right."""
    f, wrong, counted = facts("push_box"), 0, 0
    for episode in range(EPISODES):
        for name, x in replayed_boxes(episode).items():
            recorded = f[name][episode, 1:] if name == "agents" else f[name][episode]
            wrong += int((x != recorded).sum())
            counted += x.size
    assert counted == EPISODES * 300 * (4 + 2 + 2 + 1 + 90)
    return wrong


def test_push_box_is_the_recorded_one_in_all_episodes_and_fields():
    assert differences_of_boxes() == 0
    assert (facts("push_box")["reward"] > 0).any(-1).sum() > 20  # boxes were pushed to the wall


def one_pusher(state, action, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(push_box, "NEEDED", 1)
        return RULES(state, action, size)


def agents_first(state, action, size):
    """Agents move against the old box."""
    box = RULES(state, action, size)[1]
    towards = jnp.clip(state.agents + jnp.asarray(steps.MOVES)[action], 1, size - 2)
    blocked = (towards == state.box).all(-1, keepdims=True)
    return jnp.where(blocked, state.agents, towards).astype(jnp.int32), box


def onto_walls(state, action, size):
    box = RULES(state, action, size)[1]
    towards = state.agents + jnp.asarray(steps.MOVES)[action]
    return jnp.where((towards == box).all(-1, keepdims=True), state.agents, towards).astype(jnp.int32), box


RULES: Callable = push_box.moved


@pytest.mark.parametrize("mutant", [one_pusher, agents_first, onto_walls])
def test_a_mutated_rule_of_push_box_is_noticed(mutant, monkeypatch):
    monkeypatch.setattr(push_box, "moved", mutant)
    assert differences_of_boxes() > 0


def test_the_worked_example_of_push_box():
    """Both at (5, 6), the box at (5, 5): five steps to the left pay; if one stays, nothing moves."""
    state = push_box.State(jnp.full((2, 2), 5).at[:, 1].set(6), jnp.array([5, 5]), jnp.int32(0))
    left = jnp.full(2, steps.LEFT)
    step = jax.jit(PushBox(respawn=False).step)
    held, timestep = step(KEY, state, jnp.array([steps.LEFT, steps.STAY]))
    np.testing.assert_array_equal(held.agents, state.agents)
    np.testing.assert_array_equal(held.box, state.box)
    for number in range(1, 6):
        state, timestep = step(KEY, state, left)
        np.testing.assert_array_equal(state.box, [5, 5 - number])
        np.testing.assert_array_equal(state.agents, np.full((2, 2), 5) - [0, number - 1])
        assert bool(timestep.terminated) == (number == 5)
    np.testing.assert_array_equal(timestep.reward, [1000, 1000])


def test_boxes_are_drawn_where_nobody_stands():
    agents = jnp.array([[4, 4], [11, 11]])
    boxes = np.asarray(jax.vmap(lambda k: push_box.drawn_box(k, agents, 15))(jax.random.split(KEY, 4000)))
    counts = np.zeros((15, 15), int)
    np.add.at(counts, tuple(boxes.T), 1)
    assert counts[4:12, 4:12].sum() == 4000
    assert counts[4, 4] == counts[11, 11] == 0
    others = counts[4:12, 4:12][counts[4:12, 4:12] > 0]
    assert len(others) == 62
    assert 4000 / 62 * 0.5 < others.min() <= others.max() < 4000 / 62 * 1.6


@pytest.mark.parametrize("when", ["after", "before"])
def test_what_is_seen_with_the_reward(when):
    state = push_box.State(jnp.full((2, 2), 5).at[:, 1].set(2), jnp.array([5, 1]), jnp.int32(0))
    after, timestep = PushBox(first_observation=when).step(KEY, state, jnp.full(2, steps.LEFT))
    seen = steps.cell_of(timestep.observation.view[0], 15)[2]
    np.testing.assert_array_equal(seen, after.box if when == "after" else [5, 0])
    assert not timestep.terminated


@pytest.mark.parametrize("clock", [True, False])
@pytest.mark.parametrize("game", [PushBox, SecretRoom])
def test_the_clock_ends_or_cuts(game, clock):
    profiles = {PushBox: push_box.PROFILES, SecretRoom: secret_room.PROFILES}[game]
    env = game(**{**profiles["released" if clock else "paper"], "length": 3})
    state, _ = env.reset(KEY)
    for _ in range(3):
        state, timestep = env.step(KEY, state, jnp.zeros(2, jnp.int32))
    assert bool(timestep.terminated) == clock
    assert bool(timestep.truncated) != clock


def played(env: Any, act: Any, games: int) -> dict[str, np.ndarray]:
    """Statistics of whole episodes."""

    @jax.jit
    def run(key):
        begin = rollout.start(key, env, act.memory, games)
        taken = rollout.collect_episodes(key, env, act, begin)
        return env.summary(taken.reward, taken.info, taken.valid) | {"length": taken.valid.sum(0)}

    return {name: np.asarray(x) for name, x in run(KEY).items()}


class Scripts:
    """Every agent follows a script of its own."""

    def __init__(self, env: Any, names: tuple[str, str]):
        self.parts = [env.script(name) for name in names]
        self.memory = jax.tree.map(lambda *xs: jnp.stack(xs), *(memory for memory, _ in self.parts))

    def __call__(self, key, memory, observation):
        done = [
            act(jax.tree.map(lambda x, k=k: x[..., k], memory), observation.view[..., k, :])
            for k, (_, act) in enumerate(self.parts)
        ]
        action = jnp.stack([action for action, _ in done], -1)
        after = jax.tree.map(lambda *xs: jnp.stack(xs, -1), *(after for _, after in done))
        return action, after, {}


class Random:
    memory = ()

    def __init__(self, actions: int):
        self.actions = actions

    def __call__(self, key, memory, observation):
        return jax.random.randint(key, observation.view.shape[:-1], 0, self.actions), memory, {}


@pytest.mark.parametrize("size", [5, 6, 9])
def test_small_floors(size):
    """Boxes lie on the floor, and scripts bring them; the view has a row and a column of each size."""
    env = PushBox(size=size, length=40)
    boxes = jax.vmap(lambda k: env.reset(k)[0].box)(jax.random.split(KEY, 200))
    assert boxes.min() == size // 4 + 1
    assert boxes.max() == 3 * size // 4 <= size - 2
    assert env.spec.view.size == env.reset(KEY)[1].view.shape[-1] == 6 * size
    assert played(env, Scripts(env, ("pusher", "pusher")), 4)["boxes"].min() >= 2


@pytest.mark.parametrize(("game", "size"), [(PushBox, 4), (SecretRoom, 11)])
def test_floors_that_are_too_small_are_refused(game, size):
    with pytest.raises(ValueError, match=f"size {size} is below"):
        game(size=size)


@pytest.mark.parametrize(("script", "least", "most"), [("left-pusher", 12, 20), ("pusher", 18, 28)])
def test_scripted_pushers_bring_boxes(script, least, most):
    env = PushBox()
    boxes = played(env, Scripts(env, (script, script)), 6)["boxes"]
    assert least <= boxes.mean() <= most


def test_random_play_brings_no_box():
    random = played(PushBox(), Random(5), 5)
    assert random["boxes"].sum() == 0
    assert random["cells"].min() > 10


# Secret Room ----------------------------------------------------------------------------------------------------------


def differences_of_doors(interval: int) -> int:
    """How many recorded numbers our rules give otherwise, episode by episode from the start; 0 is right."""
    f, env, wrong = facts(f"secret_room_doi{interval}"), SecretRoom(hold_open=interval), 0
    step = jax.jit(env.step)
    for episode in range(EPISODES):
        state, _ = env.reset(KEY)
        for t in range(int(f["length"][episode])):
            state, timestep = step(KEY, state, jnp.int32(f["action"][episode, t]))
            done = bool(timestep.terminated | timestep.truncated)
            wrong += int((np.asarray(state.agents) != f["agents"][episode, t + 1]).sum())
            wrong += int((np.asarray(state.opened) != f["doors"][episode, t + 1]).sum())
            wrong += int((np.asarray(timestep.reward) != f["reward"][episode, t]).sum())
            wrong += int(done != f["done"][episode, t])
    return wrong


@pytest.mark.parametrize("interval", [0, 8])
def test_secret_room_is_the_recorded_one_in_all_episodes_and_fields(interval):
    assert differences_of_doors(interval) == 0
    assert facts(f"secret_room_doi{interval}")["length"].sum() > 1000


def mutated_doors(rule: str, game, state, agents):
    if rule == "held one step more":
        return DOOR_RULE(SecretRoom(hold_open=game.hold_open + 1), state, agents)
    if rule == "no switch in the large room":
        return DOOR_RULE(
            game, state, jnp.where((agents == secret_room.rooms(25).switches[0]).all(-1)[:, None], 0, agents)
        )
    opened, waited = DOOR_RULE(game, state, agents)  # a switch opens every door
    return jnp.broadcast_to(opened.any(), (3,)), waited


DOOR_RULE: Callable = secret_room.doors_after


@pytest.mark.parametrize("rule", ["held one step more", "no switch in the large room", "one for all"])
def test_a_mutated_rule_of_secret_room_is_noticed(rule, monkeypatch):
    monkeypatch.setattr(secret_room, "doors_after", partial(mutated_doors, rule))
    assert differences_of_doors(0) + differences_of_doors(8) > 0


def test_scripts_of_secret_room_succeed_in_49_steps_and_random_play_does_not():
    env = SecretRoom()
    found = played(env, Scripts(env, ("walker", "opener")), 2)
    np.testing.assert_array_equal(found["success"], 1)
    np.testing.assert_array_equal(found["length"], 49)
    assert played(env, Random(4), 12)["success"].sum() == 0


def test_no_joint_plan_of_secret_room_is_shorter():
    """Breadth first over both agents' cells; with hold_open 0 these say which doors are open."""
    rooms = secret_room.rooms(25)
    size, wall, door = rooms.size, rooms.walls(), rooms.door_cells()
    rows, columns = np.divmod(np.arange(size * size), size)
    following = np.zeros((8, size * size, 4), int)
    for mask in range(8):
        shut = np.array([not mask >> k & 1 for k in range(3)] + [False])
        for action, (down, right) in enumerate(steps.MOVES[:4]):
            r, c = np.clip(rows + down, 0, size - 1), np.clip(columns + right, 0, size - 1)
            blocked = wall[r, c] | shut[door[r, c]]
            following[mask, :, action] = np.where(blocked, rows * size + columns, r * size + c)
    opens = np.zeros(size * size, int)
    for mask, (r, c) in zip((7, 1, 2, 4), rooms.switches, strict=True):
        opens[r * size + c] |= mask
    goal = (columns > rooms.wall) & (rows < rooms.room_walls[0])
    seen, front, length = np.zeros((size * size,) * 2, bool), np.array([[0, 0]]), 0
    while not (goal[front[:, 0]] & goal[front[:, 1]]).any():
        mask = opens[front[:, 0]] | opens[front[:, 1]]
        one, two = (following[mask, front[:, k]] for k in range(2))
        pairs = np.stack(np.broadcast_arrays(one[:, :, None], two[:, None, :]), -1).reshape(-1, 2)
        pairs = np.unique(pairs, axis=0)
        front = pairs[~seen[pairs[:, 0], pairs[:, 1]]]
        seen[front[:, 0], front[:, 1]] = True
        length += 1
    assert length == 49


@pytest.mark.parametrize("size", [12, 13, 16, 25])
def test_small_secret_rooms(size):
    """Switches and doors lie where one can stand: each door leads into its own room, in which its switch lies."""
    rooms = secret_room.rooms(size)
    wall, third = rooms.walls(), size // 3
    for row, column in rooms.switches:
        assert not wall[row, column]
    for k, (rows, (row, column)) in enumerate(zip(rooms.doors, rooms.switches[1:], strict=True)):
        assert rooms.wall < column < size
        for at in (*rows, row):
            assert at > k * third or k == 0
            assert at < (k + 1) * third or k == 2
            assert not wall[at, [rooms.wall - 1, rooms.wall + 1]].any()
    assert bool(SecretRoom(size=size).spec.scripts) == (size == 25)  # the plans are for that size


@pytest.mark.parametrize(("obs", "size"), [("doors", 103), ("code", 100)])
def test_what_is_seen_of_doors(obs, size):
    env = SecretRoom(obs=obs)
    state, _ = env.reset(KEY)
    view = env.observation(state._replace(opened=jnp.array([True, False, True]))).view
    assert view.shape == (2, size)
    if obs == "doors":
        np.testing.assert_array_equal(view[:, 100:], [[1, 0, 1]] * 2)


def test_starts_in_the_large_room():
    agents = jax.vmap(lambda k: SecretRoom(fixed_start=False).reset(k)[0].agents)(jax.random.split(KEY, 500))
    assert agents[..., 1].max() == 11
    assert agents[..., 0].max() == 24
    assert agents.min() == 0


@pytest.mark.parametrize(("game", "side"), [(PushBox, 15), (SecretRoom, 25)])
def test_pictures(game, side):
    env = game()
    state = jax.tree.map(np.asarray, env.reset(KEY)[0])
    picture = env.draw(state)
    assert picture.shape == (20 * side, 20 * side, 3)
    assert picture.dtype == np.uint8
    moved = state._replace(agents=np.full((2, 2), 3))
    assert (env.draw(moved) != picture).any()


def test_cells_are_counted():
    x = jnp.array([[3, 3], [5, 3], [3, 7], [9, 9]])
    np.testing.assert_array_equal(steps.different(x, jnp.array([[True, True]] * 3 + [[False, True]])), [2, 3])
