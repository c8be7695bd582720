"""Populations and bonuses by name: one run through every command, and errors in one line."""

import dataclasses
from pathlib import Path

import pytest

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.cli.main import main
from comity.runs.reading import read_yaml

TRAINING = ["--seeds", "1", "--envs", "2", "--chunk", "1", "--evaluations", "1", "--evaluation-episodes", "2"]
TRAINING += ["--final-episodes", "2", "--iterations", "2"]
TINY = ["--task.length", "4", "--algorithm.speaker.hidden", "4", "--algorithm.listener.hidden=5"]
NAMES = ["cooperative-communication", "speaker:iql,listener:iql+counts"]
SMALL = [
    f"--algorithm.{role}.{name}" for role in ("speaker", "listener") for name in ("capacity=8", "batch=4", "warmup=4")
]


def done(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refusal(capsys, *arguments, status: int = 2) -> str:
    assert main([str(word) for word in arguments]) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("comity: error: ")


def test_a_population_is_one_run_for_every_command(capsys):
    done(capsys, "train", *NAMES, *TINY, *SMALL, *TRAINING, "--algorithm.listener.counts.weight", "0.5")
    (config,) = Path("runs/cooperative-communication/speaker-iql,listener-iql+counts").glob("*/config.yaml")
    written = read_yaml(config)["algorithm"]
    assert written["name"] == "speaker:iql,listener:iql+counts@1+1+1"
    assert (written["speaker"]["hidden"], written["listener"]["counts"]["weight"]) == (4, 0.5)
    done(capsys, "resume", "latest", "--iterations", "+1")
    assert "return" in done(capsys, "evaluate", "latest", "--episodes", "2")
    done(capsys, "watch", "latest", "--gif", "film.gif", "--html", "film.html")
    assert Path("film.html").stat().st_size > 1000
    done(capsys, "train", "--config", config, "--algorithm.speaker.gamma", "0.5")
    compared = done(capsys, "compare", "runs/*/*/*")
    assert "speaker.gamma=0.5" in compared
    assert "scripted:random" in done(capsys, "play", "latest", "scripted:random", "--episodes", "2")


def test_every_agent_may_have_a_learner_of_its_own(capsys):
    done(capsys, "train", NAMES[0], "each:pg", "--task.length", "4", "--algorithm.each.hidden", "4", *TRAINING)
    (run,) = Path("runs").glob("*/*/*")
    assert "each/policy_loss" not in (run / "metrics.jsonl").read_text()  # means over agents, who are all alike
    assert '"policy_loss"' in (run / "metrics.jsonl").read_text()


def test_a_bonus_with_a_hyphen_and_another_beside_it(capsys):
    small = ("--algorithm.hidden", "4", "--algorithm.social_influence.hidden", "4", "--algorithm.counts.counted=cell")
    done(capsys, "train", "push-box", "pg+social-influence+counts", "--task.length", "4", *small, *TRAINING)
    (run,) = Path("runs").glob("*/*/*")
    written = read_yaml(run / "config.yaml")["algorithm"]
    assert (written["social_influence"]["hidden"], written["counts"]["counted"]) == ([4], "cell")
    done(capsys, "resume", "latest", "--iterations", "+1")
    lines = (run / "metrics.jsonl").read_text()
    assert all(name in lines for name in ('"social_influence/mean"', '"social_influence/error"', '"counts/filled"'))
    assert "return" in done(capsys, "evaluate", "latest", "--episodes", "2")


def test_lists_and_help(capsys):
    listed = done(capsys, "list", "bonuses")
    assert all(f"  {name} " in listed for name in BONUSES)
    said = done(capsys, "train", *NAMES, "--help")
    assert all(flag in said for flag in ("--algorithm.speaker.gamma", "--algorithm.listener.counts.weight"))


DECEPTION, BOTH = "physical-deception", "good:maddpg,adversary:ddpg"


@pytest.mark.parametrize(
    ("name", "more", "status", "says"),
    [
        ("good:maddpgg,adversary:ddpg", (), 2, "good: unknown algorithm 'maddpgg'; did you mean maddpg or"),
        ("good:maddpg,good:ddpg", (), 2, "good has 2 learners: give it one"),
        ("good:maddpg,", (), 2, "'good:maddpg,' is no population: write ROLE:ALGORITHM,ROLE:ALGORITHM, such as "),
        ("good:my.py,adversary:ddpg", (), 2, "good: 'my.py' is not shipped with comity, as the members of"),
        ("good:maddpg", (), 1, "agent 0 (adversary) has no learner: give every agent one, if only random"),
        ("god:maddpg,adversary:ddpg", (), 1, "'god' is no role of this game; did you mean good?; its roles are"),
        ("good:maddpg,0-1:ddpg", (), 1, "agent 1 (good) has two learners, good and 0-1: give it one"),
        ("good:maddpg,adversary:pg", (), 1, "adversary learns from whole episodes, good from rollouts that go on"),
        (
            BOTH,
            ("--algorithm.good.steps", "5"),
            1,
            "good learns from rollouts of 5 steps, adversary of 25: give both one number, such as "
            "--algorithm.adversary.steps 5",
        ),
        (BOTH, ("--preset", "paper"), 1, "preset 'paper': no paper is in good:maddpg,adversary:ddpg"),
        (BOTH, ("--preset", "good:papr"), 1, "preset 'papr' of maddpg is not one of sound"),
        (
            BOTH,
            ("--algorithm.gamma", "0.5"),
            2,
            "unknown flag --algorithm.gamma; did you mean --algorithm.good.gamma",
        ),
        (BOTH, ("--algorithm.good.gamma", "7"), 2, "good: gamma 7.0 is above 1: give a number"),
        ("ippo+count", (), 2, "unknown bonus 'count'; did you mean counts?; known: counts"),
        ("ippo+counts+counts", (), 2, "ippo+counts+counts has the bonus counts twice"),
        ("ippo+counts", ("--algorithm.counts.weight", "-1"), 2, "counts: weight -1.0 is below 0: give a number"),
        ("random+counts", (), 1, "counts would change nothing: this algorithm learns from no reward of its rollouts"),
    ],
)  # fmt: skip
def test_bad_names_and_flags_are_told_in_one_line(capsys, name, more, status, says):
    line = refusal(capsys, "train", DECEPTION, name, *more, *TRAINING, status=status)
    assert line.startswith(says), line
    assert not Path("runs").exists()


def test_a_shipped_algorithm_has_no_setting_that_a_bonus_is_called_by():
    import importlib

    from comity.algorithms.roles import label

    for target, _ in ALGORITHMS.values():
        names = {field.name for field in dataclasses.fields(importlib.import_module(target).Config)}
        assert not names & set(map(label, BONUSES))
