"""docs/reading_runs.md, line by line, on runs as training writes them."""

import json
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reading_runs.md"


def test_the_page_can_be_followed(make_run, monkeypatch, tmp_path, capsys):
    make_run(seeds=(0, 1, 2, 3, 4), scores=(0.5, 0.6, 0.7, 0.8, 0.9), iterations=60)
    make_run(algorithm="random", seeds=(0, 1, 2, 3, 4), scores=(0.1,) * 5, iterations=60)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert names["last"].metrics == ["success", "return", "return.0", "return.1"]
    assert names["curve"]["iteration"].tolist() == [0, 30, 60]
    assert names["study"].labels == ["PG", "random"]
    assert names["scores"]["pg"].shape == names["scores"]["random"].shape == (5, 1)
    assert list(json.loads((tmp_path / "raw_data.json").read_text())["comity"]["manitokan@1"]) == ["pg", "random"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "runs",
        "runs.csv",
        "raw_data.json",
        "curves.png",
        "curves.svg",
    }
    assert "PG" in capsys.readouterr().out
    columns = set(
        re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE)))
    )
    assert columns == {name for name in names["table"].columns if "." not in name}
