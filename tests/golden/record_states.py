"""Records states.npz again, or only the named cases: `python tests/golden/record_states.py [CASE ...]`.

Run it in the repository's root. README.md says when.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests import conftest  # noqa: F401, I001  # the compiler's settings, before jax is imported

from tests.tiny import golden_states


def record(names: list[str]) -> None:
    digests = golden_states.recorded() if names else {}
    cases, same = golden_states.cases()
    for name, case in cases.items():
        if names and name not in names:
            continue
        began = time.monotonic()
        try:
            digests[name] = golden_states.digest(case)
        except Exception as error:
            raise RuntimeError(f"{name}: {error}") from error
        golden_states.forget()
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    golden_states.save(digests)
    print(f"{len(digests)} cases; small, these presets are others: {same}")


if __name__ == "__main__":
    record(sys.argv[1:])
