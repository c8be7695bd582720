"""Speed of all learning algorithms on Manitokan beside the matrix products that each of them makes. One table.

    python benchmarks/algorithms.py [--algorithms pg vdn] [--iterations 5] [--repeats 3]

32 games x 150 steps, preset `sound`, each algorithm in a fresh process pinned to one core; times are process CPU time,
medians over rounds in which updates, play and a plain matmul take their turn. What an update learns from is the
algorithm's own: a rollout, once or for several epochs, or episodes of a replay.

GFLOP: 2 per multiply-add of every dot_general of one `collect` and `update`, counted in the traced program after dead
code is removed, a loop's body as often as it runs, of a branch the longer side. So this is what the program really
multiplies, and a forward pass that play and learning could share counts twice; all else it does (gates, the game,
replay, sampling, optimizer) counts nothing. Floor: GFLOP over the rate of the matmul. Temporary memory is XLA's, beside
the state.
"""

import argparse
import json
from typing import Any

from measuring import GAMES, Program, in_process, pin, rounds


def flop(jaxpr: Any) -> float:
    """2 per multiply-add of every matrix product in a jaxpr, inner ones included."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape, terms = equation.outvars[0].aval.shape, 1
            for axis in contracted:
                terms *= equation.invars[0].aval.shape[axis]
            for size in shape:
                terms *= size
            total += 2.0 * terms
            continue
        inner = [flop(getattr(x, "jaxpr", x)) for x in _jaxprs(equation.params)]
        if equation.primitive.name == "cond":
            total += max(inner)
        else:
            total += sum(inner) * (equation.params["length"] if equation.primitive.name == "scan" else 1)
    return total


def _jaxprs(params: dict[str, Any]) -> list[Any]:
    """Jaxprs among an equation's parameters: of a scan, a branch, a function called."""
    values = [x for value in params.values() for x in (value if isinstance(value, (tuple, list)) else (value,))]
    return [x for x in values if hasattr(getattr(x, "jaxpr", x), "eqns")]


def flop_per_update(program: Program) -> float:
    """Of one `collect` and `update`, without what nobody reads."""
    import jax
    from jax.interpreters import partial_eval

    from comity import rollout

    def iterate(key, state, play):
        play, steps = rollout.collect(key, program.env, program.algorithm, state, play)
        return play, program.algorithm.update(key, state, steps)

    carry = program.carry[0]
    jaxpr = jax.make_jaxpr(iterate)(program.keys[0], carry.state, carry.play).jaxpr
    used, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return flop(used)


def measured(name: str, iterations: int, repeats: int) -> dict[str, float]:
    """Medians of one algorithm, in this process."""
    import jax

    program = Program(name, iterations)
    times, rate = rounds(program, repeats)
    count, memory = flop_per_update(program), program.chunk.memory_analysis()
    return {
        **times,
        "env_steps_per_second": 1e3 * program.env_steps / times["update_ms"],
        "gflop": count / 1e9,
        "matmul_gflops": rate / 1e9,
        "floor_ms": 1e3 * count / rate,
        "ratio": times["update_ms"] / 1e3 * rate / count,
        "compile_s": program.compile_cpu_seconds,
        "temporary_mb": memory.temp_size_in_bytes / 1e6 if memory else float("nan"),
        "state_mb": sum(x.nbytes for x in jax.tree.leaves(program.carry[0].state)) / 1e6,
    }


COLUMNS = {  # heading: (entry, format)
    "CPU ms per update": ("update_ms", "{:.0f}"),
    "spread": ("spread", "{:.0%}"),
    "of which play": ("play_ms", "{:.0f}"),
    "env steps per CPU s": ("env_steps_per_second", "{:,.0f}"),
    "GFLOP": ("gflop", "{:.2f}"),
    "matmul GFLOP/s": ("matmul_gflops", "{:.0f}"),
    "floor, ms": ("floor_ms", "{:.0f}"),
    "ratio": ("ratio", "{:.1f}"),
    "compile, CPU s": ("compile_s", "{:.0f}"),
    "temporary MB": ("temporary_mb", "{:.0f}"),
    "state MB": ("state_mb", "{:.1f}"),
}


def main() -> None:
    from comity.algorithms import ALGORITHMS

    known = [name for name in ALGORITHMS if name not in ("random", "lola")]  # what learns from games
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known))
    parser.add_argument("--iterations", type=int, default=5, help="updates per compiled call")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; medians are printed")
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        pin(given.cores)
        print(json.dumps(measured(given.algorithms[0], given.iterations, given.repeats)))
        return
    print(f"Manitokan, {GAMES} games, preset sound, one core, process CPU time, medians of {given.repeats} rounds\n")
    print("| algorithm | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 1) + "|", sep="\n", flush=True)
    for name in given.algorithms:
        part = ["--part", "--algorithms", name, "--iterations", given.iterations, "--repeats", given.repeats]
        result = in_process(__file__, part, 1)
        cells = [form.format(result[entry]) for entry, form in COLUMNS.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
