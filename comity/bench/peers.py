"""Compares comity with JaxMARL on simple_spread: play, training, compilation, returns. `comity bench --against jaxmarl`
prints the tables.

JaxMARL's baselines run as they are, from a checkout of its repository: IPPO/ippo_rnn_mpe.py and
QLearning/{vdn,qmix}_rnn.py with their own configurations, except that the number of steps is changed, tests during
training and logging are off, and IPPO's learning rate stays constant, since comity's does. comity's settings are made
from that configuration, as it was read for the same seed: numbers of games and steps, sizes, rates. If the intervals of
the two returns do not overlap, the ratio of speeds is left out.

Every measurement is a fresh process pinned to one core of the CPU, even beside a GPU, the two libraries in turn,
without a compilation cache. Times are process CPU time, medians over seeds. A training process compiles the whole
training program, runs it once, and then plays EPISODES new episodes with the trained policy, by code written here for
both libraries. This file runs in both Python environments, so it imports comity only when it measures comity.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

LENGTH = 26  # JaxMARL's `max_steps` of 25 ends an episode with its 26th step
AGENTS, ACTIONS = 3, 5
PLAY_STEPS, PLAY_REPEATS = 20 * LENGTH, 5
EPISODES = 1_024
POLICY = {"ippo": "sampled", "vdn": "greedy", "qmix": "greedy"}  # the policy that is judged: the one that was trained
SHARED = ("NUM_ENVS", "NUM_STEPS", "LR", "GAMMA", "MAX_GRAD_NORM")  # the sources of comity's settings
NEEDED = {
    "ippo": (*SHARED, "FC_DIM_SIZE", "GRU_HIDDEN_DIM", "UPDATE_EPOCHS", "NUM_MINIBATCHES", "GAE_LAMBDA", "CLIP_EPS",
        "SCALE_CLIP_EPS", "ENT_COEF", "VF_COEF"),
    "vdn": (*SHARED, "BUFFER_SIZE", "BUFFER_BATCH_SIZE", "HIDDEN_SIZE", "EPS_START", "EPS_FINISH", "EPS_DECAY",
        "TARGET_UPDATE_INTERVAL", "TAU", "NUM_EPOCHS", "LEARNING_STARTS", "LR_LINEAR_DECAY"),
}  # fmt: skip
NEEDED["qmix"] = (*NEEDED["vdn"], "MIXER_EMBEDDING_DIM", "MIXER_HYPERNET_HIDDEN_DIM")


def needed(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Returns the entries of a baseline's configuration that comity's settings need.

    Raises SystemExit if comity cannot match them: an entry is missing, or a Q-learner's rollout is not one episode.
    """
    missing = [entry for entry in NEEDED[name] if entry not in config]
    if missing:
        raise SystemExit(f"JaxMARL's configuration of {name} has no {', '.join(missing)} any more: mend NEEDED")
    if name != "ippo" and config["NUM_STEPS"] != LENGTH:
        raise SystemExit(f"JaxMARL's {name} plays {config['NUM_STEPS']} steps a rollout, comity's episodes of {LENGTH}")
    return {entry: config[entry] for entry in NEEDED[name]}


def updates(config: dict[str, Any], steps: int) -> int:
    """Number of whole rollouts in so many env steps."""
    return steps // int(config["NUM_STEPS"]) // int(config["NUM_ENVS"])


def played_steps(config: dict[str, Any], steps: int) -> int:
    """Number of env steps in these whole rollouts."""
    return updates(config, steps) * int(config["NUM_STEPS"]) * int(config["NUM_ENVS"])


# ---------------------------------------------------------------------------------------------------------- comity


def game(name: str = "") -> Any:
    """The game with JaxMARL's rules. Its IPPO treats the time limit as a true end, its Q-learners do not."""
    from comity.environments.particle.cooperative_navigation import CooperativeNavigation

    rules = {"physics": "farama", "reward": "farama", "local_share": 0.5, "length": LENGTH}
    return CooperativeNavigation(agents=AGENTS, clock_terminates=name == "ippo", **rules)


def settings(name: str, steps: int, config: dict[str, Any]) -> dict[str, Any]:
    """Settings with which comity's learner matches JaxMARL's configuration, apart from the defaults."""
    rate, clip, gamma = (float(config[entry]) for entry in ("LR", "MAX_GRAD_NORM", "GAMMA"))
    if name == "ippo":
        ratio = float(config["CLIP_EPS"]) / (AGENTS if config["SCALE_CLIP_EPS"] else 1)
        length, count = int(config["NUM_STEPS"]), int(config["NUM_MINIBATCHES"])
        sizes = {"encoder": (int(config["FC_DIM_SIZE"]),), "hidden": int(config["GRU_HIDDEN_DIM"])}
        sizes |= {"actors": "shared", "trunk": "shared", "layer_norm": False}
        rates = {"learning_rate": rate, "critic_learning_rate": rate, "actor_clip": clip, "critic_clip": clip}
        loss = {"clip": ratio, "entropy_coefficient": float(config["ENT_COEF"]), "gamma": gamma}
        loss |= {"lambda_": float(config["GAE_LAMBDA"]), "value_coefficient": float(config["VF_COEF"])}
        epochs = int(config["UPDATE_EPOCHS"])
        return {**sizes, **rates, **loss, "steps": length, "chunk": length, "epochs": epochs, "minibatches": count}
    count, games = updates(config, steps), int(config["NUM_ENVS"])
    sizes = {"hidden": int(config["HIDDEN_SIZE"]), "capacity": int(config["BUFFER_SIZE"])}
    sizes |= {"batch": int(config["BUFFER_BATCH_SIZE"]), "updates": int(config["NUM_EPOCHS"])}
    sizes |= {"gamma": gamma, "credit": "sum", "clip": clip}
    last = 1e-10 if config["LR_LINEAR_DECAY"] else rate
    rates = {"learning_rate": rate, "last_learning_rate": last, "learning_rate_steps": float(count)}
    warmup = -(-int(config["LEARNING_STARTS"]) // LENGTH // games) * games
    target = {"target_period": int(config["TARGET_UPDATE_INTERVAL"]), "tau": float(config["TAU"]), "warmup": warmup}
    explore = {"explore_start": float(config["EPS_START"]), "explore_end": float(config["EPS_FINISH"])}
    explore |= {"explore_steps": float(config["EPS_DECAY"]) * count * LENGTH}
    mixer = {"mixer_hidden": int(config["MIXER_HYPERNET_HIDDEN_DIM"])} if name == "qmix" else {}
    mixer |= {"mixer_width": int(config["MIXER_EMBEDDING_DIM"]), "mixer_reads": "views"} if name == "qmix" else {}
    return {**sizes, **rates, **target, **explore, **mixer}


def comity_train(name: str, steps: int, seed: int, config: dict[str, Any]) -> dict[str, Any]:
    """Measures the two programs that `comity.train` compiles for one seed: init, and one chunk of all training."""
    import jax
    import numpy as np

    import comity
    from comity.bench import measure
    from comity.recipes import find_algorithm
    from comity.settings import floats
    from comity.training.programs import FINAL, begun, programs
    from comity.training.seeds import Seeds, executable

    make = find_algorithm(name).thing.make
    learner = comity.algorithm(name, "sound", **settings(name, steps, config))
    count, games = updates(config, steps), int(config["NUM_ENVS"])
    env = game(name)
    one = programs(make, learner, env, games, count, EPISODES)
    numbers, key, seeds = floats(learner), jax.random.key(seed), Seeds(1, "loop", 1)
    clock = Clock()
    init = executable(jax.jit(one.init).lower(numbers, key), often=False)
    carry = jax.eval_shape(one.init, numbers, key)
    arguments = (numbers, [key], np.int32(0), np.int32(count), [carry])
    flags = (False, True, False, False, True)
    chunk = executable(seeds.lower(one.chunk, arguments, flags, (4,)))
    compiled = clock.lap()
    carry = init(numbers, key)
    (carry,), (history,), _ = seeds.call(chunk, (*arguments[:4], [carry]), flags)
    trained = clock.lap()
    trainable = {"ippo": ("actor", "critic"), "vdn": ("params",), "qmix": ("params",)}[name]
    first = begun(one.algorithm, env, count)
    statistics = jax.jit(one.evaluate)(numbers, first, jax.random.fold_in(key, FINAL), carry.state)
    return {
        **compiled.named("compile"),
        **trained.named("train"),
        "env_steps": int(history.by_name()["env_steps"].sum()),
        "parameters": sum(x.size for part in trainable for x in jax.tree.leaves(getattr(carry.state, part))),
        "mflop": measure.flop_per_update(env, one.algorithm, key, carry) / 1e6 / played_steps(config, steps) * count,
        **{policy: float(np.mean(statistics[policy]["return"])) for policy in ("sampled", "greedy")},
    }


def comity_play(games: int) -> dict[str, Any]:
    import jax

    from comity import rollout

    env = game()

    def act(key, memory, observation):
        return jax.random.randint(key, observation.available.shape[:-1], 0, ACTIONS), memory, {}

    def play(key, start):
        _, steps = rollout.collect_steps(key, env, act, start, (), PLAY_STEPS)
        return steps.observation.view, steps.reward

    start = jax.jit(lambda key: rollout.start(key, env, (), games))(jax.random.key(0))
    return timed(lambda key: play(key, start), jax.random.key(1), games)


# --------------------------------------------------------------------------------------------------------- JaxMARL


def jaxmarl_train(name: str, steps: int, seed: int, baselines: Path) -> dict[str, Any]:
    """Measures a baseline's own `make_train`. The compiled program is the whole training, with its init."""
    import jax
    import wandb  # pyright: ignore[reportMissingImports]
    from omegaconf import OmegaConf  # pyright: ignore[reportMissingImports]

    folder = baselines / ("IPPO" if name == "ippo" else "QLearning")
    module = loaded(folder / ("ippo_rnn_mpe.py" if name == "ippo" else f"{name}_rnn.py"))
    file = "ippo_rnn_mpe.yaml" if name == "ippo" else "alg/ql_rnn_mpe.yaml"
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config" / file))
    given = needed(name, config)
    config["TOTAL_TIMESTEPS"] = steps
    if name == "ippo":
        wandb.init(mode="disabled")
        config["ANNEAL_LR"] = False
        train = module.make_train(config)
    else:
        config |= {"TEST_DURING_TRAINING": False, "WANDB_MODE": "disabled"}
        train = module.make_train(config, module.env_from_config(config)[0])
    key = jax.random.PRNGKey(seed)
    clock = Clock()
    program = jax.jit(train).lower(key).compile()
    compiled = clock.lap()
    state = jax.block_until_ready(program(key))["runner_state"]
    trained = clock.lap()
    params = (state[0][0] if name == "ippo" else state[0]).params
    return {
        **compiled.named("compile"),
        **trained.named("train"),
        "config": given,
        "env_steps": played_steps(given, steps),
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "mflop": beside("flop").of_program(jax.make_jaxpr(train)(key)) / 1e6 / played_steps(given, steps),
        **{policy: jaxmarl_return(name, module, config, params, seed, policy) for policy in ("sampled", "greedy")},
    }


def jaxmarl_return(name: str, module: Any, config: dict[str, Any], params: Any, seed: int, policy: str) -> float:
    """Mean return over agents and EPISODES. For a Q-learner, policy sampled is the same as greedy."""
    import jax
    import jax.numpy as jnp
    import jaxmarl  # pyright: ignore[reportMissingImports]

    env = jaxmarl.make(config["ENV_NAME"])
    size = config["GRU_HIDDEN_DIM" if name == "ippo" else "HIDDEN_SIZE"]
    if name == "ippo":
        net = module.ActorCriticRNN(ACTIONS, config=config)
    else:
        net = module.RNNQNetwork(action_dim=ACTIONS, hidden_dim=size)
    names = jnp.repeat(jnp.eye(AGENTS)[:, None], EPISODES, 1)  # the networks of the Q-learners see the agent's index
    fresh = jnp.zeros((1, AGENTS * EPISODES), bool)

    def step(carry, key):
        seen, state, memory = carry
        x = jnp.stack([seen[a] for a in env.agents])  # [N, E, V]
        x = x if name == "ippo" else jnp.concatenate([x, names], -1)
        x = x.reshape(1, AGENTS * EPISODES, -1)
        if name == "ippo":
            memory, choice, _ = net.apply(params, memory, (x, fresh))
            logits = choice.logits
        else:
            memory, logits = net.apply(params.get("agent", params), memory, x, fresh)
        key_act, key_step = jax.random.split(key)
        drawn = jax.random.categorical(key_act, logits) if name == "ippo" and policy == "sampled" else logits.argmax(-1)
        drawn = drawn.reshape(AGENTS, EPISODES)
        actions = {a: drawn[i] for i, a in enumerate(env.agents)}
        keys = jax.random.split(key_step, EPISODES)
        seen, state, reward, _, _ = jax.vmap(env.step_env)(keys, state, actions)
        return (seen, state, memory), jnp.stack([reward[a] for a in env.agents])

    def play(key):
        key, key_reset = jax.random.split(key)
        seen, state = jax.vmap(env.reset)(jax.random.split(key_reset, EPISODES))
        memory = jnp.zeros((AGENTS * EPISODES, size))
        return jax.lax.scan(step, (seen, state, memory), jax.random.split(key, LENGTH))[1].sum(0).mean()

    return float(jax.jit(play)(jax.random.PRNGKey(1_000 + seed)))


def jaxmarl_play(games: int) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp
    import jaxmarl  # pyright: ignore[reportMissingImports]

    env = jaxmarl.make("MPE_simple_spread_v3")

    def step(carry, key):
        seen, state = carry
        key_act, key_step = jax.random.split(key)
        drawn = jax.random.randint(key_act, (AGENTS, games), 0, ACTIONS)
        actions = {a: drawn[i] for i, a in enumerate(env.agents)}
        after, state, reward, _, _ = jax.vmap(env.step)(jax.random.split(key_step, games), state, actions)
        stack = lambda x: jnp.stack([x[a] for a in env.agents], 1)  # noqa: E731
        return (after, state), (stack(seen), stack(reward))

    start = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), games))
    return timed(
        lambda key: jax.lax.scan(step, start, jax.random.split(key, PLAY_STEPS))[1], jax.random.PRNGKey(1), games
    )


# ------------------------------------------------------------------------------------------------------- both sides


def timed(play: Any, key: Any, games: int) -> dict[str, Any]:
    """Measures env steps per CPU second and an agent's mean return.

    play(key) -> (views [T, B, N, V], rewards [T, B, N]).
    """
    import jax
    import numpy as np

    clock = Clock()
    program = jax.jit(play).lower(key).compile()
    compiled = clock.lap()
    jax.block_until_ready(program(key))
    seconds = []
    for _ in range(PLAY_REPEATS):
        clock.lap()
        view, reward = jax.block_until_ready(program(key))
        seconds.append(clock.lap().cpu)
    if view.shape != (PLAY_STEPS, games, AGENTS, 6 * AGENTS):
        raise SystemExit(f"views are {view.shape}")
    returns = np.asarray(reward).mean(-1).reshape(-1, LENGTH, games).sum(1)
    per_second = PLAY_STEPS * games / statistics.median(seconds)
    error = returns.std() / np.sqrt(returns.size)
    return {**compiled.named("compile"), "rate": per_second, "return": float(returns.mean()), "error": float(error)}


def loaded(file: Path) -> Any:
    """Imports a module from its file."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("baseline", file)
    if spec is None or spec.loader is None or not file.exists():
        raise SystemExit(f"{file} is not there: --baselines takes the folder `baselines` of a checkout of JaxMARL")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def beside(name: str) -> Any:
    """Imports a module of this folder from its file, because JaxMARL's environment has no comity."""
    return loaded(Path(__file__).with_name(f"{name}.py"))


class Lap:
    def __init__(self, cpu: float, wall: float):
        self.cpu, self.wall = cpu, wall

    def named(self, name: str) -> dict[str, float]:
        return {f"{name}_cpu": self.cpu, f"{name}_wall": self.wall}


class Clock:
    """A stopwatch: `lap` returns process CPU time and wall time since the last lap."""

    def __init__(self):
        self.last = time.process_time(), time.perf_counter()

    def lap(self) -> Lap:
        now = time.process_time(), time.perf_counter()
        before, self.last = self.last, now
        return Lap(now[0] - before[0], now[1] - before[1])


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("comity", "jaxmarl", "jax", "jaxlib", "flax", "optax", "equinox", "distrax", "flashbax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def part(given: argparse.Namespace) -> dict[str, Any]:
    """Makes one measurement, in this process."""
    side, what = given.part
    if what.startswith("play"):
        games = int(what.removeprefix("play"))
        result = comity_play(games) if side == "comity" else jaxmarl_play(games)
    elif side == "comity" and given.config is None:
        raise SystemExit("comity's training is set by JaxMARL's configuration: give --config")
    elif side == "comity":
        result = comity_train(what, given.steps, given.seed, json.loads(given.config))
    else:
        result = jaxmarl_train(what, given.steps, given.seed, given.baselines)
    return {"side": side, "what": what, "seed": given.seed, **result, "versions": versions()}


# ------------------------------------------------------------------------------------------------------------ tables


def pairs(rows: list[dict[str, Any]], what: str, entry: str) -> tuple[list[float], list[float]]:
    """Returns (comity's numbers, JaxMARL's numbers), in the order of seeds."""
    by_side = [[r[entry] for r in rows if (r["side"], r["what"]) == (side, what)] for side in ("comity", "jaxmarl")]
    return by_side[0], by_side[1]


def mean_and_half(values: list[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % t interval; infinite if there is one value."""
    import numpy as np
    from scipy.stats import t

    if len(values) < 2:
        return values[0], float("inf")
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def alike(ours: list[float], theirs: list[float]) -> bool:
    """True if the two intervals overlap: the returns are the same, as far as so few seeds can tell."""
    (a, x), (b, y) = mean_and_half(ours), mean_and_half(theirs)
    return abs(a - b) <= x + y


def tables(rows: list[dict[str, Any]]) -> str:
    known = {r["what"] for r in rows}
    out = ["| random play, auto-reset | comity | JaxMARL | ratio | return of an agent, comity | JaxMARL |"]
    out.append("| --- " * 6 + "|")
    for what in sorted((w for w in known if w.startswith("play")), key=lambda w: int(w.removeprefix("play"))):
        ours, theirs = (statistics.median(x) for x in pairs(rows, what, "rate"))
        (r, s), (e, f) = ((x[0][0], x[1][0]) for x in (pairs(rows, what, "return"), pairs(rows, what, "error")))
        label = f"{int(what.removeprefix('play')):,} environments, env steps per CPU s"
        out.append(
            f"| {label} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f} | {r:.2f} ± {1.96 * e:.2f} "
            f"| {s:.2f} ± {1.96 * f:.2f} |"
        )
    if known & set(POLICY):
        out += ["", "| training | comity | JaxMARL | ratio |", "| --- " * 4 + "|"]
    for what in (w for w in POLICY if w in known):
        rows_of = lambda entry, what=what: pairs(rows, what, entry)  # noqa: E731
        learned = rows_of(POLICY[what])
        cost = [
            [n / c for n, c in zip(steps, cpu, strict=True)]
            for steps, cpu in zip(rows_of("env_steps"), rows_of("train_cpu"), strict=True)
        ]
        rate = [statistics.median(x) for x in cost]
        products = [statistics.median(x) for x in rows_of("mflop")]
        lines = [("env steps per CPU s", "{:,.0f}", rate, alike(*learned))]
        lines += [("matrix products, MFLOP per env step", "{:.2f}", products, True)]
        done = [r * p / 1e3 for r, p in zip(rate, products, strict=True)]
        lines += [("matrix products, GFLOP per CPU s", "{:.1f}", done, True)]
        for entry, label, form in (
            ("compile_cpu", "compile, CPU s", "{:.1f}"),
            ("compile_wall", "compile, wall s", "{:.1f}"),
            ("parameters", "parameters", "{:,.0f}"),
        ):
            lines.append((label, form, [statistics.median(x) for x in rows_of(entry)], True))
        for label, form, (ours, theirs), quoted in lines:
            ratio = f"{ours / theirs:.2f}" if quoted else "(unequal learning)"
            out.append(f"| {what.upper()}: {label} | {form.format(ours)} | {form.format(theirs)} | {ratio} |")
        means = ["{:.2f} ± {:.2f}".format(*mean_and_half(x)) for x in learned]
        label = f"{POLICY[what]} return after {rows_of('env_steps')[0][0]:,.0f} env steps, {len(learned[0])} seeds"
        out.append(f"| {what.upper()}: {label} | {' | '.join(means)} | |")
    return "\n".join(out)


def against(python: str, baselines: Path | None, kinds: list[str], seeds: int, steps: int, keep: Path | None) -> None:
    """Measures both sides and prints the tables. keep: a file that gets each measurement as a line of JSON."""
    from comity.bench import measure
    from comity.training.progress import Steps

    rows: list[dict[str, Any]] = []
    whats = [w for kind in kinds for w in (("play32", "play1024") if kind == "play" else (kind,))]
    progress = Steps(2 * seeds * len(whats), "measuring")
    for what in whats:
        for seed in range(seeds):
            for side in ("jaxmarl", "comity"):
                progress.next(f"{what} of {side}, seed {seed}")
                arguments = [__file__, "--part", side, what, "--seed", seed, "--steps", steps]
                arguments += ["--baselines", baselines] if baselines else []
                if side == "comity" and "config" in rows[-1]:  # JaxMARL's training came just before
                    arguments += ["--config", json.dumps(rows[-1]["config"])]
                rows.append(measure.in_process(arguments, python if side == "jaxmarl" else sys.executable))
                if keep:
                    with keep.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    progress.close()
    for side in ("comity", "jaxmarl"):
        print(side, next(row["versions"] for row in rows if row["side"] == side))
    print(tables(rows))


def main() -> None:
    """Makes one measurement, in either Python environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs=2, required=True)
    parser.add_argument("--baselines", type=Path)
    parser.add_argument("--config", help="JSON: what `needed` gave of JaxMARL's configuration")
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=1)
    given = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"  # of both sides, also beside a GPU, because times are process CPU time
    beside("measure").pin(given.cores)
    print(json.dumps(part(given)))


if __name__ == "__main__":
    main()
