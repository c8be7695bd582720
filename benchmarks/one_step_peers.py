"""Compares one step of comity's second-order learners with that of well-known libraries, from the same parameters and
batch.

    python benchmarks/one_step_peers.py trpo                 # in an environment with sb3-contrib and comity
    python benchmarks/one_step_peers.py kronecker PYTHON     # PYTHON: of an environment with kfac-jax, without comity

docs/algorithms/trpo.md and docs/algorithms/acktr.md have the numbers. kfac-jax 0.0.8 does not run with the jax that
comity needs, so it reads its numbers from a file and writes its own to another.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

DAMPING, TRANSITIONS = 0.1, 3_200


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


# TRPO ----------------------------------------------------------------------------------------------------------------


def rollout_of(algorithm, env, state, key, games: int = 64):
    from comity import rollout

    return rollout.collect(key, env, algorithm, state, rollout.start(key, env, algorithm.memory, games))[1]


def trpo_step(seed: int, numbers: int) -> list[float]:
    """Returns [cosine of both steps, length of ours over theirs, KL of ours, of theirs, gain of ours, of theirs].

    numbers: how many numbers of an action sb3's mean divergence counts. It is a mean over samples and over numbers;
    ours is a mean over samples of a sum. With bound and damping times 2, both have the same task; with 1, that of the
    papers.
    """
    import jax
    import jax.numpy as jnp

    from comity.algorithms import actors
    from comity.algorithms.policy_gradient import trpo
    from comity.environments.control.point_mass import PointMass
    from comity.networks import RecurrentNet, fresh_core

    env = PointMass()
    config = trpo.Config(limit=0.01 * numbers, slack=1.0, gradients=15, damping=DAMPING * numbers, shrink=0.8, tries=10)
    acts = actors.actions_of(config, env)
    new = lambda key, inputs: RecurrentNet(key, inputs, 64, acts.size, "tanh", core="none")  # noqa: E731
    team = actors.team(config, env, acts, "separate", new, fresh_core("none", 64, 1), 64)
    algorithm = trpo.make(config, env)
    key = jax.random.key(seed)
    state = algorithm.init(key)
    steps = jax.jit(lambda state: rollout_of(algorithm, env, state, key))(state)
    reached = jnp.cumsum(steps.reward[::-1], 0)[::-1]  # [T, B, 1] the rewards that followed
    advantage = (reached - reached.mean((1,), keepdims=True)) / reached.std()
    before = jax.tree.map(lambda x: x[0], steps.memory)
    policy = lambda params: acts(team.unroll(params, steps.observation.view, before), steps.observation.available)  # noqa: E731
    old = jax.lax.stop_gradient(policy(state.actor))
    measure = jax.jit(lambda params: trpo.local(team, acts, old, steps, advantage, params))
    ours, _ = trpo.trust_step(config, team, state.actor, measure)

    def flat(actor) -> list[np.ndarray]:
        """Returns arrays in the order of sb3's policy: weight [out, in] and bias of each layer, log deviations."""
        net = actor.net
        layers = net.encoder, net.cell.layer, net.head
        return [np.asarray(x[0]) for layer in layers for x in (layer.weight.swapaxes(-1, -2), layer.bias)] + [
            np.asarray(actor.log_deviation[0])
        ]

    flat_batch = lambda x: np.asarray(x).reshape(-1, *x.shape[3:])  # noqa: E731
    view, action = flat_batch(steps.observation.view), flat_batch(steps.action)
    theirs = sb3_step(flat(state.actor), view, action, flat_batch(advantage[..., None])[:, 0])
    vector = lambda arrays: np.concatenate([x.ravel() for x in arrays])  # noqa: E731
    start = vector(flat(state.actor))
    mine, its = vector(flat(ours)) - start, vector(theirs) - start
    there = with_arrays(state.actor, theirs)
    a, b, first = measure(ours), measure(there), measure(state.actor)
    gains = [float((x.surrogate - first.surrogate)[0]) for x in (a, b)]
    return [
        cosine(mine, its),
        float(np.linalg.norm(mine) / np.linalg.norm(its)),
        float(a.kl[0]),
        float(b.kl[0]),
        *gains,
    ]


def with_arrays(actor, arrays: list[np.ndarray]):
    """Returns the actor with sb3's arrays."""
    import equinox as eqx
    import jax.numpy as jnp

    w1, b1, w2, b2, w3, b3, deviation = (jnp.asarray(x)[None] for x in arrays)
    new = [w1.swapaxes(1, 2), b1, w2.swapaxes(1, 2), b2, w3.swapaxes(1, 2), b3, deviation]

    def parts(actor) -> list:
        net = actor.net
        layers = net.encoder, net.cell.layer, net.head
        return [*(x for layer in layers for x in (layer.weight, layer.bias)), actor.log_deviation]

    return eqx.tree_at(parts, actor, new)


def sb3_step(arrays: list[np.ndarray], view: np.ndarray, action: np.ndarray, advantage: np.ndarray):
    """Returns the policy's arrays after one update of sb3-contrib's TRPO from these arrays, on this batch [M, ...]."""
    import gymnasium
    import torch  # pyright: ignore[reportMissingImports]
    from sb3_contrib import TRPO  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.logger import configure  # pyright: ignore[reportMissingImports]

    class Shapes(gymnasium.Env):
        """An environment that is never played: it only gives shapes of views and actions."""

        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, view.shape[1:], np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, action.shape[1:], np.float32)

        def reset(self, *, seed=None, options=None):
            return np.zeros(view.shape[1:], np.float32), {}

        def step(self, action):
            return np.zeros(view.shape[1:], np.float32), 0.0, False, False, {}

    torch.set_num_threads(1)
    model = TRPO(
        "MlpPolicy", Shapes(), n_steps=len(view), batch_size=len(view), cg_max_steps=15, cg_damping=DAMPING,
        target_kl=0.01, line_search_shrinking_factor=0.8, line_search_max_iter=10, normalize_advantage=False,
        n_critic_updates=1, device="cpu",
    )  # fmt: skip
    model.set_logger(configure(None, []))
    net = model.policy.mlp_extractor.policy_net
    targets = [x for layer in (net[0], net[2], model.policy.action_net) for x in (layer.weight, layer.bias)]
    targets.append(model.policy.log_std)
    with torch.no_grad():
        for target, array in zip(targets, arrays, strict=True):
            target.copy_(torch.as_tensor(array.copy()))
        seen, done = torch.as_tensor(view.copy()), torch.as_tensor(action.copy())
        values, log_probs, _ = model.policy.evaluate_actions(seen, done)
    buffer = model.rollout_buffer
    buffer.observations[:, 0], buffer.actions[:, 0] = view, action
    buffer.values[:, 0], buffer.log_probs[:, 0] = values.numpy().ravel(), log_probs.numpy()
    buffer.advantages[:, 0], buffer.returns[:, 0] = advantage, values.numpy().ravel()
    buffer.full, buffer.pos = True, len(view)
    model.train()
    return [x.detach().numpy().copy() for x in targets]


# Kronecker factors --------------------------------------------------------------------------------------------------


def kronecker(python: str) -> None:
    """Compares the factors of a policy on a batch, and a preconditioned gradient, of both libraries."""
    import jax
    import jax.numpy as jnp

    from comity.learning.kronecker import Rules, between, fresh_curvature, observed
    from comity.networks import MLP
    from comity.networks.watched import factors_of, matrices

    key_net, key_x, key_noise, key_advantage = jax.random.split(jax.random.key(0), 4)
    net = MLP(key_net, 6, (64, 64), 2, "tanh")
    x = jax.random.normal(key_x, (512, 6))
    action = net(x) + jax.random.normal(key_noise, (512, 2))
    advantage = jax.random.normal(key_advantage, (512,))
    log_probs = lambda net: -0.5 * jnp.square(action - net(x)).sum(-1)  # noqa: E731
    found = factors_of(log_probs, net)
    gradient = matrices(jax.grad(lambda net: (advantage * log_probs(net)).mean())(net))
    rules = Rules(1.0, 0.0, 0.0, DAMPING, 1e9)
    curvature = observed(rules, fresh_curvature(matrices(net)), found, jnp.bool_(True))
    mine = [between(inverses, g) for inverses, g in zip(curvature.inverses, gradient, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        given, left = Path(folder) / "given.npz", Path(folder) / "left.npz"
        arrays = {f"{name}{k}": w for name, ws in (("w", matrices(net)), ("g", gradient)) for k, w in enumerate(ws)}
        np.savez(given, x=x, action=action, **arrays)  # pyright: ignore[reportArgumentType]
        subprocess.run([python, __file__, "--kfac", str(given), str(left)], check=True)
        theirs = np.load(left)
        print("kfac-jax", theirs["versions"])
        for k, (ours, step) in enumerate(zip(found, mine, strict=True)):
            for name, a in (("inputs", ours.inputs), ("outputs", ours.outputs)):
                b = theirs[f"{name}{k}"]
                away = np.linalg.norm(a - b) / np.linalg.norm(b)
                print(f"layer {k}, {name}: {a.shape[0]} x {a.shape[0]}, relative difference {away:.1e}")
            for damping in ("split", "whole"):
                a, b = np.ravel(step), theirs[f"{damping}{k}"].ravel()
                ratio = np.linalg.norm(a) / np.linalg.norm(b)
                print(f"layer {k}, preconditioned gradient, damping {damping} there: cosine {cosine(a, b):.7f}, "
                      f"length {ratio:.5f} of theirs")  # fmt: skip


def kfac(given: str, left: str) -> None:
    """Runs in the other environment: writes kfac-jax's factors and its preconditioned gradient.

    G is multiplied by the batch size M, since kfac-jax holds the Fisher matrix of a mean of M losses, which is an M-th.
    For the same reason its damping is divided by M.
    """
    import jax
    import jax.numpy as jnp
    import kfac_jax  # pyright: ignore[reportMissingImports]

    data = np.load(given)
    count = sum(name.startswith("w") for name in data.files)
    params = [(jnp.asarray(data[f"w{k}"][:-1]), jnp.asarray(data[f"w{k}"][-1])) for k in range(count)]
    batch, size = (jnp.asarray(data["x"]), jnp.asarray(data["action"])), len(data["x"])

    def loss(params, batch):
        x, action = batch
        for w, b in params[:-1]:
            x = jnp.tanh(x @ w + b)
        w, b = params[-1]
        mean = x @ w + b
        kfac_jax.register_normal_predictive_distribution(mean, action, variance=1.0)
        return 0.5 * jnp.square(mean - action).sum(-1).mean()

    key = jax.random.key(0)
    estimator = kfac_jax.BlockDiagonalCurvature(loss, default_estimation_mode="fisher_empirical")
    state = estimator.init(key, (params, batch), None, None, False)
    state = estimator.update_curvature_matrix_estimate(state, 0.0, 1.0, 0.0, size, key, (params, batch), None)
    gradient = [(jnp.asarray(data[f"g{k}"][:-1]), jnp.asarray(data[f"g{k}"][-1])) for k in range(count)]
    ways = {"split": False, "whole": True}  # damping of each factor, or of their product by its eigenvalues
    inverse = lambda whole: estimator.multiply_inverse(state, gradient, DAMPING / size, whole, False, None)  # noqa: E731
    steps = {name: inverse(whole) for name, whole in ways.items()}
    arrays = {"versions": np.array(f"{kfac_jax.__version__}, jax {jax.__version__}")}
    for k, block in enumerate(state.blocks_states):
        inputs, outputs = (factor.value for factor in block.factors)
        arrays |= {f"inputs{k}": inputs, f"outputs{k}": size * outputs}
        arrays |= {f"{name}{k}": jnp.concatenate([w[k][0], w[k][1][None]]) / size for name, w in steps.items()}
    np.savez(left, **arrays)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    if sys.argv[1] == "--kfac":
        kfac(*sys.argv[2:])
    elif sys.argv[1] == "kronecker":
        kronecker(sys.argv[2])
    else:
        import sb3_contrib  # pyright: ignore[reportMissingImports]
        import torch  # pyright: ignore[reportMissingImports]

        print(f"sb3-contrib {sb3_contrib.__version__}, torch {torch.__version__}, {TRANSITIONS} transitions")
        print("numbers  seed  cosine  length  KL ours  KL theirs  gain ours  gain theirs")
        for numbers in (2, 1):
            for seed in range(5):
                print(numbers, seed, *(f"{x:.6f}" for x in trpo_step(seed, numbers)), flush=True)
