"""Claims: one owner at a time, whatever dies, and however many try at once."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from comity.sweeps import claims


def test_a_claim_has_one_owner_until_it_is_released(tmp_path):
    first = claims.take(tmp_path / "row")
    assert first
    assert claims.take(tmp_path / "row") is None
    first.check()
    first.release()
    second = claims.take(tmp_path / "row")
    assert second
    assert second.number == 1
    with pytest.raises(claims.Lost):
        first.check()
    second.release()


def owned(folder, **about):
    folder.mkdir()
    (folder / "claim.0").write_text(json.dumps({**claims.myself(), **about}))
    return folder


def test_a_dead_process_of_this_machine_loses_its_claim_at_once(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    row = owned(tmp_path / "row", pid=child.pid, started=claims.started(child.pid))
    assert claims.take(row) is None
    child.kill()
    while claims.started(child.pid):  # until it is a zombie, which counts as dead
        time.sleep(0.01)
    claim = claims.take(row)
    assert claim
    claim.release()
    child.wait()
    assert claims.started(child.pid) is None


def test_a_process_number_that_is_used_again_is_not_the_owner(tmp_path):
    row = owned(tmp_path / "row", started="12")
    claim = claims.take(row)
    assert claim
    claim.release()


def test_on_another_host_the_lease_decides(tmp_path):
    row = owned(tmp_path / "row", host="elsewhere")
    assert claims.take(row, lease=60) is None
    os.utime(row / "claim.0", (time.time() - 61, time.time() - 61))
    claim = claims.take(row, lease=60)
    assert claim
    claim.release()


def test_a_claim_is_kept_alive_by_its_owner(tmp_path):
    claim = claims.take(tmp_path / "row", lease=0.3)
    assert claim
    os.utime(claim.path, (1, 1))
    end = time.monotonic() + 20
    while claim.path.stat().st_mtime < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    claim.release()


def test_a_claim_without_content_waits_for_the_lease(tmp_path):
    row = tmp_path / "row"
    row.mkdir()
    (row / "claim.0").touch()
    assert claims.take(row, lease=60) is None


def test_disks_without_hard_links(tmp_path, monkeypatch):
    def no_links(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    claim = claims.take(tmp_path / "row")
    assert claim
    assert claims.read_json(claim.path)["pid"] == os.getpid()
    assert claims.take(tmp_path / "row") is None
    claim.release()


def many_takes(folder, barrier, results):
    """Of a dead owner's claim: all try at the same moment."""
    for i in range(30):
        barrier.wait()
        results.put((i, claims.take(folder / str(i)) is not None))
    barrier.wait()  # nobody dies before all have tried


def test_of_many_who_try_at_once_one_takes_a_dead_owners_claim(tmp_path):
    for i in range(30):
        owned(tmp_path / str(i), pid=2**22 + 1, started="1")
    fork = multiprocessing.get_context("spawn")
    barrier, results = fork.Barrier(4), fork.Queue()
    tries = [fork.Process(target=many_takes, args=(tmp_path, barrier, results)) for _ in range(4)]
    for one in tries:
        one.start()
    found = [results.get(timeout=60) for _ in range(120)]
    for one in tries:
        one.join(60)
    assert sorted(i for i, won in found if won) == list(range(30))


def test_of_two_who_saw_the_same_number_the_first_has_it(tmp_path):
    parts = [tmp_path / name for name in ("first", "second")]
    for part in parts:
        part.write_text(part.name)
    assert [claims._create(part, tmp_path / "claim.0") for part in parts] == [True, False]
    assert (tmp_path / "claim.0").read_text() == "first"
