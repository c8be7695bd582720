"""Bodies of physics engines by short names, with small engines in place of missing ones, and MuJoCo if installed."""

import shutil
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest

import comity
from comity.cli.main import main
from comity.interop import bodies
from comity.interop.single import Single
from comity.names import BODIES, ENGINES, PARTS, unknown
from comity.recipes import find_task, from_objects
from comity.runs.directory import RunDirectory
from comity.training.loop import resume, train
from comity.training.settings import Training

NAMED, JOINTS = ("bthigh", "", ""), ("root", "hip_4", "thigh_joint")  # actuators; the last two have none but a joint's


def model_of(names: tuple[str, ...]) -> SimpleNamespace:
    """What MuJoCo says of a body: its geoms; its actuators, and the joints that they turn."""
    called = lambda words: lambda k: SimpleNamespace(name=words[k])  # noqa: E731
    return SimpleNamespace(
        geom_type=[0, 3, 2], geom_bodyid=[0, 1, 2], geom_size=[[9, 9, 9], [0.05, 0.3, 0], [0.1, 0, 0]],
        nu=len(names), actuator=called(names), joint=called(JOINTS),
        actuator_trntype=np.zeros(len(names), int), actuator_trnid=np.array([[0, -1], [2, -1], [1, -1]])[: len(names)],
    )  # fmt: skip


class Fake(gymnasium.Env):
    """Three joints; the reward is the first action, so what an agent does reaches the body as it should."""

    metadata: dict = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float64)
        self.action_space = gymnasium.spaces.Box(-2.0, 2.0, (3,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=5), {}

    def step(self, action):
        return self.np_random.normal(size=5), float(action[0]), False, False, {}

    def render(self):
        raise RuntimeError("no graphics here")

    @property
    def model(self):
        return model_of(NAMED)

    @property
    def data(self):
        lies = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float)  # its third column points along x
        where = np.array([[0, 0, 0], [7.0, 0, 0.5], [7.0, 0, 1.0]])
        return SimpleNamespace(xpos=where, geom_xpos=where, geom_xmat=[lies.reshape(-1)] * 3)


@pytest.fixture
def engines(monkeypatch):
    """Modules of all engines, and gymnasium makes `Fake`. Names that were asked for."""
    asked: list[Any] = []
    for package in {package for packages in bodies.PACKAGES.values() for package in packages}:
        monkeypatch.setitem(sys.modules, package, ModuleType(package))

    def make(name, disable_env_checker=True, **options):
        asked.append((name, options))
        return Fake(**options)

    def parallel_env(scenario, agent_conf, **options):
        asked.append((scenario, agent_conf, options))
        if "x" not in agent_conf and "|" not in agent_conf:
            raise AssertionError(f"no such partition {agent_conf}")
        return Single(Fake())

    monkeypatch.setattr(gymnasium, "make", make)
    known = {bodies.registered(host, body): SimpleNamespace(max_episode_steps=9) for host in ("mujoco", "pybullet")
             for body in BODIES}  # fmt: skip
    monkeypatch.setattr(gymnasium, "registry", {**gymnasium.registry, **known})
    robotics: Any = sys.modules["gymnasium_robotics"]
    robotics.mamujoco_v1 = SimpleNamespace(parallel_env=parallel_env)
    from comity.interop import hosted

    hosted._known.cache_clear()
    yield asked
    hosted._known.cache_clear()


def test_names():
    assert set(PARTS) == set(BODIES)
    for engine in ENGINES:
        assert unknown("task", f"{engine}:half-cheetah") is None
        assert f"{engine} has no body 'half-chetah' here; did you mean half-cheetah?" in str(
            unknown("task", f"{engine}:half-chetah")
        )
        assert f"such as {engine}:half-cheetah" in str(unknown("task", engine))


def test_they_are_gymnasiums_and_the_ports(engines):
    for host, name in (("mujoco", "Walker2d-v5"), ("pybullet", "Walker2DBulletEnv-v0")):
        task = find_task(f"{host}:walker2d")
        game = task.thing()
        assert game.spec.length == 9  # the registered limit
        assert (game.spec.agents, game.spec.view.size, game.spec.action.n) == (1, 5, 3)
        assert engines[-1] == (name, {})
        assert task.stem == f"{host}-walker2d"  # bodies of two engines are not filed together


def test_a_split_body_has_parts(engines):
    find_task("mamujoco:ant").thing(length=5).make()
    assert engines[-1] == ("Ant", "4x2", {})
    find_task("mamujoco:ant").thing(length=5, options=("agent_conf=2x4", "agent_obsk=0")).make()
    assert engines[-1] == ("Ant", "2x4", {"agent_obsk": 0})
    with pytest.raises(ValueError, match=r"mamujoco:ant cannot be made with .*no such partition 7"):
        find_task("mamujoco:ant").thing(length=5, options=("agent_conf='7'",)).make()


class Shared:
    """Three joints of a body dealt out to two agents, as Gymnasium-Robotics does: the last two to the first."""

    def __init__(self):
        part = lambda *numbers: tuple(SimpleNamespace(act_ids=k) for k in numbers)  # noqa: E731
        self.agent_action_partitions, self.single_agent_env = [part(2, 1), part(0)], Fake()


def test_numbers_are_called_after_what_they_move():
    """Actuators' names, or those of the joints that they turn."""
    assert bodies.actuators(Single(Fake()), (3,)) == ("bthigh", "thigh", "hip 4")
    assert bodies.actuators(Shared(), (2, 1)) == (("hip 4", "thigh"), ("bthigh", "number 1"))
    assert bodies.actuators(Single(Fake()), (2,)) == ()  # numbers of an environment that wraps it: nobody knows
    assert bodies.actuators(Shared(), (1, 2)) == ()
    assert bodies.actuators(SimpleNamespace(model=None), (3,)) == ()  # no MuJoCo
    tendon = model_of(("", ""))
    tendon.actuator_trntype[1] = 3
    assert bodies.actuators(SimpleNamespace(model=tendon), (2,)) == ("root", "actuator 1")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_installed_is_said_in_a_line(engine, monkeypatch, capsys):
    for package in bodies.PACKAGES[engine]:
        monkeypatch.setitem(sys.modules, package, None)
    assert main(["train", f"{engine}:hopper", "ippo"]) == 1
    said = capsys.readouterr().err.strip()
    assert "is not installed: pip install" in said
    assert "[continuous]" in said
    assert "\n" not in said


def test_trained_watched_and_evaluated_without_asking(engines, tmp_path, monkeypatch, capsys):
    """Only the names here are imported, whatever a config says, so a run of them needs no trust."""
    monkeypatch.chdir(tmp_path)
    few = "--seeds 1 --envs 2 --iterations 2 --chunk 1 --evaluations 1 --evaluation-episodes 1 --final-episodes 1"
    assert main(["train", "mujoco:hopper", "ippo", *few.split()]) == 0
    (run,) = (tmp_path / "runs" / "mujoco-hopper" / "ippo").iterdir()
    assert main(["evaluate", str(run), "--episodes", "1"]) == 0
    assert main(["watch", str(run)]) == 0
    film = comity.load(run).film()
    assert film.frames is not None
    assert film.frames.shape[1:] == (bodies.SIZE, bodies.SIZE, 3)  # stick figures: this body cannot draw itself
    assert film.heads[0].names == ("bthigh", "thigh", "hip 4")


def test_a_stick_figure_by_hand():
    """A lying capsule of 0.6 m in the middle, a ball above it, ground below."""
    fake = Fake()
    picture = bodies.stick_figure(fake.model, fake.data, size=200).astype(int)  # 50 pixels a metre
    blue, orange = (np.abs(picture - np.array(colour)).sum(-1) == 0 for colour in ((38, 94, 150), (214, 120, 40)))
    rows, columns = np.nonzero(blue)
    assert columns.min() == pytest.approx(100 - 15 - 2.5, abs=2)
    assert columns.max() == pytest.approx(100 + 15 + 2.5, abs=2)
    assert rows.mean() == pytest.approx(160 - 25, abs=1.5)
    rows, columns = np.nonzero(orange)
    assert rows.mean() == pytest.approx(160 - 50, abs=1.5)
    assert columns.mean() == pytest.approx(100, abs=1.5)
    assert rows.max() - rows.min() == pytest.approx(10, abs=2)


@pytest.mark.slow
def test_a_run_on_mujoco_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    """From two copies of one checkpoint the same bits come: learner, replay and counters are all in it. The replay goes
    on filling, updates go on counting; the games begin new episodes, and the run says so."""
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)  # MuJoCo writes warnings into a file where one stands
    small = comity.algorithm("td3", hidden=8, batch=4, capacity=400, steps=5, warmup=10, every=5)
    recipe = from_objects(find_task("mujoco:half-cheetah").thing(length=20), small)
    quick = Training(seeds=1, envs=2, iterations=4, chunk=2, evaluations=1, evaluation_episodes=1, final_episodes=1)
    listen = lambda event, facts: told.extend([facts["text"]] if event == "note" else [])  # noqa: E731
    first, told = train(recipe, quick, tmp_path / "one"), []
    shutil.copytree(first.path, tmp_path / "other")
    runs = [resume(run, 8, listen=listen, recipe=recipe) for run in (first, RunDirectory(tmp_path / "other"))]
    one, other = (comity.load(run.path, recipe=recipe).arrays(0) for run in runs)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    lines = first.lines("metrics.jsonl")
    assert [x["replay_steps"] for x in lines] == [15, 35, 55, 75]  # means of two
    assert told == ["where the games stood is in no checkpoint: they begin new episodes"] * 2


def test_mujoco_itself():
    pytest.importorskip("mujoco")
    game = find_task("mujoco:half-cheetah").thing(length=3)
    assert (game.spec.view.size, game.spec.action.n) == (17, 6)
    assert game.spec.action_names == ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
    assert find_task("mujoco:hopper").thing(length=3).spec.action_names == ("thigh", "leg", "foot")  # joints alone
    env = game.make()
    env.reset(seed=0)
    inner = env.unwrapped
    assert bodies.stick_figure(inner.model, inner.data).std() > 5
