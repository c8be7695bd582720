"""The figures of hidden gifts: every arm can be trained, and the code runs from end to end."""

import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from comity.algorithms.released import ppo as released_ppo
from comity.cli.reproduce import arms_asked
from comity.experiments import records
from comity.experiments.figure import Budget, recipe_of
from comity.experiments.hidden_gifts import episode as scripted
from comity.experiments.hidden_gifts.factorial import CELLS
from comity.experiments.hidden_gifts.paper import PAPER
from comity.experiments.hidden_gifts.repairs import REPAIR_STUDY, STUDIES
from comity.experiments.reproduce import SMOKE, paper_lengths
from tiny.figures import drawn, smoke


def test_each_repair_changes_the_game_or_the_learner_and_the_last_has_all():
    for arms, chain in STUDIES.values():
        made = {label: records.settings(recipe_of(arm), SMOKE) for label, arm in arms.items()}
        assert len({json.dumps(x) for x in made.values()}) == len(made)
        changes = [sum(_flat(made[label])[k] != v for k, v in _flat(made[chain[0]]).items()) for label in chain]
        assert changes == sorted(set(changes))  # each step of the chain repairs more
    assert len(CELLS) == 16
    assert len(REPAIR_STUDY.arms) > 45


def test_what_the_code_reads_in_a_wrong_order_is_repaired_at_the_end_of_a_chain_and_the_page_names_what_stays():
    arms, chain = STUDIES["MAPPO"]
    last = recipe_of(arms[chain[-1]]).describe()["algorithm"]
    stays = {x.name for x in fields(released_ppo.Settings) if last[x.name] != x.default} - {"rollouts"}
    page = (Path(__file__).parents[2] / "docs/papers/hidden-gifts/README.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| what stays of MAPPO |"))
    assert stays == set(re.findall(r"`(\w+)`", row))
    assert not stays & {"rows", "order", "post_terminal"}
    assert not last["misread_actions"]


def test_records_of_before_the_released_learners_were_mended_are_of_no_arm():
    """They lack settings of which the default is what the released learners do not do."""
    later = {"pg": {"critic_optimizer"}, "coma": {"replacement"}}
    for name, algorithm in (("PG", "pg"), ("PG with history", "pg"), ("COMA", "coma")):
        for arm in STUDIES[name][0].values():
            recipe = recipe_of(arm)
            wanted, given = records.settings(recipe, SMOKE), records.defaults(recipe)
            known = {key: x for key, x in wanted["algorithm"].items() if key not in later[algorithm]}
            assert records.same(wanted, wanted, given)
            assert not records.same({**wanted, "algorithm": known}, wanted, given)


def _flat(settings):
    return {(kind, name): str(x) for kind in ("task", "algorithm") for name, x in settings[kind].items()}


def test_records_of_the_earlier_law_of_injection_are_not_those_of_the_texts():
    """Where nothing is injected the law changes no experiment, and records of before stay those of their arms."""
    arms, budget = PAPER.figures["fig13"].arms, Budget(5, 3_000)
    old = {label: records.settings(recipe_of(arm), budget) for label, arm in arms.items()}
    for settings in old.values():
        settings["task"]["injection"] = "clean"  # as records of before 30 November 2026 say

    def found(label):
        recipe = recipe_of(arms[label])
        wanted, given = records.settings(recipe, budget), records.defaults(recipe)
        return records.same(old[label], wanted, given, records.unread(recipe))

    assert [label for label in arms if found(label)] == ["normal", "oracle", "punish", "inject, mean 0"]
    assert recipe_of(arms["inject"]).describe()["task"]["injection"] == "paper"


def test_the_episode_of_figure_1():
    episode = scripted.play()
    np.testing.assert_allclose(episode.rewards.sum(0), (1.5, 1.5))
    assert [tuple(map(int, x)) for x in np.argwhere(episode.events["pickups"])] == [(0, 0), (5, 1)]
    assert [tuple(map(int, x)) for x in np.argwhere(episode.events["doors_opened"])] == [(3, 0), (8, 1)]
    assert [tuple(map(int, x)) for x in np.argwhere(episode.events["drops"])] == [(4, 0)]
    assert episode.events["success"].tolist() == [0] * 8 + [1]


def test_behaviour_is_held_against_the_training_that_the_paper_gives_each_learner():
    for name in ("fig11", "fig12"):
        lengths = paper_lengths(PAPER.figures[name])
        long = {label for label, length in lengths.items() if length and length.updates == 26_000}
        assert long == {f"PG with history, {label}" for label in PAPER.figures["fig6"].arms}
        assert lengths["PG"]
        assert lengths["PG"].updates == 10_000


OPEN = ("fig1", "fig13", "repairs", "views", "views-long", "readings", "tables", "gift-games")  # runs are missing
REST = tuple(name for name in PAPER.figures if name not in (*OPEN, "credit"))


@pytest.mark.slow
def test_rules_of_credit_are_compared_at_smoke_scale(tmp_path):
    smoke(PAPER, ["credit"], tmp_path)


@pytest.mark.parametrize(
    "figures", [pytest.param(OPEN, id="open"), pytest.param(REST, marks=pytest.mark.slow, id="records ship")]
)
def test_every_figure_runs_at_smoke_scale(figures, tmp_path):
    """A second call, of three, trains nothing and writes the same."""
    smoke(PAPER, figures, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    second = drawn(PAPER, figures[:3], tmp_path)
    assert second.returncode == 0, second.stderr[-2000:]
    assert "nothing to train" in second.stdout
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "reproduce needs PAPER or PAPER/FIGURE of one paper"),
        ("hiden-gifts", "unknown paper 'hiden-gifts'; did you mean hidden-gifts?"),
        ("hidden-gifts/fig55", "hidden-gifts has no 'fig55'; did you mean fig5"),
        ("hidden-gifts/fig5 --scale large", "--scale 'large' is not one of smoke, laptop, paper"),
        ("hidden-gifts/fig5 --seeds 0", "--seeds must be 1 or more, not 0"),
        ("hidden-gifts/fig5 --at-once 0", "--at-once must be 1 or more, not 0"),
        ("hidden-gifts/fig5 --minutes 0", "--minutes must be more than 0, not 0"),
        (
            "hidden-gifts/fig5 --arms gp-window",
            "--arms gp-window: no arm has this name or beginning; did you mean pg-window",
        ),
        ("hidden-gifts/fig5 --sedes 4", "unknown flag --sedes; did you mean seeds"),
    ],
)
def test_bad_input_is_refused_in_one_line(words, told, capsys):
    from comity.cli.main import main

    assert main(["reproduce", *words.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error


def test_an_arm_is_asked_for_by_its_name_several_by_what_their_names_begin_with():
    names = ["pg-2", "pg-20", "pg-2-1", "coma-2"]
    assert arms_asked("pg-2", names) == {"pg-2"}
    assert arms_asked("pg-2-,coma", names) == {"pg-2-1", "coma-2"}
    assert arms_asked("pg", names) == {"pg-2", "pg-20", "pg-2-1"}
    assert arms_asked("", names) == {*names}
    assert arms_asked("coma,", names) == {"coma-2"}


def test_the_plan_says_the_time_first_and_writes_nothing(tmp_path, capsys, monkeypatch):
    from comity.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "hidden-gifts/fig9", "--plan", "--fresh"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("15 seeds to train, about ")
    assert len(lines) == 4
    assert main(["reproduce", "hidden-gifts/fig9", "--plan", "--fresh", "--arms", "pg-history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5 seeds to train")
    assert len(lines) == 2
    assert not any(tmp_path.iterdir())
