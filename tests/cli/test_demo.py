"""The demo, with as little training as possible."""

from PIL import Image

from comity.cli.main import main


def test_demo_ends_in_curves_film_and_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--minutes", "1", "--seeds", "2"]) == 0
    folder = tmp_path / "comity-demo"
    assert {"curves.png", "curves.svg", "film.gif", "film.html", "table.md", "runs"} == {
        x.name for x in folder.iterdir()
    }
    assert len(list(folder.glob("runs/manitokan/pg/*/manifest.json"))) == 2
    assert len(list(folder.glob("runs/manitokan/random/*/manifest.json"))) == 1
    table = (folder / "table.md").read_text(encoding="utf-8")
    assert all(name in table for name in ("PG |", "PG with action history", "random"))
    with Image.open(folder / "film.gif") as film:  # several pictures
        assert getattr(film, "n_frames", 1) > 10
    page = (folder / "film.html").read_text(encoding="utf-8")
    assert "chosen: success" in page
    assert "episode 0 of 32, not chosen" in page
    printed = capsys.readouterr().out
    assert "comity watch comity-demo/runs" in printed


def test_demo_refuses_what_it_cannot_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--minutes", "0.1"]) == 2
    assert main(["demo", "again"]) == 2
    assert "at least 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
