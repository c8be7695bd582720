"""Progress lines of a run, on terminals of several widths and without a terminal."""

import io

import pytest
from rich.console import Console

from comity.recipes import from_objects
from comity.training import progress
from comity.training.progress import NARROWEST_BAR, Bar, Narrator, Steps, packed, short
from tiny import learner, signals
from tiny.runs import recipe, trained


def console(width: int = 80, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def shown(console: Console) -> str:
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def chunk(**facts) -> dict:
    """A chunk of 10 of 100 iterations that took 20 s."""
    plain = {"elapsed": 20.0, "iteration": 10, "iterations": 100, "count": 10, "seconds": 20.0, "env_steps": 5e3}
    plain |= {"evaluating": 0.0, "left": 12.0, "limit": None, "steps": 1e4, "seeds": 2}
    return {**plain, "metrics": {"success": [0.25, 0.5], "return": [1.0, 2.0]}, **facts}


PARTS = ["iteration 1,290/3,000", "12.3 updates/s", "115k steps/s"]
METRICS = ["success 61.2% (range 55.0% to 70.1%)", "return 1.21 (range 1.1 to 1.4)"]


def test_the_first_line_is_filled_until_the_bar_is_at_its_narrowest():
    beside = len(" 50%  ETA 1:00 min") + 2 + NARROWEST_BAR + 1
    for size, count in ((80 - beside, 1), (80 - beside + 1, 2)):
        lines = Bar(["x" * size], 60.0, 60.0).lines(80, 60.0)
        assert len(lines) == count
        assert max(map(len, lines)) <= 80
    assert lines[1] == f"  {'x' * (80 - beside + 1)}"


@pytest.mark.parametrize(("width", "count"), [(40, 5), (62, 4), (80, 2), (200, 1)])
def test_no_line_is_wider_than_the_terminal(width, count):
    lines = Bar([*PARTS, *METRICS], 60.0, 65.0).lines(width, 60.0)
    assert max(map(len, lines)) <= width
    assert len(lines) == count
    text = "  ".join(lines)
    assert all(part in text for part in [*PARTS, *METRICS])
    assert " 48%  ETA 1:05 min" in lines[0]


def test_the_bar_goes_on_between_chunks():
    bar = Bar(PARTS, 60.0, 60.0)
    (before,), (after,), (over,) = (bar.lines(100, spent) for spent in (60.0, 90.0, 500.0))
    assert "50%  ETA 1:00 min" in before
    assert "75%  ETA 30 s" in after
    assert "100%  ETA 0 s" in over
    assert before.count("#") < after.count("#") < over.count("#") == over.index(" ")


def test_a_part_that_fits_nowhere_has_a_line_of_its_own():
    assert packed(["a" * 9, "bb", "c" * 30, "", "dd"], 13) == ["a" * 9 + "  bb", "c" * 30, "dd"]


def test_what_is_left_counts_the_final_evaluation_and_the_clock():
    without, clock = (console(200) for _ in range(2))
    Narrator(without)("chunk", chunk())
    assert "about 3:12 min to go (2000 ms per iteration of all seeds; 12 s of it evaluation)" in shown(without)
    Narrator(clock)("chunk", chunk(limit=120.0))
    assert "about 1:40 min to go (2000 ms per iteration of all seeds)\n" in shown(clock)
    assert "  --minutes ends it at iteration 56 or so\n" in shown(clock)
    assert " 17%  ETA 1:40 min" in shown(clock)
    compiled = console(200)
    Narrator(compiled)("chunk", chunk(elapsed=80.0, limit=180.0))
    assert " 17%  ETA 1:40 min" in shown(compiled)  # of the time that training takes


def test_steps_of_shorter_episodes_are_no_slower():
    """Games that ended wait for the others: the steps are counted, so that the number says how fast the machine is."""
    (one, two) = (console(200) for _ in range(2))
    Narrator(one)("chunk", chunk())
    Narrator(two)("chunk", chunk(env_steps=10.0))
    assert shown(one) == shown(two)
    assert "iteration 10/100  1 updates/s  500 steps/s" in shown(one)


def test_a_run_in_a_terminal_and_without_one(tmp_path):
    plain, terminal = console(), console(terminal=True)
    first = trained(tmp_path, listen=Narrator(plain), final_episodes=4)
    second = trained(tmp_path, listen=Narrator(terminal), final_episodes=4)
    text, live = shown(plain), shown(terminal)
    assert "\x1b" not in text
    assert "  compiling " in text
    assert "s the last time" not in text  # it is the first
    assert "s the last time" in live
    assert "preparing " in live
    assert "final evaluation" in live
    assert "━" in live
    for run in (first, second):
        lines = (run.path / "log.txt").read_text().splitlines()
        assert sum("iteration 8/8" in line for line in lines) == 1
        head = [line for line in lines if "updates/s" not in line and str(run.path) not in line]
        assert max(map(len, head)) <= 80


def test_a_heading_tells_what_was_changed(tmp_path):
    assert recipe().changed() == []
    changed = from_objects(signals.Signals(length=7), learner.Config(learning_rate=0.25))
    assert changed.changed() == ["length=7", "learning-rate=0.25"]
    one = console()
    trained(tmp_path, changed, Narrator(one), iterations=2, final_episodes=4)
    assert "  with length=7, learning-rate=0.25\n" in shown(one)


def test_a_broken_manifest_beside_is_no_time(tmp_path):
    run = trained(tmp_path, iterations=2, final_episodes=4)
    (run.path / "manifest.json").write_text('{"compile_seconds": "soon"}')
    one = console()
    trained(tmp_path, listen=Narrator(one), iterations=2, final_episodes=4)
    assert "last time" not in shown(one)


def test_steps_of_work_say_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    plain = console()
    steps = Steps(3, "measuring", plain)
    for what in ("pg", "ippo", "qmix"):
        steps.next(what)
        now[0] += 30.0
    steps.close()
    assert shown(plain).splitlines() == [
        "  measuring pg (1 of 3)",
        "  measuring ippo (2 of 3), ETA 1:00 min",
        "  measuring qmix (3 of 3), ETA 30 s",
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(0.123, "0.123"), (9876.4, "9,876"), (115_291, "115k"), (999_600, "1M"), (2.5e6, "2.5M")]
)
def test_numbers_are_short(number, text):
    assert short(number) == text
