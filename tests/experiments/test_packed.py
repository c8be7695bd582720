"""Records packed into columns and unpacked again, and the script that folds new records in."""

import json
import zipfile

import numpy as np
import pytest

from comity.experiments import packed, records
from studies import pack

SETTINGS = {"task": {"name": "ä@1", "placement": None}, "algorithm": {"gamma": 0.99}, "envs": 4, "iterations": 20}


def record(seed, settings=SETTINGS, **changed):
    curve = {"iteration": [10, 20], "success": [0.1234, None], "alone:return": [-0.0, 1e-300 * seed]}
    last = {"sampled": {"success": 0.1 + 0.2, "return": None}, "greedy": {"success": 1.7976931348623157e308}}
    facts = {"settings": settings, "config_hash": records.config_hash(settings), "seed": seed, "dirty": False}
    return {**facts, "commit": None, "core_seconds": 1.5, "curve": curve, "last": last, "episodes": 320, **changed}


@pytest.fixture
def rows():
    """Records that differ in their columns, points, facts and order of facts."""
    odd = record(7, {**SETTINGS, "envs": 8}, curve={"env_steps": [5], "success": [float(2**60)]}, last={})
    return {"two": [record(1), odd, record(0)], "one": [dict(reversed(record(3, bits={"pool": 2}).items()))]}


def test_what_is_unpacked_is_what_was_packed(rows, tmp_path):
    """Compared as text, in which -0.0 is not 0.0 and 1 is not 1.0."""
    (path := tmp_path / "records.npz").write_bytes(packed.pack(rows))
    found = packed.unpack(path)
    assert list(found.rows()) == ["one", "two"]
    for arm, some in rows.items():
        assert json.dumps(found.of_arm(arm)) == json.dumps(some)
    assert found.of_arm("three") == []
    path.write_bytes(packed.pack({"three": [record(0)]}))
    assert list(packed.unpack(path).rows()) == ["three"]  # not what was there before


def test_the_file_is_columns_that_numpy_reads_without_pickle(rows, tmp_path):
    (path := tmp_path / "records.npz").write_bytes(packed.pack(rows))
    with np.load(path, allow_pickle=False) as file:
        columns = {name: file[name] for name in file.files}
    assert columns["curve/iteration"].dtype == np.int64
    assert columns["curve/iteration"].tolist() == [10, 20] * 3
    assert columns["curve/success"].tolist()[3::2] == pytest.approx([np.nan, 0.1234], nan_ok=True)
    assert columns["last/greedy/success"].shape == (3,)
    head = json.loads(columns["facts.json"].tobytes())
    assert [head["values"]["arm"][i] for i in head["index"]["arm"]] == ["one", "two", "two", "two"]
    assert len(head["values"]["settings"]) == 2  # shared ones once


def test_the_same_records_give_the_same_bytes(rows, monkeypatch):
    first = packed.pack(rows)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert packed.pack(dict(reversed(rows.items()))) == first


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        ({"iteration": [10, 20], "success": [0.5]}, r"arm, seed 1: its curves have \[1, 2\] points"),
        ({"success": [1, 0.5]}, "arm, seed 1: curve/success is neither of floats"),
        ({"iteration": [10, None]}, "arm, seed 1: curve/iteration is neither of floats"),
        ({"iteration": [10.0, 20.0]}, "would not be unpacked as they are"),  # whole numbers in the other record
    ],
)
def test_what_would_come_back_changed_is_refused(curve, words):
    with pytest.raises(ValueError, match=words):
        packed.pack({"arm": [record(0), record(1, curve=curve)]})


def test_files_that_hold_no_packed_records_are_named(tmp_path, monkeypatch):
    (path := tmp_path / "records.npz").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(ValueError, match=r"records\.npz holds no packed records"):
        packed.unpack(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match=r"records\.npz holds no packed records"):
        packed.unpack(path)
    monkeypatch.setattr(packed, "FORMAT", 2)
    path.write_bytes(b"")
    with zipfile.ZipFile(path, "w") as archive, archive.open("facts.json.npy", "w") as file:
        np.lib.format.write_array(file, np.frombuffer(b'{"format": 1, "values": {}, "index": {}}', np.uint8))
    with pytest.raises(ValueError, match="packed records of format 1; this version of comity reads 2"):
        packed.unpack(path)


def test_a_seed_that_is_there_already_stays_as_it_is():
    other = {**SETTINGS, "envs": 8}
    new = [("arm", record(1, core_seconds=9.0)), ("arm", record(0)), ("arm", record(1, other)), ("new", record(2))]
    found = packed.merged({"arm": [record(1)]}, new)
    assert sorted((x["settings"]["envs"], x["seed"], x["core_seconds"]) for x in found["arm"]) == [
        (4, 0, 1.5),
        (4, 1, 1.5),
        (8, 1, 1.5),
    ]
    assert [x["seed"] for x in found["arm"] if x["settings"]["envs"] == 4] == [0, 1]
    assert found["new"] == [record(2)]


def test_new_records_are_folded_in_and_arms_dropped(tmp_path):
    target, new = tmp_path / "records.npz", tmp_path / "new"
    assert pack.fold(target, new) == []
    new.mkdir()
    for arm, seeds in {"released-pg": (0, 1), "sound": (0,)}.items():
        (new / f"{arm}.jsonl").write_text("".join(json.dumps(record(seed)) + "\n" for seed in seeds))
    gone = {"seed": 2, "settings": SETTINGS, "config_hash": records.config_hash(SETTINGS)}
    (new / "sound.lost").write_text(json.dumps(gone) + "\n")
    pack.fold(target, new)
    assert not list(new.iterdir())
    assert packed.unpack(target).lost == {"sound": [gone]}  # became not finite
    (new / "released-pg.jsonl").write_text(json.dumps(record(1, core_seconds=7.0)) + "\n")
    said = pack.fold(target, new, ["released-*", "nothing"])
    assert said[:2] == ["  dropped released-pg: 2 seeds", "  added released-pg: 1 seeds"]
    assert packed.unpack(target).lost == {"sound": [gone]}
    rows = packed.unpack(target).rows()
    assert {arm: [(x["seed"], x["core_seconds"]) for x in some] for arm, some in rows.items()} == {
        "released-pg": [(1, 7.0)],
        "sound": [(0, 1.5)],
    }
    pack.fold(target, new, ["*"])
    assert not target.exists()


def test_a_file_that_grows_while_it_is_folded_is_kept(tmp_path, monkeypatch):
    (path := tmp_path / "arm.jsonl").write_text(json.dumps(record(0)) + "\n")
    whole = packed.pack

    def while_packed(rows, lost):
        with path.open("a") as file:
            file.write(json.dumps(record(1)) + "\n")
        return whole(rows, lost)

    monkeypatch.setattr(packed, "pack", while_packed)
    assert any("has grown meanwhile" in line for line in pack.fold(tmp_path / "records.npz", tmp_path))
    assert len(records.lines(path)) == 2
