"""`comity report`: the content of the file, and that a browser shows it without a network."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from comity.cli.main import main
from comity.report.page import report_data, report_html, tasks_of, write_report
from comity.runs.saved import REFERENCES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "</script><script>document.title='owned'</script>"


@pytest.fixture
def two(make_run):
    """A label of five seeds, which has an interval, and one of two, beside one that diverged."""
    wide = make_run(seeds=(0, 1, 2, 3, 4), scores=[0.2, 0.3, 0.4, 0.5, 0.6], iterations=60)
    coma = {"algorithm": "coma", "algorithm_fields": {"clip": EVIL}, "manifest": {"not_finite": {"2": "params"}}}
    few = make_run(seeds=(0, 1, 2), scores=[0.1, 0.2, 0.9], iterations=30, **coma)
    return [str(wide), str(few)]


def test_curves_are_those_of_the_files(two):
    (part,) = report_data(two, None, {}, "runs")["parts"]
    assert (part["task"], part["metric"], part["unit"]) == ("manitokan@1", "success", "joint actions")
    assert set(part["curves"]["drawn"]) == {"sampled", "greedy", "training"}
    wide, few = part["curves"]["drawn"]["sampled"]["success"]
    assert wide["steps"] == [0, 144_000, 288_000]
    np.testing.assert_allclose(wide["mean"], [0, 20, 40])  # per cent
    np.testing.assert_allclose(np.array(wide["each"])[:, -1], [20, 30, 40, 50, 60])
    assert wide["low"][-1] < 40 < wide["high"][-1]
    assert (few["steps"], few["seeds"]) == ([0, 144_000], [0, 1])
    assert "low" not in few
    assert few["lost"] == [{"seed": 2, "steps": [0, 144_000], "values": [0, 90]}]
    greedy = part["curves"]["drawn"]["greedy"]["success"][0]
    np.testing.assert_allclose(greedy["mean"], [0, 10, 20])
    assert part["curves"]["drawn"]["sampled"]["return"][0]["rate"] is False


def test_tables_differences_and_what_made_it(two):
    config = Path(two[1]) / "config.yaml"
    config.write_text(config.read_text() + "initialise: /elsewhere/first\n")
    (part,) = report_data(two, None, {}, "runs")["parts"]
    assert len(part["sheets"]) == 3  # the comparison, and each run's own
    settings = {row[0]: row[1:] for row in part["differences"]["rows"]}
    assert settings["algorithm"] == ["pg", "coma"]
    assert settings["initialise"] == ["none", "first"]
    assert ["initialise", "/elsewhere/first"] in part["runs"][1]["settings"]
    assert settings["training.iterations"] == ["60", "30"]
    assert settings["algorithm.clip"] == ["", EVIL]
    assert "algorithm.learning-rate" not in settings
    made = dict(part["runs"][0]["made"])
    assert made["command"] == "comity train manitokan pg"
    assert made["commit"] == "0" * 40
    assert ["algorithm.learning-rate", "0.0005"] in part["runs"][0]["settings"]


def test_several_tasks_have_a_part_each(make_run):
    one, other = make_run(iterations=30), make_run(iterations=30, task="ipd@2")
    assert list(tasks_of([str(one), str(other)])) == ["manitokan@1", "ipd@2"]
    data = report_data([str(one), str(other)], None, {"ipd@2": "No replay: it is lost"}, "runs")
    assert [part["film"] for part in data["parts"]] == ["", "No replay: it is lost"]
    assert data["title"] == "comity report: manitokan@1, ipd@2"


def test_a_long_run_is_thinned(make_run):
    (part,) = report_data(str(make_run(iterations=6000, every=60)), None, {}, "runs")["parts"]
    line = part["curves"]["drawn"]["training"]["success"][0]
    assert len(line["steps"]) == 400
    assert line["steps"][-1] == 6000 * 4800  # the last point stays


def test_the_command_writes_one_file(two, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *two, "--no-replay"]) == 0
    (file,) = tmp_path.glob("comparisons/*/report.html")
    assert file.relative_to(tmp_path).as_posix() in capsys.readouterr().out
    assert main(["report", two[0], "--no-replay"]) == 0
    assert list(tmp_path.glob("runs/manitokan/pg/*/figures/report.html"))
    assert main(["report", *two, "--metric", "sucess"]) == 1
    assert "success" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert main(["report", "reference:two-step", "--no-replay"]) == 0
    assert not (REFERENCES / "two-step" / "figures").exists()  # nothing is written into the package
    assert (tmp_path / "reference-two-step-report.html").is_file()
    (page,) = tmp_path.glob("runs/manitokan/pg/*/figures/report.html")
    page.unlink()
    page.symlink_to(tmp_path / "elsewhere")
    assert main(["report", two[0], "--no-replay"]) == 1
    assert "is a link" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
    assert main(["report", two[0], "--out", str(tmp_path / "a.html")]) == 0  # made up: no policy can be loaded
    said = capsys.readouterr()
    assert "no replay: " in said.out
    assert "No replay: " in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_nothing_is_fetched(two):
    page = report_html(two)
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=.?https?:", page)
    assert EVIL not in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["parts"][0]["task"] == "manitokan@1"


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: the report's script was NOT run")


def dom_of(page: str, folder) -> str:
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    assert CHROMIUM is not None
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    words += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", "--dump-dom", path.as_uri()]
    return subprocess.run([CHROMIUM, *words], capture_output=True, text=True, timeout=120, check=False).stdout


@needs_browser
def test_a_browser_reads_values_and_switches(two, tmp_path):
    """The mouse at the end of the axis, then one label off, then another metric, policy, and keys."""
    hand = """<script>
    const log = [], svg = document.querySelector(".plot > svg"), tip = document.querySelector(".tip");
    const told = () => log.push([...tip.querySelectorAll("strong")].map(x => x.textContent).join("|"));
    const box = svg.getBoundingClientRect();
    svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.right - 20, clientY: box.top + 50 })); told();
    const dotted = document.querySelectorAll(".series.lost").length;
    document.querySelectorAll(".legend button")[1].click(); told();
    log.push(document.querySelectorAll(".series.mean").length);
    log.push(dotted + " to " + document.querySelectorAll(".series.lost").length);
    const [metric, policy] = document.querySelectorAll("select");
    policy.value = "greedy"; policy.dispatchEvent(new Event("change")); told();
    metric.value = "return"; metric.dispatchEvent(new Event("change")); told();
    svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" })); told();
    svg.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); log.push(tip.hidden);
    document.body.dataset.log = log.join(" ; ");
    </script></body>"""
    film = "<!doctype html><title>inside</title><p>a film</p>"
    page = report_html(two, films={"manitokan@1": film}).replace("</body>", hand)
    dom = html.unescape(dom_of(page, tmp_path))
    assert 'data-ready="yes"' in dom
    assert "<title>comity report: manitokan@1</title>" in dom
    found = re.search(r'data-log="([^"]*)"', dom)
    assert found, "the page's script stopped"
    last, alone, count, dotted, greedy, returned, before, hidden = found[1].split(" ; ")
    assert re.fullmatch(r"40% \[20\.\d+, 59\.\d+\]\|15% at its end, 144k", last)
    assert alone == last.split("|")[0]
    assert (count, dotted) == ("1", "1 to 0")
    assert greedy.startswith("20% [")
    assert returned.startswith("0.3 [")
    assert before.startswith("0.15 [")
    assert hidden == "true"
    assert "srcdoc=" in dom
    assert "Where the settings differ" in dom


@needs_browser
def test_a_broken_script_would_be_noticed(two, tmp_path):
    page = report_html(two).replace("function curves", "function curved")
    dom = dom_of(page, tmp_path)
    assert 'data-ready="yes"' not in dom
    assert "This report could not be shown" in dom


def test_it_is_written_whole(two, tmp_path):
    file = write_report(two, tmp_path / "new" / "r.html")
    assert file.read_text(encoding="utf-8").rstrip().endswith("</html>")
