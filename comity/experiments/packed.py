"""Packs a paper's records into one compressed file of columns, shipped with the code; schema: docs/papers/records.md.

Packing loses nothing: unpacked records equal the packed ones in every bit, and the same records give the same bytes.
"""

import functools
import importlib.util
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
Rows = dict[str, list[Record]]  # name of an arm -> its records
FORMAT = 1
SUFFIX = ".npz"
FACTS, CURVE, LAST = "facts.json", "curve/", "last/"  # names of columns, or their prefixes
LOST = "lost.json"  # seeds that became not finite, arm -> [{"seed", "settings", "config_hash"}]; not in every file
BORN = (1980, 1, 1, 0, 0, 0)  # of every column in the zip file, which cannot store an earlier time


def pack(rows: Mapping[str, Sequence[Record]], lost: Mapping[str, Sequence[Record]] | None = None) -> bytes:
    """Returns an .npz file of records. Raises ValueError with one line if a record would not be unpacked unchanged.

    lost: seeds that became not finite, see `LOST`.

    Facts that many records share, such as settings, are stored once. The arms are sorted by name, and the records of
    each arm keep their order.
    """
    taken = [_taken_apart(arm, record) for arm in sorted(rows) for record in rows[arm]]
    values: dict[str, list[Any]] = {}
    index: dict[str, list[int]] = {}
    for name in dict.fromkeys(name for facts, _ in taken for name in facts):
        texts = [json.dumps(facts.get(name)) for facts, _ in taken]
        known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        values[name], index[name] = [json.loads(text) for text in known], [known[text] for text in texts]
    columns: dict[str, list[Any]] = {}
    for _, numbers in taken:
        for name, some in numbers.items():
            columns.setdefault(name, []).extend(some)
    head = json.dumps({"format": FORMAT, "values": values, "index": index}, separators=(",", ":")).encode()
    arrays = {FACTS: np.frombuffer(head, np.uint8)} | {name: _column(columns[name]) for name in sorted(columns)}
    if lost:
        arrays[LOST] = np.frombuffer(json.dumps(lost, sort_keys=True, separators=(",", ":")).encode(), np.uint8)
    before = {arm: rows[arm] for arm in sorted(rows) if rows[arm]}
    if json.dumps(Packed(arrays).rows()) != json.dumps(before):  # JSON distinguishes 1 from 1.0 and 0.0 from -0.0
        raise ValueError("these records would not be unpacked as they are: is a number whole in one of them alone?")
    return _zipped(arrays)


def _taken_apart(arm: str, record: Record) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Splits a record into facts, each a value of JSON, and columns of numbers, which the fact `columns` names."""
    curve, last = record["curve"], record["last"]
    lengths = {len(some) for some in curve.values()}
    if len(lengths) != 1:
        raise ValueError(f"{arm}, seed {record['seed']}: its curves have {sorted(lengths)} points, not equally many")
    facts = {name: value for name, value in record.items() if name not in ("curve", "last")}
    layout = {"curve": list(curve), "last": {policy: list(of) for policy, of in last.items()}}
    facts |= {"arm": arm, "points": lengths.pop(), "keys": list(record), "columns": layout}
    numbers = {CURVE + name: some for name, some in curve.items()}
    numbers |= {f"{LAST}{policy}/{name}": [of[name]] for policy, of in last.items() for name in of}
    for name, some in numbers.items():
        kinds = {type(x) for x in some if x is not None}
        if not (kinds <= {float} or (kinds == {int} and None not in some)):
            raise ValueError(f"{arm}, seed {record['seed']}: {name} is neither of floats and nulls nor of integers")
    return facts, numbers


def _column(some: Sequence[Any]) -> np.ndarray:
    """Returns int64 [...], or float64 with NaN for null."""
    if all(type(x) is int for x in some):
        return np.array(some, "<i8")
    return np.array([np.nan if x is None else x for x in some], "<f8")


def _zipped(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns what np.savez_compressed would write, but without the time of day."""
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            np.lib.format.write_array(column := io.BytesIO(), array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", BORN)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, column.getvalue())
    return file.getvalue()


class Packed:
    """A packed file in memory: columns, and where each record's part of them begins."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        head = json.loads(arrays[FACTS].tobytes())
        if head["format"] != FORMAT:
            raise ValueError(f"packed records of format {head['format']}; this version of comity reads {FORMAT}")
        self.arrays, self.values, self.index = arrays, head["values"], head["index"]
        self.lost: Rows = json.loads(arrays[LOST].tobytes()) if LOST in arrays else {}
        self.starts: list[dict[str, int]] = []  # for each record: column -> index of its first number there
        self.places: dict[str, list[int]] = {}  # arm -> indices of its records
        ends: dict[str, int] = {}
        for row in range(len(self.index.get("arm", ()))):
            self.places.setdefault(self.fact("arm", row), []).append(row)
            points, layout = self.fact("points", row), self.fact("columns", row)
            sizes = {CURVE + name: points for name in layout["curve"]}
            sizes |= {f"{LAST}{policy}/{name}": 1 for policy, names in layout["last"].items() for name in names}
            self.starts.append({name: ends.get(name, 0) for name in sizes})
            ends |= {name: start + sizes[name] for name, start in self.starts[-1].items()}

    def fact(self, name: str, row: int) -> Any:
        return self.values[name][self.index[name][row]]

    def numbers(self, column: str, row: int, count: int) -> list[Any]:
        start = self.starts[row][column]
        some = self.arrays[column][start : start + count]
        return [None if x != x else x for x in some.tolist()]

    def record(self, row: int) -> Record:
        """Returns a record as it was packed. Records share their settings and other facts, so treat it as read-only."""
        points, layout = self.fact("points", row), self.fact("columns", row)
        curve = {name: self.numbers(CURVE + name, row, points) for name in layout["curve"]}
        last = {
            policy: {name: self.numbers(f"{LAST}{policy}/{name}", row, 1)[0] for name in names}
            for policy, names in layout["last"].items()
        }
        whole = {"curve": curve, "last": last}
        return {key: whole[key] if key in whole else self.fact(key, row) for key in self.fact("keys", row)}

    def of_arm(self, arm: str) -> list[Record]:
        return [self.record(row) for row in self.places.get(arm, ())]

    def rows(self) -> Rows:
        return {arm: self.of_arm(arm) for arm in self.places}


def unpack(path: Path) -> Packed:
    """Returns a packed file, read once in a process until it changes. Raises ValueError with one line if it is none."""
    about = path.stat()
    return _unpacked(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=8)
def _unpacked(path: Path, changed: int, size: int) -> Packed:
    try:
        with np.load(path, allow_pickle=False) as file:
            return Packed({name: file[name] for name in file.files})
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no packed records ({error})") from error


def shipped(paper: str, module: str) -> tuple[Path, ...]:
    """Returns the places of a paper's records that came with the code: its packed file, and in a checkout those not yet
    packed. Places that do not exist are left out.

    module: the paper's; the packed file lies beside its file.
    """
    places = packed_file(module), new_records(paper)
    return tuple(place for place in places if place.exists())


def packed_file(module: str) -> Path:
    """Returns the packed file of the paper in this module."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ValueError(f"no module is called {module}")
    return Path(found.origin).with_name(f"records{SUFFIX}")


def new_records(paper: str) -> Path:
    """Returns a checkout's folder for records of a paper that are not packed yet, a file ARM.jsonl for each arm."""
    import comity

    return Path(comity.__file__).parents[1] / "studies" / "new" / paper


def merged(rows: Mapping[str, Sequence[Record]], more: Iterable[tuple[str, Record]]) -> Rows:
    """Merges records with further ones, (arm, record). A seed that an arm's settings already have stays as it is."""
    found = {arm: list(some) for arm, some in rows.items()}
    there = {(arm, x["config_hash"], x["seed"]) for arm, some in found.items() for x in some}
    for arm, record in more:
        name = arm, record["config_hash"], record["seed"]
        if name not in there:
            there.add(name)
            found.setdefault(arm, []).append(record)
    return {arm: sorted(some, key=lambda x: (x["config_hash"], x["seed"])) for arm, some in found.items()}
