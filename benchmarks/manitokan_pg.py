"""Compares PG on Manitokan with the arithmetic that it needs, counted by hand. Prints ratios from one run.

    python benchmarks/manitokan_pg.py [--iterations 10] [--repeats 7]

`comity bench pg` counts the products of the traced program. Here play and learning share one forward pass, each layer
counts once forward and twice backward, and the inputs' gradient does not count. The process is pinned to one core;
times are process CPU time, medians over rounds. With two cores it also measures the wall time of four seeds, as
`comity train` runs them.
"""

import argparse
import os

from comity.bench.measure import GAMES, SEEDS, in_process, products


def flop_per_update() -> float:
    """Floating-point operations, 2 per multiply-add. Play and learning share the forward pass; backward
    counts twice.
    """
    import comity
    from comity.algorithms.policy_gradient import pg

    env, hidden = comity.make("manitokan"), pg.Config().hidden
    view, present = env.spec.view.size, env.spec.view.size - env.spec.history
    actor = view * hidden + 2 * 3 * hidden**2 + hidden * env.spec.action.n
    critic = present * hidden + hidden**2 + hidden
    per_agent_step = 3 * (actor + critic) - view * hidden - present * hidden
    return 2.0 * per_agent_step * env.spec.agents * GAMES * env.spec.length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10, help="updates per compiled call")
    parser.add_argument("--repeats", type=int, default=7, help="rounds; medians are printed")
    given = parser.parse_args()
    part = ["-m", "comity.bench.measure", "manitokan", "pg", "--iterations", given.iterations]
    part += ["--repeats", given.repeats]
    one, count = in_process(part), flop_per_update()
    floor = count / one["rate_gflops"] / 1e6
    print("PG on Manitokan: 32 games x 150 steps x 2 agents per update, one core, process CPU time, medians")
    print(f"  CPU ms per update        {one['update_ms']:8.1f}   (spread {100 * one['spread']:.0f}%)")
    print(f"    of which play          {one['play_ms']:8.1f}")
    print(f"  env steps per CPU second {one['env_steps_per_second']:8,.0f}")
    print(f"  floor, ms                {floor:8.1f}   {count / 1e9:.2f} GFLOP at {one['rate_gflops']:.0f} GFLOP/s")
    print(f"  ratio to the floor       {one['update_ms'] / floor:8.2f}")
    print(f"  set-up and compile, s    {one['compile_s']:8.1f}")
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: no scaling to measure")
        return
    two, machine = in_process([*part, "--seeds"], cores=2), products(2)
    print(f"{SEEDS} seeds, two cores, wall time per update and seed")
    print(f"  ms, in turn              {two['in_turn_ms']:8.1f}   (XLA shares some products between cores)")
    print(f"  ms, two at once          {two['at_once_ms']:8.1f}")
    scaling = one["update_ms"] / two["at_once_ms"]
    print(f"  against one core         {scaling:8.2f}   two matmul processes on this machine: {machine:.2f}")


if __name__ == "__main__":
    main()
