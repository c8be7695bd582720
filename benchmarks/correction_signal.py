"""Measures how much of the correction term of "hidden gifts" is signal: compares the term of a trained policy with the
collective gradient, which it would equal if the collective objective factorised (docs/algorithms/correction.md).

    python benchmarks/correction_signal.py RUN [--batches 64]     # RUN: of PG with a shared actor on Manitokan

Everything is restricted as the term is: to episodes in which one agent, the giver, had its reward first, and to the
steps after that. g is the collective gradient of the giver, C the term (`mixed`), w the weight of an episode in C,
whose mean over successes is 1 if s is known. s and the reference g come from batches of their own.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import comity
from comity import rollout
from comity.learning import corrections, log_prob, policy_logits
from comity.spec import functions
from comity.training.run import Run

GAMES = 32


def measured(run: Run, batches: int) -> dict[str, float]:
    env, state, algorithm = run.env, run.state(), run.algorithm
    if run.recipe.config.actors != "shared":
        raise SystemExit("give a run of PG whose agents share an actor: --algorithm.actors shared")
    flat, whole = ravel_pytree(state.actor)

    def episodes(key):
        """Returns (log pi(a_t) as a function of parameters, roles [B, N], steps after [T, B], R_e [B])."""
        start = rollout.start(key, env, algorithm.memory, GAMES)
        act = lambda key, memory, observation: algorithm.act(key, state, memory, observation)  # noqa: E731
        steps = rollout.collect_episodes(key, env, act, start)
        view, available = steps.observation.view, steps.observation.available

        def log_probs(flat):
            logits = whole(flat).unroll(view, steps.memory[0])
            return log_prob(policy_logits(logits, available, None), steps.action)

        shared = functions(env).collective(steps)  # pyright: ignore[reportOptionalCall]
        given = shared.giver.any(-1, keepdims=True)
        return log_probs, shared.giver, ~shared.giver & given, shared.after, shared.reward.sum(0)

    def summed(log_probs, weight, role, after):
        onto = after[..., None] & role
        return jax.grad(lambda flat: (jnp.where(onto, weight[:, None], 0.0) * log_probs(flat)).sum())(flat)

    @jax.jit
    def first(key):
        """Returns sums over a batch: R_e S_others, R_e, (R - b) S_giver, and the number of episodes with a giver."""
        log_probs, giver, others, after, earned = episodes(key)
        given = giver.any(-1)
        centred = jnp.where(given, earned - corrections.baseline(earned, given), 0.0)
        score = summed(log_probs, jnp.where(given, earned, 0.0), others, after)
        return score, jnp.where(given, earned, 0.0).sum(), summed(log_probs, centred, giver, after), given.sum()

    @jax.jit
    def second(key, s):
        """Returns the term of a batch with and without bounds on w, the collective gradient, w, and masks of its
        episodes.
        """
        log_probs, giver, others, after, earned = episodes(key)
        given = giver.any(-1)
        centred = jnp.where(given, earned - corrections.baseline(earned, given), 0.0)
        size = s @ s + 1e-3 * jnp.maximum(1.0, s @ s)
        w = corrections.slopes(log_probs, flat, s, after[..., None] & others) / size
        terms = [summed(log_probs, centred * x, giver, after) for x in (w, jnp.clip(w, -10, 10), jnp.ones_like(w))]
        return *terms, w, given, earned > 0

    keys = jax.random.split(jax.random.key(0), (2, batches))
    scores, earned, climbs, _ = map(np.asarray, zip(*(jax.device_get(first(key)) for key in keys[0]), strict=True))
    s, reference = jnp.asarray(scores.sum(0) / max(earned.sum(), 1)), climbs.sum(0)
    rest = [jax.device_get(second(key, s)) for key in keys[1]]
    plain, bounded, gradient, w, given, paid = (np.stack(x) for x in zip(*rest, strict=True))
    cos = lambda a, b: float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))  # noqa: E731
    each = lambda terms: float(np.mean([cos(x, reference) for x in terms if x.any()]))  # noqa: E731
    return {
        "success": float(paid.mean()),
        "somebody had its reward": float(given.mean()),
        "|s|^2": float(s @ s),
        "w over successes, mean": float(w[given & paid].mean()),
        "w over successes, sd": float(w[given & paid].std()),
        "w beyond 10, share": float((np.abs(w[given]) > 10).mean()),
        "bounded w over successes, mean": float(np.clip(w, -10, 10)[given & paid].mean()),
        f"cos(g, g'), {GAMES} episodes": each(gradient),
        f"cos(C, g'), {GAMES} episodes": each(bounded),
        "cos(g, g'), all": cos(gradient.sum(0), reference),
        "cos(C unbounded, g'), all": cos(plain.sum(0), reference),
        "cos(C, g'), all": cos(bounded.sum(0), reference),
        "|C| / |g|, all": float(np.linalg.norm(bounded.sum(0)) / np.linalg.norm(gradient.sum(0))),
        f"|C| / |g|, {GAMES} episodes": float(
            np.mean(np.linalg.norm(bounded, axis=1)) / np.mean(np.linalg.norm(gradient, axis=1))
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--batches", type=int, default=64, help=f"of {GAMES} episodes, for s and for the term each")
    given = parser.parse_args()
    run = comity.load(given.run)
    print(f"{run.path}, iteration {run.iteration}, {given.batches} + {given.batches} batches of {GAMES} episodes")
    for name, value in measured(run, given.batches).items():
        print(f"  {name:<34}{value:10.3g}")


if __name__ == "__main__":
    main()
