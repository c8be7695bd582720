"""A finished run with one damage in its directory, made from a seed."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from comity.training import checkpoint
from comity.training.settings import Training
from tiny import learner, signals, wrong_configs
from tiny.wrong_words import hints

FILES = ["config.yaml", "manifest.json", "metrics.jsonl", "eval.jsonl", "source/files.json", "source/tiny/learner.py"]
CHECKPOINTS = [
    "checkpoints/00000006.npz",
    "checkpoints/00000008.npz",
    "checkpoints/best-0.npz",
    "checkpoints/best-1.npz",
]
FOLDERS = ["checkpoints", "source", "figures"]
JSONS = [
    "[]",
    "3",
    "null",
    '"x"',
    "true",
    "{}",
    "[{}]",
    "-1e999",
    "1" * 400,
    "[" * 50_000,
    '{"a": {"b": [null]}}',
    "NaN",
    "{'a': 1}",
    "",
]
VALUES = [
    None,
    True,
    -1,
    0,
    2.5,
    10**30,
    1e308,
    float("nan"),
    "",
    "x",
    "8",
    [],
    [1],
    {},
    {"a": 1},
    [[]],
    "\x1b[31m",
    2**31,
    2**63,
]


HEADERS = [  # of an .npy file
    b"{'descr': '<f4', 'shape': (1000000000000,), 'fortran_order': False}",
    b"{'descr': '|O', 'shape': (), 'fortran_order': False}",
    b"__import__('os').system('touch MARKER')",
    b"{",
    b"(" * 5000,
]


def damage(seed: int, run: Path, other: Path) -> str:
    """Damages the run directory `run`; returns what was done. other: another run, with the same files."""
    rng = Random(f"damage {seed}")
    return rng.choice(KINDS)(run, other, rng)


def _some(rng: Random) -> str:
    return rng.choice(FILES + CHECKPOINTS)


def _cut(run: Path, other: Path, rng: Random) -> str:
    path = run / (name := _some(rng))
    data = path.read_bytes()
    at = rng.choice([0, 1, len(data) - 1, rng.randrange(len(data))])
    path.write_bytes(data[:at])
    return f"{name} cut at {at} of {len(data)}"


def _flipped(run: Path, other: Path, rng: Random) -> str:
    path = run / (name := rng.choice(CHECKPOINTS * 2 + FILES))
    data = bytearray(path.read_bytes())
    places = [rng.randrange(len(data)) for _ in range(rng.choice([1, 1, 3, 50]))]
    for at in places:
        data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"{name} with bits flipped at {places[:5]}"


def _replaced(run: Path, other: Path, rng: Random) -> str:
    path = run / (name := _some(rng))
    how = rng.choice(["doubled", "another's", "other bytes", "other JSON", "another of its files", "a hole"])
    old = path.read_bytes()
    data = {
        "doubled": old * 2,
        "another's": (other / name).read_bytes(),
        "other bytes": rng.randbytes(rng.randrange(1, 3000)),
        "other JSON": rng.choice(JSONS).encode(),
        "another of its files": (run / rng.choice([x for x in FILES + CHECKPOINTS if x != name])).read_bytes(),
        "a hole": old[: len(old) // 2] + bytes(64) + old[len(old) // 2 + 64 :],
    }[how]
    path.write_bytes(data)
    return f"{name}: {how}, {data[:40]!r}"


def _lost(run: Path, other: Path, rng: Random) -> str:
    path = run / (name := rng.choice(FILES + CHECKPOINTS + FOLDERS))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    how = rng.choice(
        ["nothing", "a folder", "a pipe", "a link to nowhere", "a link to itself", "a link to another's", "a file"]
    )
    if how == "a folder":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "a file":
        path.write_text("x")
    elif how.startswith("a link"):
        path.symlink_to({"a link to nowhere": run.parent / "nowhere", "a link to itself": path}.get(how, other / name))
    return f"{name}: {how} in its place"


def _named(run: Path, other: Path, rng: Random) -> str:
    """A checkpoint under another's name, or under none that there is."""
    one = rng.choice(CHECKPOINTS)
    name = rng.choice(
        [
            *CHECKPOINTS,
            *(f"checkpoints/{x}.npz" for x in ("00000009", "9" * 40, "\u00b2", "-1", "best-7", "", "8", "best-")),
        ]
    )
    if name != one and rng.random() < 0.5:
        shutil.copy(run / one, run / name)
        return f"{one} copied to {name!r}"
    (run / one).rename(run / name)
    return f"{one} renamed {name!r}"


def _lines(run: Path, other: Path, rng: Random) -> str:
    path = run / (name := rng.choice(["metrics.jsonl", "eval.jsonl"]))
    rows = path.read_text().splitlines()
    at, how = (
        rng.randrange(len(rows)),
        rng.choice(["lost", "twice", "cut", "odd", "mixed", "value", "value", "inner", "key", "joined", "another's"]),
    )
    row = json.loads(rows[at])
    key = rng.choice([*row])
    if how == "lost":
        del rows[at : at + rng.randrange(1, 4)]
    elif how == "mixed":
        rng.shuffle(rows)
    elif how == "key":
        rows[at] = json.dumps({k: x for k, x in row.items() if k != key})
    elif how == "inner":
        said = _changed(row, rng)
        rows[at] = json.dumps(row)
    elif how == "value":
        rows[at] = json.dumps({**row, key: rng.choice(VALUES)})
    else:
        there = (other / name).read_text().splitlines()
        odd = {
            "twice": [rows[at], rows[at]],
            "cut": [rows[at][:-9]],
            "odd": [rng.choice(JSONS)],
            "joined": ["".join(rows[at : at + 2])],
        }
        rows[at : at + 1] = odd.get(how, [there[at]])
    path.write_text("\n".join(rows) + rng.choice(["\n", "\n", ""]))
    now = rows[min(at, len(rows) - 1)][:80]
    return f"{name}, line {at + 1} of {len(rows)}: {how} {said if how == 'inner' else key}: {now}"


def _manifest(run: Path, other: Path, rng: Random) -> str:
    path = run / (name := rng.choice(["manifest.json", "source/files.json"]))
    values = json.loads(path.read_text())
    said = _changed(values, rng)
    path.write_text(json.dumps(values))
    return f"{name}: {said}"


def _config(run: Path, other: Path, rng: Random) -> str:
    """As wrong as a config that is written by hand."""
    values, path = yaml.safe_load((run / "config.yaml").read_text()), run / "config.yaml"
    types = {"task": hints(signals.Signals), "algorithm": hints(learner.Config), "training": hints(Training)}
    kind = rng.choice([one for one in wrong_configs.KINDS if one not in (wrong_configs._name, wrong_configs._other)])
    path.write_bytes(kind(values, types, rng, run.parent))
    return f"config.yaml: {kind.__name__}"


def _changed(values: Any, rng: Random) -> str:
    """Changes one value, or loses it, somewhere in nested dicts."""
    key = rng.choice([*values])
    if isinstance(values[key], dict) and values[key] and rng.random() < 0.6:
        return f"{key}.{_changed(values[key], rng)}"
    if rng.random() < 0.2:
        del values[key]
        return f"{key} lost"
    values[key] = rng.choice(VALUES)
    return f"{key} is {values[key]!r}"


def _inside(run: Path, other: Path, rng: Random) -> str:
    """A checkpoint that is whole as a zip file, and says or holds something else; its checksum may be right."""
    path = run / (name := rng.choice(CHECKPOINTS))
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    arrays = [entry for entry in entries if entry.endswith(".npy")]
    one, how = (
        rng.choice(arrays),
        rng.choice(["manifest"] * 4 + ["lost", "new", "swapped", "header", "compressed", "no manifest", "type"]),
    )
    manifest = json.loads(entries["manifest.json"])
    if how == "manifest":
        said = _changed(manifest["about"] if rng.random() < 0.6 else manifest, rng)
        entries["manifest.json"] = json.dumps(manifest).encode()
    elif how == "lost":
        del entries[one]
    elif how == "new":
        entries[rng.choice(["0.state.x.npy", "../../x.npy", "\x1b[31m.npy", "x"])] = entries[one]
    elif how == "swapped":
        two = rng.choice(arrays)
        entries[one], entries[two] = entries[two], entries[one]
    elif how == "header":
        header = rng.choice(HEADERS)
        entries[one] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    elif how == "no manifest":
        del entries["manifest.json"]
    elif how == "type":
        import io

        file = io.BytesIO()
        np.save(file, np.zeros(rng.choice([(), (3,), (0, 5)]), rng.choice(["f8", "i4", "c16", "U3", "?"])))
        entries[one] = file.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if how == "compressed" else zipfile.ZIP_STORED) as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data)
    return f"{name}: {how} {said if how == 'manifest' else one}"


def _whole(run: Path, other: Path, rng: Random) -> str:
    """A folder of another run, or all checkpoints damaged."""
    if rng.random() < 0.5:
        name = rng.choice(["checkpoints", "source"])
        shutil.rmtree(run / name)
        shutil.copytree(other / name, run / name)
        return f"{name} of another run"
    for name in CHECKPOINTS:
        (run / name).write_bytes((run / name).read_bytes()[: rng.choice([0, 10, -10])])
    return "all checkpoints cut"


KINDS: list[Callable[[Path, Path, Random], str]] = [
    _cut,
    _flipped,
    _replaced,
    _lost,
    _named,
    _lines,
    _lines,
    _manifest,
    _inside,
    _inside,
    _config,
    _whole,
]


def digest(tree: Any) -> str:
    """Of all arrays of a tree, by name."""
    found = hashlib.sha256()
    for name, leaf in checkpoint.named(tree):
        array, kind = checkpoint._plain(leaf)
        found.update(f"{name} {kind} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
