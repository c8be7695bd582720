from pathlib import Path

import pytest

import comity

TINY = [
    "--iterations",
    "4",
    "--chunk",
    "2",
    "--envs",
    "4",
    "--evaluations",
    "1",
    "--evaluation-episodes",
    "2",
    "--final-episodes",
    "2",
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    """In an empty folder; workers find this checkout, and keep compiled programs for the other tests here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(comity.__file__).parents[1]))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))
    monkeypatch.setenv("COMITY_PROGRAMS", str(tmp_path_factory.getbasetemp() / "programs"))
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
