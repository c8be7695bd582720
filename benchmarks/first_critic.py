"""Defect 10 of the released code of "hidden gifts", seed by seed: what it adds to the return of a game that is solved.

    python benchmarks/first_critic.py [--seeds 10] [--games 8192]

Behind a game that ends k steps early the code puts -k V_first, of a critic as it is drawn before training
(docs/algorithms/pg.md). Here random play solves games as the repair study has them, and that number, discounted to the
end of the game, is averaged over them: beside the reward for success, 1, it is what each of the two agents learns from.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from comity import rollout
from comity.algorithms import random
from comity.algorithms.pg import released_last_value
from comity.experiments.figure import Arm, recipe_of
from comity.experiments.hidden_gifts.repairs import REPAIR_STUDY
from comity.training.programs import INIT

WHO = ("PG", "PG with history")
REPAIRED = ("released", "only 2 fresh views", "up to 1 keys and doors seen")


def added(arm: Arm, seeds: int, games: int) -> np.ndarray:
    """[seeds, N] means over the games that random play solves before the clock ends them."""
    recipe = recipe_of(arm)
    env, learner, player = recipe.env, recipe.make(recipe.config, recipe.env), random.make(random.Config(), recipe.env)
    act = lambda key, memory, observation: player.act(key, (), memory, observation)  # noqa: E731
    unread = getattr(env, "history_size", 0) if recipe.config.critic_reads == "present" else 0

    @jax.jit
    def played(key):
        steps = rollout.collect_episodes(key, env, act, rollout.start(key, env, player.memory, games))
        return steps.next_observation.view[-1, ..., : env.view_size - unread].astype(jnp.float32), steps.valid

    @jax.jit
    def behind(key, views, valid):
        critics = learner.init(jax.random.fold_in(key, INIT)).first_critic
        values = jax.vmap(lambda critic, x: critic(x)[..., 0], (0, 1), 1)(critics, views)
        left = (~valid).sum(0)
        return recipe.config.gamma ** left[:, None] * released_last_value(values, valid)

    views, valid = played(jax.random.key(0))
    solved = ~np.asarray(valid[-1])
    return np.stack([np.asarray(behind(jax.random.key(seed), views, valid))[solved].mean(0) for seed in range(seeds)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--games", type=int, default=8192)
    given = parser.parse_args()
    for label in (f"{who}, {what}" for what in REPAIRED for who in WHO):
        print(label)
        for seed, agents in enumerate(added(REPAIR_STUDY.arms[label], given.seeds, given.games)):
            print(f"  seed {seed}  both {agents.sum():6.2f}   each {'  '.join(f'{x:6.2f}' for x in agents)}")


if __name__ == "__main__":
    main()
