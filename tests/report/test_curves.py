"""Learning curves: what is drawn, read from the lines of the figure."""

import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comity.report import curves
from comity.report.curves import draw_curves, draw_group, explanation, label_ends, spread, wrapped
from comity.report.looks import BASELINE, HUES
from comity.report.page import report_data
from comity.report.study import gather
from comity.report.words import short


def axes() -> Any:
    from matplotlib.figure import Figure

    return Figure().subplots()


def drawn(run, metric="success") -> tuple[Any, int]:
    """Axes with one label's seeds, and how many seeds were drawn."""
    panel = axes()
    table = curves.points(gather(run).table, "sampled", "eval")
    return panel, draw_group(panel, table, metric, {"color": "k", "linestyle": "-"}, 0.95, 1)


def test_files(make_run, tmp_path):
    run = make_run(iterations=60)
    written = draw_curves(run, path=tmp_path / "a" / "curves.png")
    assert [path.name for path in written] == ["curves.png", "curves.svg"]
    with Image.open(written[0]) as picture:
        assert (picture.format, picture.mode) == ("PNG", "P")
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    for colour in ("ffffff", HUES["pg"][1:]):
        assert abs(colours - list(bytes.fromhex(colour))).max(1).min() == 0
    numbers = [x for path in re.findall(r' d="([^"]*)"', written[1].read_text()) for x in re.findall(r"[-.0-9]+", path)]
    assert len(numbers) > 1000
    assert max(len(x.partition(".")[2]) for x in numbers) == 2
    again = draw_curves(run, path=tmp_path / "b" / "curves")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["curves.png", "curves.svg"]


def test_five_seeds_have_a_band_and_one_line(make_run):
    panel, seeds = drawn(make_run(seeds=tuple(range(5)), scores=(0.1, 0.2, 0.3, 0.4, 0.5), iterations=60))
    assert seeds == 5
    assert len(panel.collections) == 1
    assert len(panel.lines) == 1
    np.testing.assert_allclose(panel.lines[0].get_ydata(), [0, 15, 30])  # percent
    np.testing.assert_allclose(panel.lines[0].get_xdata(), [0, 30 * 4800, 60 * 4800])
    band = panel.collections[0].get_paths()[0].get_extents()
    half = 2.776445 * np.sqrt(0.025 / 5) * 100
    assert band.y1 == pytest.approx(30 + half)
    assert band.y0 == 0  # of the start, where all seeds are at 0


def diverged(run, seed, last):
    """Ends a seed of a run after the iteration `last`, as training does if its state becomes NaN."""
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(
        json.dumps({**manifest, "status": "failed", "not_finite": {str(seed): "params"}})
    )
    for name in ("eval.jsonl", "metrics.jsonl"):
        lines = [json.loads(line) for line in (run / name).read_text().splitlines()]
        kept = [x for x in lines if x["seed"] != seed or (x["iteration"] <= last and x.get("which") != "best")]
        (run / name).write_text("".join(json.dumps(line) + "\n" for line in kept))
    return run


def test_a_seed_that_diverged_is_dotted_and_ends_no_mean(make_run, tmp_path, monkeypatch):
    scores = (0.1, 0.2, 0.3, 0.4, 0.5, 0.9)
    run = diverged(make_run(seeds=tuple(range(6)), scores=scores, iterations=60), 5, 0)
    saved: list[Any] = []
    monkeypatch.setattr(curves, "save", lambda figure, path: saved.append(figure) or [path])
    draw_curves(run, "success")
    (panel,) = saved[0].axes
    dotted, mean = panel.lines
    assert (dotted.get_linestyle(), list(dotted.get_xdata())) == (":", [0])
    np.testing.assert_allclose(mean.get_ydata(), [0, 15, 30])
    assert len(panel.collections) == 1
    caption = " ".join(saved[0].get_supxlabel().split())
    assert "means over seeds (5)" in caption
    assert "seeds that diverged (NaN or infinite), in no mean or band: pg (seed 5)." in caption
    alone = diverged(make_run(seeds=(0,), scores=(0.4,), iterations=60), 0, 30)
    draw_curves(alone, "success")  # there is no mean
    (line,) = saved[1].axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [0, 20])
    assert saved[1].axes[0].get_ylim()[1] > 20
    (part,) = report_data([str(run), str(alone)], None, {}, "runs")["parts"]
    (line,) = part["curves"]["drawn"]["sampled"]["success"]
    assert (line["seeds"], line["mean"]) == ([0, 1, 2, 3, 4], [0, 15, 30])
    assert line["lost"] == [{"seed": 5, "steps": [0], "values": [0]}]
    (part,) = report_data([str(alone)], None, {}, "runs")["parts"]
    (line,) = part["curves"]["drawn"]["sampled"]["success"]
    assert (line["mean"], line["lost"][0]["values"]) == ([], [0, 20])


def test_a_rates_band_stays_between_0_and_100(make_run):
    panel, _ = drawn(make_run(seeds=tuple(range(5)), scores=(0.0, 1.0, 1.0, 1.0, 1.0), iterations=60))
    band = panel.collections[0].get_paths()[0].get_extents()
    assert band.y1 == 100


def test_few_seeds_are_all_drawn_and_have_no_band(make_run):
    panel, seeds = drawn(make_run(seeds=(0, 1, 2), scores=(0.1, 0.2, 0.3), iterations=60))
    assert seeds == 3
    assert len(panel.collections) == 0
    assert len(panel.lines) == 4
    assert sorted(line.get_ydata()[-1] for line in panel.lines) == pytest.approx([10, 20, 20, 30])
    panel, _ = drawn(make_run(seeds=(0,), scores=(0.1,), iterations=60))
    assert len(panel.lines) == 1


def test_axes_name_policy_unit_and_metric(make_run, tmp_path, monkeypatch):
    saved: list[Any] = []
    monkeypatch.setattr(curves, "save", lambda figure, path: saved.append(figure) or [path])
    make = {"seeds": (0, 1), "scores": (0.2, 0.4), "iterations": 60}
    runs = [make_run(**make), make_run(algorithm="random", **make)]
    draw_curves(runs, policy="greedy", path=tmp_path / "x.png")
    first, second = saved[0].axes
    assert first.get_xlabel() == "environment steps (joint actions)"
    assert first.get_ylabel() == "success, greedy policy (%)"
    assert second.get_ylabel() == "return, greedy policy"
    assert sorted(text.get_text() for text in second.texts) == ["pg", "random"]
    assert first.lines[2].get_ydata()[-1] == pytest.approx(15)  # greedy is half as good: mean of 10 and 20
    colours = {line.get_color() for line in first.lines}
    assert colours == {HUES["pg"], BASELINE}
    caption = " ".join(saved[0].get_supxlabel().split())
    assert caption.startswith("2 seeds: each seed is a thin line, their mean bold, and no interval is drawn.")
    assert "32 evaluation episodes per seed" in caption
    assert "One iteration is 4,800 environment steps" in caption
    draw_curves(
        runs[:1], metric="success", source="metrics", path=tmp_path / "x.png", caption="mine", title="also mine"
    )
    assert saved[1].axes[0].get_ylabel() == "success, training (%)"
    assert saved[1].get_supxlabel() == "mine"
    assert saved[1].get_suptitle() == "also mine"


def test_refusals(make_run, tmp_path):
    run = make_run(iterations=60)
    with pytest.raises(ValueError, match="no policy 'gredy' in these runs; there are: sampled, greedy"):
        draw_curves(run, policy="gredy", path=tmp_path / "x.png")
    with pytest.raises(ValueError, match="no metric 'succes'; nearest: success"):
        draw_curves(run, metric="succes", path=tmp_path / "x.png")
    (run / "eval.jsonl").write_text("")
    with pytest.raises(ValueError, match="let them train a little"):
        draw_curves(run, path=tmp_path / "x.png")


def test_explanation_names_bands_only_where_there_are_some(make_run):
    table = gather(make_run(iterations=60)).table
    assert "bands: 95 % t intervals over seeds" in explanation({8}, table, "eval", 0.95)
    assert "thin" not in explanation({8}, table, "eval", 0.95)
    assert "band" not in explanation({3}, table, "eval", 0.95)
    assert "Fewer than five seeds: each seed is a thin line" in explanation({3, 8}, table, "eval", 0.95)
    assert "no result yet" in explanation({1}, table, "eval", 0.95)


def test_labels_at_line_ends_do_not_overlap():
    panel = axes()
    looks: dict[str, Any] = {
        name: {"color": colour, "linestyle": "-"} for name, colour in zip("abc", "rgb", strict=True)
    }
    for name, look in looks.items():
        panel.plot([0, 1], [0, 0.5], label=name, linewidth=2, **look)
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    label_ends(panel.figure, panel, dict(zip("abc", "abc", strict=True)), looks)
    heights = sorted(text.xyann[1] for text in panel.texts)
    points = panel.get_window_extent().height / panel.figure.dpi * 72
    assert np.diff(heights).min() * points > 8.5
    assert np.mean(heights) == pytest.approx(0.5)


def test_labels_stand_beside_the_panel_behind_a_piece_of_their_line_without_leaders():
    panel = axes()
    looks: dict[str, Any] = {"a": {"color": "r", "linestyle": "-"}, "b": {"color": "r", "linestyle": "--"}}
    for name, end in {"a": 1.0, "b": 0.3}.items():
        panel.plot([0, end], [0, end], label=name, linewidth=2, **looks[name])
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    label_ends(panel.figure, panel, {"a": "a", "b": "b"}, looks)
    keys = panel.lines[2:]
    assert [key.get_linestyle() for key in keys] == ["--", "-"]  # from below
    assert [text.get_text() for text in panel.texts] == ["b", "a"]
    assert all(text.arrow_patch is None for text in panel.texts)
    edge = panel.get_window_extent().x1
    panel.figure.draw_without_rendering()
    for part in (*keys, *panel.texts):  # nothing of them in the panel
        assert part.get_tightbbox().x0 > edge


def test_spread():
    np.testing.assert_allclose(spread(np.array([10.0, 50.0]), np.array([4.0, 4.0]), 100), [10, 50])
    np.testing.assert_allclose(spread(np.array([50.0, 50.0]), np.array([4.0, 4.0]), 100), [48, 52])
    np.testing.assert_allclose(spread(np.array([0.0, 0.0]), np.array([4.0, 4.0]), 100), [2, 6])
    np.testing.assert_allclose(spread(np.array([100.0, 100.0]), np.array([4.0, 4.0]), 100), [94, 98])


def test_words():
    assert short(0) == "0"
    assert short(4800) == "4.8k"
    assert short(14_400_000) == "14.4M"
    assert wrapped("pg · observe=last-action · learning-rate=0.1") == "pg · observe=last-action\nlearning-rate=0.1"
