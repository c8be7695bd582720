"""Folds new records into the packed files that come with the code.

    python studies/pack.py [PAPER ...]                                all of studies/new; without a name, of all papers
    python studies/pack.py hidden-gifts --from reproductions/hidden-gifts/data    what `comity reproduce` trained
    python studies/pack.py hidden-gifts --drop 'released-*'           first drops packed records of these arms
    python studies/pack.py --list                                     lists what is packed

A packed file changes as a whole, and a repository keeps every version of it. So fold rarely, when a page is redrawn.
`--drop` takes names of arms, may be given several times, and leaves new records alone.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from comity.experiments import PAPERS, packed, records
from comity.runs.writing import write_bytes


def fold(target: Path, source: Path, drop: Sequence[str] = ()) -> list[str]:
    """Drops arms from packed file `target`, moves the records of folder `source` into it; returns lines that say so."""
    before = packed.unpack(target).rows() if target.exists() else {}
    kept = {arm: some for arm, some in before.items() if not any(fnmatchcase(arm, glob) for glob in drop)}
    suffixes = (".jsonl", records.LOST)
    files = {path: path.stat().st_size for suffix in suffixes for path in sorted(source.glob(f"*{suffix}"))}
    found = [(path, one) for path in files for one in records.lines(path)]
    new, without = ([(path.stem, one) for path, one in found if path.suffix == suffix] for suffix in suffixes)
    rows = packed.merged(kept, new)
    gone = packed.unpack(target).lost if target.exists() else {}
    left = {arm: some for arm, some in gone.items() if not any(fnmatchcase(arm, glob) for glob in drop)}
    lost = packed.merged(left, without)
    said = [f"  dropped {arm}: {len(some)} seeds" for arm, some in before.items() if arm not in kept]
    said += [f"  added {arm}: {new} seeds" for arm, some in rows.items() if (new := len(some) - len(kept.get(arm, ())))]
    if lost != gone:
        said.append(f"  seeds that became not finite: {count(lost)}")
    if not said and not files:
        return []
    if rows or lost:
        write_bytes(target, packed.pack(rows, lost))
    else:
        target.unlink(missing_ok=True)
    for path, size in files.items():
        if path.stat().st_size == size:
            path.unlink()
        else:  # a training is going on; its next line came after this was read
            said.append(f"  {path} has grown meanwhile and stays")
    return [*said, f"  {count(rows)} seeds of {len(rows)} arms in {target}"]


def count(rows: Mapping[str, Sequence[packed.Record]]) -> int:
    return sum(map(len, rows.values()))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="*", metavar="PAPER", help="all, if none is named")
    parser.add_argument("--from", dest="source", type=Path, help="folder of records instead of studies/new/PAPER")
    parser.add_argument("--drop", action="append", default=[], metavar="GLOB", help="packed arms to leave out")
    parser.add_argument("--list", action="store_true", help="say what is packed, change nothing")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.papers) - set(PAPERS):
        parser.error(f"unknown paper {', '.join(sorted(unknown))}; known: {', '.join(PAPERS)}")
    if asked.source and len(asked.papers) != 1:
        parser.error("--from goes with one PAPER")
    for name in asked.papers or PAPERS:
        target = packed.packed_file(PAPERS[name][0])
        print(name)
        if asked.list:
            for arm, some in (packed.unpack(target).rows() if target.exists() else {}).items():
                print(f"  {arm}: seeds {', '.join(str(x['seed']) for x in some)}")
        else:
            print("\n".join(fold(target, asked.source or packed.new_records(name), asked.drop) or ["  nothing to do"]))


if __name__ == "__main__":
    main(sys.argv[1:])
