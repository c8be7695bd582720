"""Studies as data: their rows, and refusals in one line before anything compiles."""

import re

import pytest

from comity.cli.main import main
from comity.sweeps import claims, plan

STUDY = {"tasks": ["matrix"], "algorithms": ["reinforce"], "seeds": 2, "iterations": 4}


def rows(**more):
    return plan.rows_of({**STUDY, **more})


def test_every_combination_is_a_row_with_its_whole_config():
    found = rows(algorithms=["reinforce", "ippo"], vary={"learning_rate": ["1e-3", 0.01], "envs": [4, 8]})
    assert len(found) == 8
    assert len({row.name for row in found}) == 8
    one = found[3]
    assert (one.task, one.algorithm, one.settings) == ("matrix", "reinforce", {"learning_rate": 0.01, "envs": 8})
    assert one.config["algorithm"]["learning_rate"] == 0.01
    assert one.config["training"]["envs"] == 8
    assert one.config["training"]["iterations"] == 4
    assert found[0].config["algorithm"]["learning_rate"] == 1e-3  # what YAML takes for a text
    assert one.label == "reinforce on matrix · learning-rate=0.01 · envs=8"


def test_a_row_keeps_its_name_when_others_come_and_go():
    few, more = rows(vary={"gamma": [0.9]}), rows(vary={"gamma": [0.8, 0.9]})
    assert few[0].name in {row.name for row in more}


def test_entries_have_settings_and_variations_of_their_own():
    found = rows(
        algorithms=[{"name": "reinforce", "vary": {"gamma": [0.9, 0.8]}}, {"name": "ippo", "preset": "paper"}],
        tasks=["matrix", {"name": "two-step"}],
    )
    assert len(found) == 6
    assert [row.config["algorithm"]["preset"] for row in found if row.algorithm == "ippo"] == ["paper"] * 2
    assert [row.settings for row in found[:3]] == [{"gamma": 0.9}, {"gamma": 0.8}, {"preset": "paper"}]


@pytest.mark.parametrize("name", ["game.py:Game", "pettingzoo:game.py:Game", "pack.game:Game", "pettingzoo:pack.game"])
def test_a_study_is_planned_anew_if_a_file_of_its_game_changed(tmp_path, name):
    """Also a file that the game's file imports, and with the games and algorithms of comity beside it."""
    folder = tmp_path if ".py" in name else tmp_path / "pack"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    rules = "rules" if ".py" in name else "pack.rules"
    (folder / "game.py").write_text(f"from {rules} import PAY\nclass Game: pass\n")
    (folder / "rules.py").write_text("PAY = 1\n")
    study = {"tasks": ["matrix", {"name": name}, "pettingzoo:mpe2.simple_v3"], "algorithms": ["random", "a:pg,b:pg"]}
    before = plan.fingerprint(study)
    assert plan.fingerprint(study) == before
    for file in ("game.py", "rules.py"):
        with open(folder / file, "a") as more:
            more.write("# other\n")
        before, now = plan.fingerprint(study), before
        assert now != before, file


def test_seeds_apart_are_rows_that_differ_in_nothing_else():
    found = rows(apart=True, seeds=3, first_seed=5)
    assert [row.config["training"]["first_seed"] for row in found] == [5, 6, 7]
    assert {row.config["training"]["seeds"] for row in found} == {1}


def test_words_become_values():
    assert plan.several("1e-4,5e-4") == [1e-4, 5e-4]
    assert plan.several("[64,64],[128]") == [[64, 64], [128]]
    assert plan.several("true,none,adam,3") == [True, None, "adam", 3]
    assert plan.names_of("good:maddpg,adversary:ddpg", "algorithm") == ["good:maddpg,adversary:ddpg"]
    assert plan.names_of("ippo,qmix", "algorithm") == ["ippo", "qmix"]


WRONG = [
    ({"algorithms": ["reinforc"]}, "unknown algorithm 'reinforc'.*reinforce"),
    ({"tasks": []}, "the study has no tasks"),
    ({"tasks": [3]}, "tasks: 3 has no name"),
    ({"vary": {"learnin_rate": [1]}}, "has a setting learnin_rate.*learning_rate"),
    ({"vary": {"learning_rate": 1}}, "learning_rate 1 is no list"),
    ({"vary": {"learning_rate": [-1.0]}}, "reinforce on matrix.*learning_rate"),
    ({"vary": {"learning_rate": ["fast"]}}, "reinforce on matrix.*'fast' is not a number"),
    ({"vary": {"gamma": [0.9, 0.9]}}, "two rows are the same"),
    (
        {"algorithms": ["lola"], "tasks": ["cooperative-navigation"]},
        "lola on cooperative-navigation: lola needs a game",
    ),
    ({"seed": 3}, "the study has no seed.*seeds"),
    ({"apart": "yes"}, "apart 'yes'"),
    ({"seeds": 0}, "reinforce on matrix: seeds"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=[str(next(iter(w.items()))) for w, _ in WRONG])
def test_refusals_are_one_line(wrong, words):
    with pytest.raises(ValueError, match=words) as caught:
        rows(**wrong)
    assert "\n" not in str(caught.value)


RATES = "tasks: [matrix]\nalgorithms: [reinforce]\niterations: 4\nvary:\n  learning_rate: [1e-3, 1e-2]\n"


def test_dry_run_lists_rows_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "rates.yaml").write_text(RATES)
    assert main(["sweep", "rates.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"1  reinforce on matrix · learning-rate=0.001\n .* 2  reinforce .*=0.01\n2 rows", out), out
    assert main(["sweep", "rates.yaml", "--dry-run", "--launch", "slurm"]) == 0
    assert "#SBATCH --array=1-2" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["rates.yaml"]


def test_a_plan_with_results_is_not_replaced_by_accident(tmp_path, capsys):
    """By other settings, by another file of the same name, or while a worker trains."""
    (tmp_path / "other").mkdir()
    (tmp_path / "rates.yaml").write_text(RATES)
    (tmp_path / "other" / "rates.yaml").write_text(RATES.replace("iterations: 4", "iterations: 5"))
    write = lambda *words: main(["sweep", *words, "--launch", "print"])  # noqa: E731
    assert write("rates.yaml") == 0
    (folder,) = (tmp_path / "sweeps").iterdir()
    first = plan.opened(folder)
    before, over = (folder / "sweep.json").read_text(), first.of(first.rows[0])
    over.mkdir(parents=True)
    (over / "done.json").write_text('{"status": "finished", "line": "", "seconds": 1.0}')
    assert write("rates.yaml", "--iterations", "3") == 0  # in a folder of its own, which stays the same
    assert write("rates.yaml", "--iterations", "3") == 0
    assert len(list((tmp_path / "sweeps").iterdir())) == 2
    capsys.readouterr()
    assert write("other/rates.yaml") == 1
    told = "sweeps/rates holds the sweep of rates.yaml, and 2 of its 2 rows would leave the plan: give --out DIR"
    assert told in capsys.readouterr().err
    assert write("rates.yaml", "--envs", "8", "--out", "sweeps/rates") == 1
    assert "sweeps/rates holds the sweep with other settings on the command line" in capsys.readouterr().err
    assert write("matrix", "reinforce", "--out", "sweeps/rates") == 1
    assert "sweeps/rates holds the sweep of rates.yaml" in capsys.readouterr().err
    (tmp_path / "rates.yaml").write_text(RATES.replace("1e-3, ", ""))
    claim = claims.take(first.of(first.rows[1]))
    assert claim
    assert write("rates.yaml") == 1
    assert "a worker trains reinforce on matrix · learning-rate=0.01: stop it first" in capsys.readouterr().err
    claim.release()
    told = "1 of the rows that are over leave the plan, so no table counts them; their runs stay in sweeps/rates/rows"
    assert main(["sweep", "rates.yaml", "--dry-run"]) == 0
    assert told in capsys.readouterr().out
    assert (folder / "sweep.json").read_text() == before
    (tmp_path / "rates.yaml").write_text(RATES.replace("1e-3", "1e-4, 1e-3"))  # all rows stay: nothing to be said
    assert write("rates.yaml") == 0
    assert "leave the plan" not in capsys.readouterr().out
    (tmp_path / "rates.yaml").write_text(RATES.replace("1e-3, ", ""))
    assert write("rates.yaml") == 0
    assert told in capsys.readouterr().out
    assert [row.name for row in plan.opened(folder).rows] == [first.rows[1].name]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["matrix"], "sweep needs FILE"),
        (["nothing.yaml"], "no such file"),
        (["matrix", "reinforce", "--vary", "gamma"], "is not NAME=VALUE,VALUE"),
        (["matrix", "reinforce", "--launch", "slrum", "--iterations", "2"], "did you mean slurm|nearest: slurm|slurm"),
        (["matrix", "reinforce", "--worker", "4/3", "--iterations", "2"], "which of how many"),
        (["matrix", "reinforce", "--iteration", "2"], "no iteration"),
    ],
)
def test_wrong_command_lines(words, told, capsys):
    assert main(["sweep", *words]) in (1, 2)
    complaint = capsys.readouterr().err
    assert re.search(told, complaint), complaint
    assert complaint.count("\n") == 1


def test_a_folder_that_is_no_sweep(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["sweep", "empty"]) == 1
    assert "is no sweep" in capsys.readouterr().err


def test_rows_with_names_that_lead_elsewhere_are_refused(tmp_path):
    sweep = plan.planned(tmp_path / "s", STUDY)
    file = sweep.path / "sweep.json"
    file.write_text(file.read_text().replace(sweep.rows[0].name, "../../../x"))
    with pytest.raises(ValueError, match="is not what comity sweep wrote"):
        plan.opened(sweep.path)
