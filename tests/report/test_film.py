"""Films show what is recorded: in the GIF, in the page's data, and in a real browser."""

import base64
import dataclasses
import html
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.GifImagePlugin import GifImageFile

from comity.report import episode_panels, film, film_column, replay
from comity.report.recording import Recording

T, N, A = 12, 2, 4
NAMES = ("left", "turn_right", "pick up", "drop")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def recorded(**changes) -> Recording:
    """Two agents on a line; in step 3 agent 1 picks up, in step 5 agent 0 gains 0.5, in step 9 both gain 1."""
    draw = np.random.default_rng(0)
    frames = np.full((T + 1, 24, 40, 3), 30, np.uint8)
    for t in range(T + 1):
        frames[t, 4:12, 2 * t : 2 * t + 6] = (230, 159, 0)
    rewards, pickups = np.zeros((T, N)), np.zeros((T, N), int)
    rewards[5, 0], rewards[9], pickups[3, 1] = 0.5, 1.0, 1
    available = np.ones((T + 1, N, A), bool)
    available[:, 1, 3] = False
    parts = dict(
        title="PG on a line",
        caption="chosen: a successful episode of 32",
        task="line",
        algorithm="policy_gradient",
        seed=7,
        policy="sampled",
        frames=frames,
        agent_names=("Ama", "Bo"),
        agent_colours=("#e69f00", "#56b4e9"),
        action_names=NAMES,
        actions=np.stack([np.arange(T) % 4, np.arange(T) % 3], -1),
        available=available,
        probabilities=draw.dirichlet(np.ones(A), (T, N)),
        values=draw.normal(size=(T, N)),
        rewards=rewards,
        views=draw.normal(size=(T + 1, N, 27)),
        info={"pickups": pickups, "distance": draw.random((T, N)), "alive": np.ones(T)},
        terminated=True,
    )
    return Recording(**{**parts, **changes})


def data_of(page: str) -> list:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def opened(path) -> GifImageFile:
    image = Image.open(path)
    assert isinstance(image, GifImageFile)
    return image


def picture_of(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


# Recording


def test_events_are_rewards_and_rare_counts():
    events = recorded().events()
    assert events == [(3, 1, "pickups", 1.0), (5, 0, "reward", 0.5), (9, None, "reward", 1.0)]


def test_events_of_the_whole_game_and_of_short_episodes():
    info = {"doors_opened": np.eye(T)[4], "nan": np.full(T, np.nan)}
    assert (4, None, "doors opened", 1.0) in recorded(info=info).events()
    one = recorded(
        frames=None, views=None, probabilities=None, values=None, info={}, actions=[[0, 1]],
        available=np.ones((2, 2, 4), bool), rewards=[[3.0, 2.0]],
    )  # fmt: skip
    assert one.events() == [(0, 0, "reward", 3.0), (0, 1, "reward", 2.0)]


def test_events_that_repeat_are_all_told_and_states_once():
    info = {"falls": np.zeros(T), "stands": np.zeros(T)}
    info["falls"][3:6] = info["stands"][3:6] = 1
    told = recorded(info=info, rewards=np.zeros((T, N)), event_states=("stands",)).events()
    assert [(event.t, event.text) for event in told] == [(3, "falls"), (3, "stands"), (4, "falls"), (5, "falls")]


def test_dense_rewards_are_no_events():
    assert recorded(rewards=np.ones((T, N)), info={}).events() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"frames": np.zeros((T, 4, 4, 3), np.uint8)},
            r"frames has shape \(12, 4, 4, 3\): expected \[T \+ 1, H, W, 3\]",
        ),
        ({"frames": np.zeros((T + 1, 4, 4, 3))}, "frames has dtype float64: expected uint8"),
        ({"values": np.zeros(T)}, r"values has shape \(12,\): expected \[T, N\], here \(12, 2\)"),
        ({"views": np.zeros((T, N, 5))}, r"views has shape .*here \(13, 2, \.\.\.\)"),
        ({"available": np.ones((T, N, A), bool)}, r"available has shape .*\[T \+ 1, N, A\], here \(13, 2, 4\)"),
        ({"actions": np.full((T, N), 4)}, "actions runs from 4 to 4, but available has 4 actions"),
        ({"actions": np.zeros((T, N))}, "actions has dtype float64: discrete actions are integers"),
        ({"actions": (np.zeros((T, N), int),)}, "actions has 1 heads: available must be a tuple"),
        ({"action_names": ("a", "b")}, "action_names has 2 entries, but available has 4 actions"),
        ({"agent_names": ("a",)}, "agent_names has 1 entries, but rewards has 2 agents"),
        ({"agent_colours": ("red", "#fff")}, "agent colour 'red'"),
        ({"info": {"x": np.zeros((T, 3))}}, r'info\["x"\] has shape \(12, 3\): expected \[T\] or \[T, N\]'),
        ({"policy": "best"}, "policy is 'best'"),
        ({"rewards": np.zeros(T)}, r"rewards has shape \(12,\): expected \[T, N\]"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        recorded(**changes)


def test_actions_in_words():
    assert recorded().action_text(0, 0) == "← left"
    assert recorded().action_text(1, 0) == "↻ turn_right"
    assert recorded(action_names=None).action_text(2, 0) == "action 2"
    available = np.ones((T + 1, N, 2), bool)
    available[:, 1, 1] = False
    moving = continuous()
    assert moving.action_text(0, 0) == "+0.50 -0.25"
    assert moving.action_text(0, 1) == "+0.50"
    assert several_heads().action_text(1, 0) == "share, ↓ down"


def test_what_is_no_choice_is_said_in_brackets_and_left_blank():
    actions, available = recorded().actions, np.ones((T + 1, N, A), bool)
    available[3, 0] = np.arange(A) == actions[3, 0]
    film_of = recorded(available=available, frames=None)
    assert film_of.action_text(3, 0) == f"({recorded().action_text(3, 0)})"
    assert film_of.action_text(3, 1) == recorded().action_text(3, 1)
    (head,) = film_of.heads
    (line,) = episode_panels._lines(head, episode_panels.colours_of(film_of)[0], 0)
    assert [t for t, colour in enumerate(line) if colour == episode_panels.BLANK] == [3]


def continuous(**changes) -> Recording:
    available = np.ones((T + 1, N, 2), bool)
    available[:, 1, 1] = False
    actions = np.tile([0.5, -0.25], (T, N, 1))
    return recorded(actions=actions, available=available, probabilities=None, action_names=None, **changes)


def several_heads(**changes) -> Recording:
    ones = np.ones((T, N), int)
    return recorded(
        actions=(ones, ones), available=(np.ones((T + 1, N, 2), bool), np.ones((T + 1, N, 3), bool)),
        probabilities=(np.full((T, N, 2), 0.5), None), action_names=(("fight", "share"), ("up", "down", "stay")),
        **changes,
    )  # fmt: skip


# GIF


def test_gif_has_every_step_and_stays_at_the_end(tmp_path):
    path = film.write_gif(recorded(), tmp_path / "film.gif", fps=8, scale=2)
    with opened(path) as image:
        assert image.n_frames == T + 1
        assert image.width == 300 + 24  # no narrower than its text
        durations = []
        for t in range(image.n_frames):
            image.seek(t)
            durations.append(image.info["duration"])
    assert durations == [120] * T + [1500]
    assert path.stat().st_size < 60_000
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]


def test_gif_shows_the_frames_exactly(tmp_path):
    episode = recorded()
    path = film.write_gif(episode, tmp_path / "film.gif", scale=2)
    column = film_column.Column(episode, 2)
    left, top = (column.width - 80) // 2, column.heights[0] + 4
    assert episode.frames is not None
    with opened(path) as image:
        for t in range(T + 1):
            image.seek(t)
            shown = np.asarray(image.convert("RGB"))[top : top + 48, left : left + 80]
            np.testing.assert_array_equal(shown[::2, ::2], episode.frames[t], err_msg=f"t = {t}")


def test_gif_of_two_waits_for_the_longer_and_names_both(tmp_path, monkeypatch):
    said = []
    write = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda pen, xy, text, *a, **k: (said.append(text), write(pen, xy, text, *a, **k)),
    )
    cut = {
        "frames": np.zeros((7, 24, 40, 3), np.uint8),
        "views": None,
        "info": {},
        "values": None,
        "probabilities": None,
    }
    short = dict(actions=np.zeros((6, N), int), rewards=np.zeros((6, N)), available=np.ones((7, N, A), bool))
    other = recorded(title="Random policy", caption="first episode, not chosen", terminated=False, **cut, **short)
    path = film.write_gif([recorded(), other], tmp_path / "film.gif")
    with opened(path) as image:
        assert image.n_frames == T + 1
    for text in ("PG on a line", "chosen: a successful episode of 32", "Random policy", "first episode, not chosen"):
        assert text in said
    assert {"step 0/12", "step 12/12", "step 6/6", "+0.5", "← left", "1.50", "terminated", "cut"} <= set(said)
    assert "step 7/6" not in said


def test_large_rewards_are_written_out():
    assert [film_column.total_text(x) for x in (999.5, 26_000.0, -1_000.0, 2.5e6)] == [
        "999.50",
        "26,000",
        "-1,000",
        "2.5e+06",
    ]
    assert [film_column.signed(x) for x in (0.5, 1_000.0, -20_000.0, 3e5)] == ["+0.5", "+1,000", "-20,000", "+3e+05"]


@pytest.mark.parametrize("make", [recorded, continuous, several_heads])
def test_games_without_pictures_get_a_panel(tmp_path, make):
    path = film.write_gif(make(frames=None), tmp_path / "film.gif")
    with opened(path) as image:
        assert image.n_frames == T + 1
        image.seek(T)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10
    assert data_of(replay.replay_html(make(frames=None)))[0]["frames"] == []


def test_many_colours_and_many_agents(tmp_path):
    draw = np.random.default_rng(1)
    crowd = 14
    episode = Recording(
        title="t", task="t", algorithm="a", seed=0, policy="greedy", actions=np.zeros((3, crowd), int),
        available=np.ones((4, crowd, 2), bool), rewards=draw.normal(size=(3, crowd)),
        frames=draw.integers(0, 256, (4, 30, 30, 3), np.uint8),
    )  # fmt: skip
    with opened(film.write_gif(episode, tmp_path / "film.gif")) as image:
        assert image.n_frames == 4
    assert len(data_of(replay.replay_html(episode))[0]["images"]) == 4


@pytest.mark.parametrize(("options", "message"), [({"fps": 0}, "fps is 0"), ({"scale": -1}, "scale is -1")])
def test_gif_options_are_checked(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        film.write_gif(recorded(), tmp_path / "film.gif", **options)
    with pytest.raises(ValueError, match="no recordings"):
        film.write_gif([], tmp_path / "film.gif")


# HTML


def test_page_needs_nothing_else(tmp_path):
    page = replay.write_html(recorded(), tmp_path / "film.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|<link[^>]+href=\"(?!data:)|\bsrc=\"", page)
    assert "default-src 'none'" in page
    assert "{{" not in page
    assert len(page) < 150_000


def test_data_comes_back(tmp_path):
    episode = recorded()
    (data,) = data_of(replay.replay_html(episode))
    head = data["heads"][0]
    np.testing.assert_array_equal(head["actions"], episode.actions)
    np.testing.assert_allclose(head["probabilities"], episode.probabilities, rtol=1e-3)
    np.testing.assert_array_equal(
        [[[c == "1" for c in row] for row in t] for t in head["available"]], episode.available
    )
    np.testing.assert_allclose(data["values"], episode.values, rtol=1e-3)  # type: ignore[arg-type]
    np.testing.assert_array_equal(data["rewards"], episode.rewards)
    np.testing.assert_allclose(data["views"], episode.views, rtol=1e-3)  # type: ignore[arg-type]
    assert head["names"] == list(NAMES)
    assert (data["steps"], data["policy"], data["seed"], data["caption"]) == (T, "sampled", 7, episode.caption)
    assert data["events"] == [[3, 1, "pickups", 1], [5, 0, "reward", 0.5], [9, None, "reward", 1]]
    assert data["ended"].startswith("terminated")
    assert episode.frames is not None
    for t in range(T + 1):
        np.testing.assert_array_equal(picture_of(data["images"][data["frames"][t]]), episode.frames[t])


def test_equal_pictures_are_kept_once():
    frames = np.zeros((T + 1, 8, 8, 3), np.uint8)
    frames[6:] = 200
    views = np.zeros((T + 1, N, 4, 4, 3), np.uint8)
    views[:, 1] = 90
    (data,) = data_of(replay.replay_html(recorded(frames=frames, view_frames=views)))
    assert len(data["images"]) == 4
    assert data["frames"] == [0] * 6 + [3] * 7
    assert data["view_frames"] == [[1, 2]] * (T + 1)


def test_a_reward_flashes_once_although_the_picture_stays():
    rewards = np.zeros((T, N))
    rewards[-1] = 1.0
    column = film_column.Column(recorded(rewards=rewards), None)
    green = [(column.draw(t, column.heights) == np.array([0x12, 0x91, 0x5A])).all(-1).sum() for t in (T - 1, T, T + 1)]
    assert green[1] > 2 * green[0]
    assert green[2] == green[0]


def test_numbers_that_are_not_finite_are_null():
    values = np.full((T, N), np.nan)
    values[0] = np.inf
    assert data_of(replay.replay_html(recorded(values=values)))[0]["values"] == [[None] * N] * T


def test_views_too_large_are_left_out(monkeypatch):
    monkeypatch.setattr(replay, "VIEW_NUMBERS", 10)
    (data,) = data_of(replay.replay_html(recorded()))
    assert data["views"] is None
    assert data["view_shape"] == [27]


def test_large_pictures_lose_detail_not_the_limit(monkeypatch):
    monkeypatch.setattr(replay, "IMAGE_BYTES", 12_000)
    frames = np.random.default_rng(0).integers(0, 256, (T + 1, 60, 60, 3), np.uint8)
    (data,) = data_of(replay.replay_html(recorded(frames=frames)))
    assert picture_of(data["images"][0]).shape == (20, 20, 3)


EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>{{data}}&\"'"


def test_text_cannot_become_markup():
    page = replay.replay_html(
        recorded(title=EVIL, caption=EVIL, agent_names=(EVIL, "b"), action_names=(EVIL, "b", "c", "d"))
    )
    assert page.lower().count("</script>") == 2  # the data's and the page's own
    assert "<img src=x" not in page
    assert f"<title>{html.escape(EVIL)}</title>" in page
    (data,) = data_of(page)
    assert data["title"] == data["caption"] == data["agents"][0]["name"] == data["heads"][0]["names"][0] == EVIL


# In a browser


def dom_of(page: str, folder, fragment: str = "") -> str:
    """The document after its scripts ran."""
    assert CHROMIUM is not None
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri() + fragment], capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout


def panel_of(dom: str, agent: int, field: str) -> str:
    found = re.search(rf'data-agent="{agent}".*?class="{field}"[^>]*>(.*?)</dd>', dom, re.DOTALL)
    assert found, "the page was not built"
    return html.unescape(re.sub(r"<[^>]+>", "", found[1]))


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: the replay's script was NOT run")


@needs_browser
def test_browser_shows_the_step_of_the_address(tmp_path):
    dom = dom_of(replay.replay_html(recorded()), tmp_path, "#t=6&agent=1")
    assert 'data-ready="yes"' in dom
    assert 'data-t="6"' in dom
    assert panel_of(dom, 0, "did") == "↻ turn_right+0.5"
    assert panel_of(dom, 0, "chooses") == "pick up"
    assert panel_of(dom, 1, "chooses") == "← left"
    assert "step 6 / 12" in dom
    assert re.search(r'<article class="panel lit" data-agent="1"', dom)
    assert len(re.findall(r'class="row[^"]*barred', dom)) == 1  # agent 1 cannot drop


@needs_browser
def test_browser_obeys_keys_slider_and_clicks(tmp_path):
    keys = """<script>
    const log = [], t = () => log.push(document.body.dataset.t);
    const press = (key, more) => {
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more })); t(); };
    press("End"); press("ArrowLeft"); press("Home"); press("ArrowRight", { shiftKey: true });
    press("p"); press("n"); press("a");
    const slider = document.getElementById("slider"); slider.value = 4; slider.dispatchEvent(new Event("input")); t();
    document.querySelector("#events li:nth-child(2) button").click(); t();
    location.hash = "#t=2"; document.getElementById("play").click();
    log.push(document.getElementById("play").textContent.trim());
    document.body.dataset.log = log.join(" ");
    </script></body>"""
    page = replay.replay_html([recorded(), recorded(title="Random policy")]).replace("</body>", keys)
    dom = dom_of(page, tmp_path)
    found = re.search(r'data-log="([^"]*)"', dom)
    assert found, "the page's script stopped"
    assert found[1] == "12 11 0 10 6 10 10 4 6 Pause"


@needs_browser
@pytest.mark.parametrize("make", [recorded, continuous, several_heads])
def test_browser_draws_every_kind_of_game(tmp_path, make):
    episode = make(frames=None, title=EVIL, agent_names=(EVIL, "Bo"), views=np.ones((T + 1, N, 3, 3, 2), np.int8))
    bare = dataclasses.replace(episode, values=np.full((T, N), np.nan), views=None)
    dom = dom_of(replay.replay_html([episode, bare]), tmp_path, "#t=99")
    assert "This algorithm notes no values" in dom_of(replay.replay_html(bare), tmp_path, "#agent=1")
    assert 'data-ready="yes"' in dom
    assert panel_of(dom, 1, "did").startswith(episode.action_text(T - 1, 1).split(" ")[0].replace("+0.50", "+0.5"))
    assert "<title>owned" not in dom
    assert "<img src=" not in dom


@needs_browser
def test_browser_shows_the_turn_of_the_address(tmp_path):
    second = recorded(caption="the second", view_names=tuple(f"number {k}" for k in range(27)), sharing=np.eye(2))
    marked = dataclasses.replace(second, event_marks={"pickups": "hooray"})
    dom = dom_of(replay.replay_html([[recorded(), marked], recorded(title="Random")]), tmp_path, "#turn=1&t=5")
    assert 'data-ready="yes"' in dom
    assert "the second" in dom
    assert len(re.findall(r'aria-pressed="(true|false)"[^>]*>[12]<', dom)) == 2
    assert ">hooray of Bo</span>" in dom
    assert ">number 26</span>" in dom
    assert "how much of a column's reward the row gets" in dom
    assert "the second" not in re.sub(
        "<script.*?</script>", "", dom_of(replay.replay_html([[recorded(), marked]]), tmp_path)
    )


@needs_browser
def test_a_broken_script_would_be_noticed(tmp_path):
    page = replay.replay_html(recorded()).replace("function buildPanels", "function builtPanels")
    dom = dom_of(page, tmp_path)
    assert 'data-ready="yes"' not in dom
    assert "This replay could not be shown" in dom
    with pytest.raises(AssertionError, match="the page was not built"):
        panel_of(dom, 0, "did")
