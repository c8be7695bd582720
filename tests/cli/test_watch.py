"""`comity watch` of any checkpoint, several side by side, and as a video."""

import json
import re
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL.GifImagePlugin import GifImageFile

from comity.cli.main import main
from comity.report.labels import film_titles
from comity.runs.saved import open_run
from comity.training.run import load
from tiny import learner
from tiny.runs import arrays, recipe, trained


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run of 8 iterations, of which 0, 3 and 6 stay beside the newest two."""
    return trained(tmp_path_factory.mktemp("kept") / "runs", seeds=1, keep_every=3, chunk=1, iterations=8)


def said(capsys, *arguments, status=0) -> str:
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == status
    told = capsys.readouterr()
    return told.err if status else told.out


def data_of(page: str) -> list:
    found = re.search(r'id="data">(.*?)</script>', Path(page).read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_checkpoints_that_were_asked_for_stay(kept):
    assert [int(path.stem) for path in kept.saved()] == [0, 3, 6, 7, 8]
    early, late = load(kept.path, 3), load(kept.path)
    assert (early.iteration, late.iteration) == (3, 8)
    whole = arrays(kept.saved()[1])
    for name in ("params.in", "params.policy", "opt_state.0.mu.value"):
        np.testing.assert_array_equal(early.params[name], whole[f"0.state.{name}"])
    assert not np.array_equal(early.params["params.in"], late.params["params.in"])
    with pytest.raises(ValueError, match=r"iteration 4: there are 0, 3, 6, 7, 8; comity train --keep-e"):
        load(kept.path, 4)


def test_films_of_several_checkpoints_stand_side_by_side(capsys, kept):
    text = said(capsys, "watch", kept.path, "--checkpoint", "3,6,best,last", "--html", "a.html", "--gif", "a.gif")
    titles = re.findall(r"learner on Signals, ([^:]+): ", text)
    one, two, best, last = dict.fromkeys(titles)
    assert (one, two, last) == ("iteration 3", "iteration 6", "last of iteration 8")
    assert best.startswith("best of iteration")
    told = data_of("a.html")
    assert {entry["column"] for entry in told} == {0, 1, 2, 3}
    assert sum(entry["turn"] for entry in told) > 0  # some succeed several times
    said(capsys, "watch", kept.path, "--in-turn", "1", "--html", "b.html", "--gif", "b.gif")
    assert Path("b.html").read_text().count('"turn":') == 1


def test_films_side_by_side_say_which_run_is_which(capsys, kept, tmp_path):
    other = trained(tmp_path, recipe(learner.Config(learning_rate=0.03)), seeds=1, chunk=1, iterations=2)
    text = said(capsys, "watch", kept.path, other.path, "--html", "a.html", "--gif", "a.gif")
    titles = list(dict.fromkeys(re.findall(r"learner on Signals ([^:]+): ", text)))
    assert titles == [
        "· learning-rate=0.01 · iterations=8, last of iteration 8",
        "· learning-rate=0.03 · iterations=2, last of iteration 2",
    ]
    again = [open_run(kept.path)] * 2
    assert film_titles(again, ["pg on ipd"] * 2, ["aaaaaa", "bbbbbb"]) == ["pg on ipd (aaaaaa)", "pg on ipd (bbbbbb)"]
    page = tmp_path / "report.html"
    said(capsys, "report", kept.path, other.path, "--out", page)
    for title in titles:
        own = json.dumps(f"learner on Signals {title.partition(',')[0]}").strip('"')
        assert own in page.read_text(encoding="utf-8")


def test_a_film_of_the_best_stands_beside_that_of_the_last(capsys, kept):
    said(capsys, "watch", kept.path)
    text = said(capsys, "watch", kept.path, "--best", "--in-turn", "1")
    assert text.startswith("learner on Signals, best of iteration ")
    names = {path.name for path in (kept.path / "figures").iterdir()}
    assert {f"seed0_sampled{which}.{end}" for which in ("", "_best") for end in ("gif", "html")} <= names


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--checkpoint", "first"], "--checkpoint 'first' is not last, best or an iteration such as 500"),
        (["--checkpoint", "3,"], "--checkpoint '' is not last, best or an iteration"),
        (["--checkpoint", "3", "--best"], "--best and --checkpoint: give one of them"),
        (["--best", "--both"], "--best and --both: give one of them"),
        (["--in-turn", "0"], "--in-turn 0 must be 1 or more"),
    ],
)
def test_wrong_lines(capsys, kept, flags, says):
    assert says in said(capsys, "watch", kept.path, *flags, status=2)


def test_a_video_shows_what_the_gif_shows(capsys, kept):
    text = said(capsys, "watch", kept.path, "--mp4", "film/a.mp4", "--gif", "a.gif", "--html", "a.html")
    assert "film/a.mp4" in text
    decode = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "film/a.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    video = np.frombuffer(subprocess.run([*decode, "-"], capture_output=True, check=True).stdout, np.uint8)
    with GifImageFile("a.gif") as gif:
        wide, high = gif.width + gif.width % 2, gif.height + gif.height % 2
        shown = video.reshape(-1, high, wide, 3)[:, : gif.height, : gif.width].astype(int)
        steps = [entry["steps"] for entry in data_of("a.html")]
        assert len(shown) == sum(steps) + len(steps) + 8 * (len(steps) - 1) + 12  # pauses; the last picture stays
        assert np.abs(np.asarray(gif.convert("RGB")) - shown[0]).mean() < 4
        gif.seek(gif.n_frames - 1)
        assert np.abs(np.asarray(gif.convert("RGB")) - shown[-1]).mean() < 4
    assert [path.name for path in Path("film").iterdir()] == ["a.mp4"]
    said(capsys, "watch", kept.path, "--gif", "b.mp4", "--html", "b.html")
    assert Path("b.mp4").read_bytes()[4:8] == b"ftyp"


def test_without_the_extra_one_line_says_so(capsys, kept, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    line = said(capsys, "watch", kept.path, "--mp4", "a.mp4", status=1)
    assert "imageio_ffmpeg is not installed: pip install imageio-ffmpeg" in line
    assert "'.[video]'" in line
    assert len(line.strip().splitlines()) == 1
    assert not Path("a.mp4").exists()
