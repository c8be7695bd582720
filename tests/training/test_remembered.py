"""A second equal training in one process compiles nothing; a different one does. From Python the caches on disk are
those of the command line.
"""

import dataclasses
import os
from typing import Any

import jax
import pytest

import comity
from comity.recipes import from_objects
from comity.runs import private
from comity.training import remembered
from comity.training.seeds import Seeds
from tiny import learner, signals
from tiny.runs import SMALL, arrays

HOW: dict[str, Any] = {**SMALL, "seeds": 1, "iterations": 2, "progress": False}


@pytest.fixture
def compiled():
    """Grows by one for every program that jax compiles or loads."""
    events: list[str] = []

    def heard(event: str, duration_secs: float, **_: Any) -> None:
        if "backend_compile" in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(heard)
    yield events
    jax.monitoring.unregister_event_duration_listener(heard)


def test_a_second_training_compiles_nothing(tmp_path, compiled):
    """Nor does one with another learning rate, which is an argument; its numbers are its own."""
    runs = []
    for config in (learner.Config(), learner.Config(), learner.Config(learning_rate=0.2)):
        del compiled[:]
        runs.append(comity.train(signals.Signals(), config, out=tmp_path, **HOW))
        assert bool(compiled) == (len(runs) == 1), compiled
    one, two, other = (arrays(run.directory.saved()[-1])["0.state.params.in"] for run in runs)
    assert (one == two).all()
    assert (one != other).any()


def question(env=None, config=None, mode: Any = "loop", **sizes):
    one = from_objects(env or signals.Signals(), config or learner.Config())
    return remembered.made_from(one, Seeds(1, mode, games=4), **{"games": 4, "chunk": 2, **sizes})


def test_what_makes_another_program_is_another_question(monkeypatch):
    class Mine(signals.Signals):
        pass

    known = question()
    assert known == question(config=learner.Config(gamma=0.1, learning_rate=1.0))
    others = [
        question(signals.Signals(length=5)),
        question(signals.Signals(bonus=2.0)),  # a float of the game is a constant of the program
        question(Mine()),
        question(config=learner.Config(hidden=9)),
        question(config=learner.Config(whole_episodes=True)),
        question(config=comity.algorithm("iql", hidden=2)),
        question(mode="vmap"),
        question(games=5),
        question(chunk=3),
    ]
    with monkeypatch.context() as patched:
        patched.setattr(learner, "make", lambda config, env: None)  # defined anew
        others.append(question())
    with jax.numpy_dtype_promotion("strict"):
        others.append(question())
    assert all(known != other for other in others)
    assert len(set(others)) == len(others)
    assert question() == known


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), (1, [2]), jax.numpy.ones(2)])
def test_what_may_change_is_not_remembered(value):
    @dataclasses.dataclass(frozen=True)
    class Other(signals.Signals):
        extra: object = None

    assert question(Other(extra=(1, "a", None, signals.Signals()))) is not None
    assert question(Other(extra=value)) is None
    changeable = dataclasses.make_dataclass("Changeable", [("x", int, 1)])
    assert question(Other(extra=changeable())) is None


def test_the_oldest_programs_go(monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 2)
    programs = remembered.Programs()
    for name in ("a", "b"):
        programs.keep(1, name, (1.0,), name)  # pyright: ignore[reportArgumentType]
    assert programs.fetch(1, "a", (2.0,)) == "a"
    programs.keep(1, "c", (1.0,), "c")  # pyright: ignore[reportArgumentType]
    assert [programs.fetch(1, name, (1.0,)) for name in "abc"] == ["a", None, "c"]
    assert programs.fetch(1, "a", (1,)) is None  # a whole number
    programs.keep(None, "d", (), "d")  # pyright: ignore[reportArgumentType]
    assert programs.fetch(None, "d", ()) is None


@pytest.mark.parametrize("set_by_user", [False, True])
def test_python_uses_the_caches_of_the_command_line(tmp_path, monkeypatch, set_by_user):
    private.usable.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    was = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if not set_by_user:
        monkeypatch.delenv("COMITY_PROGRAMS")
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        jax.config.update("jax_compilation_cache_dir", None)
    before = os.environ.get("COMITY_PROGRAMS"), jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with remembered.caches_on_disk():
            found = os.environ["COMITY_PROGRAMS"], jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
        after = os.environ.get("COMITY_PROGRAMS"), jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        jax.config.update("jax_compilation_cache_dir", was)
    here = str(tmp_path / "comity")
    assert found == (before if set_by_user else (f"{here}/programs", f"{here}/jax"))
    assert after == before
