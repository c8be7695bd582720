"""`comity bench --to-score`: when a score counts as held, which seconds count, and its words if a score is not held."""

import json
import math
from types import SimpleNamespace

import pytest

from comity.bench import measure
from comity.bench.to_score import Aim, climb, held, measured, row
from comity.cli import bench as bench_command
from comity.cli.main import main
from comity.cli.to_score import _peers, table
from comity.recipes import from_objects

AIM = Aim(0.9, "success", every=10, in_a_row=2, limit=100.0)
NEVER = None


@pytest.mark.parametrize(
    ("scores", "in_a_row", "wanted"),
    [
        ([0.1, 0.9, 0.95], 2, 1),  # at the score is held
        ([0.9, 0.1, 0.91, 0.92, 0.93], 2, 2),  # a lucky one at first
        ([0.9, 0.1, 0.91, 0.92, 0.93], 3, 2),
        ([0.9, 0.1, 0.91, 0.92], 3, NEVER),
        ([0.95], 1, 0),
        ([0.95], 2, NEVER),
        ([math.nan, math.nan], 2, NEVER),
        ([], 1, NEVER),
    ],
)
def test_a_score_is_held_from_the_first_of_so_many_in_a_row(scores, in_a_row, wanted):
    assert held(scores, 0.9, in_a_row) == wanted


class Fake:
    """A learner whose score after i iterations is `curve(i)`. A round of learning takes 3 seconds, judging 50."""

    def __init__(self, curve, breaks_at=math.inf):
        self.now, self.curve, self.breaks_at, self.judged = 0.0, curve, breaks_at, []

    def learn(self, iteration):
        self.now += 3.0
        return 320.0, iteration < self.breaks_at

    def judge(self, iteration):
        self.now += 50.0
        self.judged.append(iteration)
        return self.curve(iteration)

    def climbs(self, aim=AIM):
        return climb(self.learn, self.judge, aim, lambda: self.now)


def test_a_known_crossing_is_found_and_evaluations_cost_nothing():
    fake = Fake(lambda i: i / 100 if i != 95 else 0.0)  # 0.9 is crossed at iteration 90, the ninth round
    found = fake.climbs()
    assert (found["ended"], found["iteration"], found["seconds"], found["env_steps"]) == ("held", 90, 27.0, 2880.0)
    assert (found["spent"], found["evaluating"]) == (30.0, 11 * 50.0)  # one round more, which confirms it
    assert fake.judged == list(range(0, 101, 10))


def test_a_score_that_is_lost_again_is_not_held():
    found = Fake(lambda i: 0.95 if i == 30 or i >= 70 else 0.2).climbs()
    assert (found["ended"], found["iteration"], found["seconds"]) == ("held", 70, 21.0)


@pytest.mark.parametrize(
    ("curve", "breaks_at", "ended"),
    [(lambda i: 0.5, math.inf, "limit"), (lambda i: math.nan, math.inf, "limit"), (lambda i: 0.5, 40, "not finite")],
)
def test_a_score_never_reached_has_no_number(curve, breaks_at, ended):
    found = Fake(curve, breaks_at).climbs()
    assert found["ended"] == ended
    assert found["seconds"] is found["iteration"] is found["env_steps"] is None
    assert found["spent"] == (15.0 if ended == "not finite" else 102.0)


def test_what_was_reached_within_the_limit_is_still_confirmed_and_what_came_later_is_not():
    late = AIM._replace(limit=27.0)
    assert Fake(lambda i: i / 100).climbs(late)["seconds"] == 27.0
    found = Fake(lambda i: i / 110).climbs(late)
    assert found["seconds"] is None
    assert found["spent"] == 27.0
    found = Fake(lambda i: float(i >= 100)).climbs(AIM._replace(limit=28.0))  # reached at 30, held at 33
    assert (found["ended"], found["seconds"]) == ("limit", None)
    alternating = Fake(lambda i: float(i % 20 == 0)).climbs(late)
    assert (alternating["ended"], alternating["seconds"]) == ("limit", None)


def seed(seconds, ended="held"):
    one = dict.fromkeys(("iteration", "env_steps"), None if seconds is None else 10 * seconds)
    return {"seed": 0, "compile": 8.0, "evaluating": 2.0, "ended": ended, "seconds": seconds, "spent": 99.0, **one} | {
        "points": [{"score": 0.5}]
    }


def test_medians_count_a_seed_that_never_held_it_as_the_slowest():
    three = row([seed(None), seed(30.0), seed(10.0), seed(None), seed(20.0)])
    assert (three["held"], three["seconds"], three["together"]) == (3, 30.0, 38.0)
    assert (three["least"], three["most"], three["env_steps"]) == (10.0, None, 300.0)
    two = row([seed(None), seed(30.0), seed(10.0), seed(None), seed(None)])
    assert (two["held"], two["seconds"], two["together"], two["env_steps"]) == (2, None, None, None)
    assert row([seed(10.0), seed(None)])["seconds"] is None  # half of them is not the half that counts


@pytest.fixture
def faked(monkeypatch):
    """The command with what its processes print; the requests that they got."""
    asked, answers = [], []
    machine = {"processor": "P", "cores": 2, "devices": ["d"], "platform": "cpu", "versions": {}}

    def in_process(arguments):
        asked.append(json.loads(arguments[2]))
        answer = answers[len(asked) - 1]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(bench_command, "_run", lambda *words: json.dumps(machine))
    monkeypatch.setattr(measure, "in_process", in_process)
    return SimpleNamespace(asked=asked, answers=answers)


LINE = ["bench", "--to-score", "matrix:a2c", "--score", "0.9", "--limit", "60"]


def test_the_command_asks_for_every_seed_and_prints_medians(faked, tmp_path, capsys):
    faked.answers += [seed(11.0), seed(None, "limit"), seed(22.0)]
    file = tmp_path / "new" / "to_score.json"
    more = [
        "--seeds",
        "3",
        "--first-seed",
        "7",
        "--algorithm.learning-rate",
        "0.5",
        "--every",
        "4",
        "--policy",
        "greedy",
    ]
    assert main([*LINE, *more, "--envs", "16", "--out", str(file)]) == 0
    out = capsys.readouterr().out
    assert "| matrix | a2c | sound | greedy optimal 0.9 | 2 of 3 | 22.0 | 11.0 | not within 60 | 8.0 | 30.0 |" in out
    assert "limit: not held within 99.0 CPU s, last score 0.5" in out
    assert [one["seed"] for one in faked.asked] == [7, 8, 9]
    assert {one["envs"] for one in faked.asked} == {16}
    assert faked.asked[0]["config"]["algorithm"]["learning_rate"] == 0.5
    assert Aim(**faked.asked[0]["aim"]) == Aim(0.9, "optimal", "greedy", every=4, limit=60.0)
    written = json.loads(file.read_text())
    assert written["complete"] is True
    assert [one["seconds"] for one in written["learners"][0]["rows"]] == [11.0, None, 22.0]


def test_an_interrupted_run_says_so_and_keeps_what_was_measured(faked, tmp_path, capsys, monkeypatch):
    file, ended = tmp_path / "to_score.json", []

    def after_the_first():
        written = json.loads(file.read_text())  # what a kill would leave
        assert (written["complete"], len(written["learners"][0]["rows"])) == (False, 1)
        return KeyboardInterrupt()

    faked.answers += [seed(11.0), after_the_first]
    monkeypatch.setattr("os._exit", ended.append)
    main([*LINE, "matrix:pg", "--out", str(file)])
    assert ended == [130]
    out = capsys.readouterr().out
    assert "| 1 of 1, interrupted: 5 wanted | 11.0 |" in out
    assert "| matrix | pg | sound | sampled optimal 0.9 | interrupted |" in out
    written = json.loads(file.read_text())
    assert written["complete"] is False
    assert len(written["learners"][0]["rows"]) == 1


def test_jaxmarls_score_and_seconds_stand_beside(faked, tmp_path, capsys):
    lines = [
        {"side": side, "what": what, "sampled": -24.0 - k, "greedy": -20.0 - k, "train_cpu": 50.0 + k}
        for side, what, k in (
            ("jaxmarl", "vdn", 0),
            ("jaxmarl", "vdn", 2),
            ("comity", "vdn", 9),
            ("jaxmarl", "ippo", 1),
        )
    ]
    file = tmp_path / "kept.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines) + '{"side": "jaxmarl", "what": "play32"}\n')
    assert _peers(file) == {"vdn": (-21.0, 51.0), "ippo": (-25.0, 51.0)}
    faked.answers += [seed(10.0)]
    words = ["cooperative-navigation:vdn", "--profile", "jaxmarl", "--beside", str(file), "--seeds", "1"]
    assert main(["bench", "--to-score", *words]) == 0
    assert capsys.readouterr().out.rstrip().endswith("| 51.0 | 5.1 |")
    assert faked.asked[0]["aim"]["score"] == -21.0
    assert faked.asked[0]["aim"]["policy"] == "greedy"
    assert faked.asked[0]["config"]["task"]["length"] == 26


def test_a_row_without_the_peer_and_one_that_never_held_leave_the_ratio_out():
    learner = {"task": "t", "algorithm": "a", "preset": None, "aim": AIM._asdict(), "rows": [seed(None)]}
    lines = table({"unit": "CPU", "learners": [{**learner, "peer": 50.0}, {**learner, "peer": 50.0, "rows": []}]}, 1)
    assert "| interrupted |" in lines[-1]
    assert all(line.endswith("| 50.0 | - |") for line in lines[-2:])
    assert len({line.count("|") for line in lines[1:]}) == 1


def test_a_real_learner_reaches_the_safe_square_of_the_climbing_game():
    config = from_objects("matrix", "a2c").describe()
    found = measured(config, 0, 32, Aim(-1.0, "return", every=10, episodes=32, limit=60.0))
    scores = [point["score"] for point in found["points"]]
    assert scores[0] < -3  # the average square, at the start
    assert found["ended"] == "held"
    assert found["iteration"] >= 10
    assert found["points"][-1]["iteration"] == found["iteration"] + 10
    assert min(scores[-2:]) >= -1.0
    assert found["env_steps"] == found["iteration"] * 32 * (found["points"][1]["env_steps"] / 320)
    assert 0 < found["seconds"] < found["compile"]


def test_no_seed_finds_a_program_that_an_earlier_one_has_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("COMITY_PROGRAMS", str(tmp_path))  # as the command line sets it
    told = "import json, os; print(json.dumps({name: os.environ.get(name) for name in ('COMITY_PROGRAMS', 'JAX_ENABLE_'"
    found = measure.in_process(["-c", told + " 'COMPILATION_CACHE')}))"])
    assert found == {"COMITY_PROGRAMS": "", "JAX_ENABLE_COMPILATION_CACHE": "false"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "--to-score needs TASK:ALGORITHM"),
        ("matrix:pg", "--to-score needs either --score X or --beside FILE"),
        ("matrix:pg --score 1 --beside kept", "--to-score needs either --score X or --beside FILE"),
        ("matrix:pg --score 1 --seeds 0", "--seeds 0 must be 1 or more"),
        ("matrix:pg --score 1 --in-a-row 0", "--in-a-row 0 must be 1 or more"),
        ("matrix:pg --score 1 --first-seed -1", "--first-seed -1 must be 0 or more"),
        ("matrix:pg --score 1 --limit 0", "--limit 0 must be more than 0"),
        ("matrix:pg --score high", "--score 'high' is not a number"),
        ("matrix:pg --score 1 --policy greeedy", "--policy 'greeedy'; did you mean greedy?"),
        ("matrix:pg --score 1 --preset fsat", "preset 'fsat' of pg is not one of"),
        ("matrix:gp --score 1", "unknown algorithm 'gp'"),
        ("matrx:pg --score 1", "unknown task 'matrx'"),
        ("matrix:pg ipd:pg --score 1 --algorithm.gamma 0.5", "settings go with one TASK:ALGORITHM, and there are 2"),
        ("matrix:pg --score 1 --algorithm.gama 0.5", "unknown flag --algorithm.gama; did you mean"),
        ("matrix:pg --beside none.jsonl", "No such file or directory: none.jsonl"),
        ("matrix:pg --beside empty.jsonl", "empty.jsonl has no training of JaxMARL"),
        ("matrix:pg --score 1 --repeats 2", "unknown flag --repeats"),
    ],
)
def test_refusals_are_one_line(words, told, faked, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("")
    assert main(["bench", "--to-score", *words.split()]) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert faked.asked == []


def test_a_metric_that_the_game_has_not_is_refused_before_anything_is_measured(faked, capsys):
    assert main([*LINE, "--metric", "succes"]) == 2
    assert "--metric 'succes'" in capsys.readouterr().err
    assert faked.asked == []
