"""Texts of pictures: sentences of events, names of numbers, titles of curves, cross-play as a heatmap."""

import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from comity.environments import TASKS
from comity.recipes import find_task, settings_of
from comity.report import episode_panels, film, film_column, replay
from comity.report.curves import title_of
from comity.report.heatmap import draw_heatmap
from comity.report.recording import Recording, sentence
from comity.report.study import gather

T, N = 20, 2


def recorded(**changes) -> Recording:
    info = {name: np.zeros((T, N)) for name in ("pickups", "gifts")} | {"success": np.zeros(T)}
    info["pickups"][2, 0] = info["gifts"][9, 0] = info["success"][15] = 1
    plain = {
        "title": "t", "task": "manitokan", "algorithm": "pg", "seed": 0, "policy": "sampled", "info": info,
        "actions": np.zeros((T, N), int), "available": np.ones((T + 1, N, 3), bool), "rewards": np.zeros((T, N)),
        "agent_names": ("yellow", "blue"), "frames": np.zeros((T + 1, 60, 60, 3), np.uint8),
        "event_words": {"pickups": "picks up the key", "gifts": "leaves the key: a gift", "success": "all is open"},
    }  # fmt: skip
    return Recording(**{**plain, **changes})


def test_events_are_sentences():
    one = recorded()
    told = [(event.t, sentence(event, one.agent_names)) for event in one.events()]
    assert told == [(2, "yellow picks up the key"), (9, "yellow leaves the key: a gift"), (15, "all is open")]
    without = recorded(event_words={})
    assert [sentence(event, ("a", "b")) for event in without.events()] == ["a pickups", "a gifts", "success"]
    assert next(text for _, _, text, _ in replay.replay_data(one)["events"]) == "picks up the key"


def test_the_film_tells_what_happened_for_long_enough():
    column = film_column.Column(recorded(), None)
    assert column.sentences[2:4] == ["", "yellow picks up the key"]
    assert column.sentences[9] == "yellow picks up the key"
    assert column.sentences[10] == "yellow leaves the key: a gift"
    assert column.sentences[16] == column.sentences[20] == "all is open"
    silent = film_column.Column(recorded(info={}), None)
    (before, heights), after = (column.draw(10, column.heights), column.heights), silent.draw(10, silent.heights)
    assert heights == silent.heights
    strip = slice(sum(heights[:2]), sum(heights[:2]) + 22)
    assert (before[strip] != after[strip]).any()
    assert (before[: strip.start] == after[: strip.start]).all()


def test_a_gift_is_marked_until_it_is_taken_back():
    marked = recorded(event_marks={"gifts": "gift"})
    assert marked.marks() == [(9, 0, "gift", 17)]
    seen = [film_column.Column(marked, None).marks[t] for t in (9, 10, 17, 18)]
    assert seen == ["", "gift of yellow", "gift of yellow", ""]
    gold = np.array([0xF0, 0xB4, 0x00])
    column = film_column.Column(marked, None)
    shown = [(column.draw(t, column.heights)[: sum(column.heights[:2])] == gold).all(-1).sum() for t in (9, 10, 17, 18)]
    assert shown[0] == shown[3] == 0 < 1000 < shown[1] == shown[2]
    marked.info["pickups"][12, 0] = 1
    assert marked.marks() == [(9, 0, "gift", 12)]
    assert replay.replay_data(marked)["marks"] == [[9, 0, "gift", 12]]
    assert replay.replay_data(marked)["marked"] == ["leaves the key: a gift"]


def test_preferences_stand_beside_the_picture():
    shares = np.array([[0.75, 0.25], [0.0, 1.0]])
    plain, with_matrix = (film_column.Column(recorded(sharing=x), None) for x in (None, shares))
    image = episode_panels.draw_sharing(with_matrix.episode)
    assert with_matrix.wide == plain.wide + image.width + 12
    pixels = np.asarray(image)
    (right, low), cell = (20, 52), 34
    mean = [[pixels[low + 2 + cell * i, right + 2 + cell * j] for j in range(2)] for i in range(2)]
    assert [tuple(x) for x in mean[0]] == [(69, 154, 205), (187, 215, 232)]  # the darker, the more
    assert replay.replay_data(with_matrix.episode)["sharing"] == [[0.75, 0.25], [0, 1]]
    with pytest.raises(ValueError, match="sharing has shape"):
        recorded(sharing=np.eye(3))


def test_films_in_turn_follow_one_another(tmp_path):
    one, two = recorded(), recorded(title="u")
    reel = film.Reel([[one, two], two], fps=8)
    assert reel.length == 2 * (T + 1) + 8
    left = film_column.Column(one, None).draw(3, reel.heights)
    np.testing.assert_array_equal(reel.picture(3)[:, : left.shape[1]], left)
    np.testing.assert_array_equal(
        reel.picture(T + 1 + 8 + 3)[:, left.shape[1] :], reel.picture(T + 1)[:, left.shape[1] :]
    )
    with GifImageFile(film.write_gif([[one, two], two], tmp_path / "x.gif")) as image:
        assert 2 * (T + 1) <= image.n_frames <= reel.length
    page = replay.replay_html([[one, two], two])
    assert [page.count(f'"column":{k},"turn":{n}') for k, n in ((0, 0), (0, 1), (1, 0))] == [1, 1, 1]
    with pytest.raises(ValueError, match="no recordings"):
        film.write_gif([[]], tmp_path / "x.gif")


def test_names_of_views_fit_the_views():
    views = np.zeros((T + 1, N, 2))
    assert recorded(views=views, view_names=("x", "y")).names_of_view(1) == ("x", "y")
    each = recorded(views=views, view_names=(("x", "y"), ("u", "v")))
    assert each.names_of_view(1) == ("u", "v")
    assert replay.replay_data(each)["view_names"] == [["x", "y"], ["u", "v"]]
    with pytest.raises(ValueError, match="view_names has 1 entries, but agent 0 sees 2 numbers"):
        recorded(views=views, view_names=("x",))


def test_numbers_of_an_action_have_their_names():
    actions, exists = np.full((T, N, 2), 0.5), np.ones((T + 1, N, 2), bool)
    named = recorded(actions=actions, available=exists, action_names=("push x", "push y"))
    assert named.action_text(0, 1) == "push x +0.50, push y +0.50"
    assert recorded(actions=actions, available=exists).action_text(0, 1) == "+0.50 +0.50"
    exists[:, 1, 1] = False  # the second agent moves one joint, the first two others
    each = recorded(actions=actions, available=exists, action_names=(("thigh", "shin"), ("foot", "number 1")))
    assert [each.action_text(0, n) for n in range(2)] == ["thigh +0.50, shin +0.50", "foot +0.50"]
    (told,) = replay.replay_data(each)["heads"]
    assert (told["names"], told["own_names"]) == (["number 0", "number 1"], [["thigh", "shin"], ["foot", "number 1"]])
    with pytest.raises(ValueError, match="action_names names actions of 1 agents, there are 2"):
        recorded(actions=actions, available=exists, action_names=(("thigh", "shin"),))
    with pytest.raises(ValueError, match="action_names has 1 entries, but available has 2 actions"):
        recorded(actions=actions, available=exists, action_names=(("thigh", "shin"), ("foot",)))


@pytest.mark.parametrize("name", TASKS)
def test_words_are_of_events_that_are_shown(name):
    source = find_task(name)
    spec = settings_of(source, source.first, "profile").spec
    words, view = dict(spec.event_words), spec.view
    assert dict(spec.event_marks).keys() <= words.keys()
    names = getattr(view, "names", ())
    each = names if names and isinstance(names[0], tuple) else (names,) * bool(names)
    assert all(len(one) == view.size for one in each)
    assert name not in ("pendulum", "reacher", "predator-prey", "physical-deception") or each
    assert len(words) == len(spec.event_words)
    assert words.keys() <= set(spec.event_names or ())
    assert all(len(text.split()) > 1 or text in ("dies", "falls", "cooperates", "defects") for text in words.values())


def test_curves_name_task_and_algorithm(make_run):
    runs = [str(make_run(iterations=60, algorithm=name)) for name in ("pg", "coma", "ippo", "qmix")]
    assert title_of(gather(runs[0])) == "pg on manitokan@1"
    assert title_of(gather(runs[:2])) == "pg and coma on manitokan@1"
    assert title_of(gather(runs)) == "manitokan@1"


def test_a_heatmap_is_bright_where_much_is_earned(tmp_path):
    matrix = np.array([[1.0, 0.0], [np.nan, 0.5]])
    (file,) = draw_heatmap(("pg:0", "pg:1"), matrix, "title", tmp_path / "x.png", "success")
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((253, 231, 37), (68, 1, 84)):  # viridis at 100 % and at 0
        assert (np.abs(pixels.astype(int) - colour).sum(1) < 6).sum() > 1000


@pytest.mark.parametrize(("opened", "gift"), [(True, 1.0), (False, 0.0)])
def test_a_key_laid_down_is_a_gift_once_the_own_door_is_open(opened, gift):
    import jax
    import jax.numpy as jnp

    from comity.environments.grid.manitokan import statistics
    from comity.environments.grid.manitokan.game import Manitokan

    game = Manitokan()
    state, _ = game.reset(jax.random.key(0))
    before = state._replace(holding=jnp.array([True, False]), opened=jnp.array([opened, not opened]))
    after = before._replace(holding=jnp.array([False, False]))
    info = statistics.events(game, before, after, jnp.zeros(2, jnp.int32))
    assert info["drops"].tolist() == [1.0, 0.0]
    assert info["gifts"].tolist() == [gift, 0.0]
