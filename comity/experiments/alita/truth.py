"""The trial of figure 1: ALITA's estimate of its influence, and the influence measured by play."""

from collections.abc import Callable
from typing import Any

from comity.recipes import Recipe

CONTINUATIONS, STEPS = 32, 100  # of play from each state; 0.95^100 = 0.006
SAMPLES = 32  # number of draws of the others' actions in the mean of an estimate


def true_influence(
    recipe: Recipe, states: int, continuations: int = CONTINUATIONS, steps: int = STEPS, samples: int = SAMPLES
) -> Callable:
    """Returns (key, state of ALITA) -> {metric: [states]}, for states at random times of the present policies' play.

    influence_said, influence_true: F of each state, (q - z)^2 with q by the estimate and by continued play.
    influence_bias: the first minus the second. value_error: the squared difference of both q. value_bias: the estimate
    minus q by play. value_size, value_square: |q| and q^2 by play. All are means over the agents that are influenced.
    What the noise of continuations and draws adds to a square is subtracted, so that means over states are unbiased.
    A ratio must be taken of these means: the mean of the ratios of few states is biased.
    """
    import jax
    import jax.numpy as jnp

    from comity.algorithms.off_policy import alita, alita_estimates, alita_rewards
    from comity.algorithms.off_policy.deterministic import Member
    from comity.algorithms.off_policy.deterministic_nets import nets_of, policies
    from comity.algorithms.off_policy.maddpg import joint_actions

    config: Any = recipe.config
    env, nets = recipe.env, nets_of(config, recipe.env.spec, Member(joint_actions))
    role, *_ = alita_rewards.roles_of(config, env)
    others = jnp.array(role.others)

    def probe(key: jax.Array, state: Any) -> dict[str, jax.Array]:
        keys = jax.random.split(key, 6)

        def choose(key, observation):
            return policies(nets, state.actors, observation)[0].sample(key)

        def played(key, game, observation, first, count):
            """Plays `count` steps, the first one with action `first`. Returns (game, view, discounted rewards [N])."""

            def step(carry, inputs):
                game, observation, total, going = carry
                key, time = inputs
                key_act, key_step = jax.random.split(key)
                own = choose(key_act, observation)
                action = jnp.where(time == 0, first(own), own)
                after, result = env.step(key_step, game, action)
                total = total + going * config.gamma**time * result.reward
                now = after, result.observation, total, going * ~result.terminated
                stays = time < count
                return jax.tree.map(lambda new, old: jnp.where(stays, new, old), now, carry), None

            carry = game, observation, jnp.zeros(env.spec.agents), jnp.float32(1.0)
            times = jnp.arange(steps)
            (game, observation, total, _), _ = jax.lax.scan(step, carry, (jax.random.split(key, steps), times))
            return game, observation, total

        at = jax.random.randint(keys[0], (states,), 0, min(env.spec.length, steps))
        games, observation = jax.vmap(env.reset)(jax.random.split(keys[1], states))
        untouched = lambda own: own  # noqa: E731
        games, observation, _ = jax.vmap(lambda k, g, s, n: played(k, g, s, untouched, n))(
            jax.random.split(keys[2], states), games, observation, at
        )
        chosen = choose(keys[3], observation)[:, role.influencer]  # [states], the influencer's present actions

        def worth(key, game, observation, mine):
            first = lambda own: own.at[role.influencer].set(mine)  # noqa: E731
            each = jax.random.split(key, continuations)
            return jax.vmap(lambda k: played(k, game, observation, first, steps)[2])(each)[:, others]  # [C, J]

        earned = jax.vmap(worth)(jax.random.split(keys[4], states), games, observation, chosen)  # [states, C, J]
        true, noise = earned.mean(1), earned.var(1, ddof=1) / continuations

        def said(key):
            action = choose(key, observation).at[:, role.influencer].set(chosen)
            net = state.added.estimates[0].net
            return alita_estimates.call(config, nets, role, net, observation.view, nets.acts.encoded(action))

        drawn = jax.vmap(said)(jax.random.split(keys[5], samples))  # [D, states, J]
        estimate, spread = drawn.mean(0), drawn.var(0, ddof=1) / samples
        own = nets.acts.encoded(choose(keys[3], observation))[None]
        best = alita_estimates.best(config, nets, role, keys[5], alita.with_judges(state).critics, observation, own)
        by_estimate = (jnp.square(estimate - best) - spread).mean(-1)
        by_play = (jnp.square(true - best) - noise).mean(-1)
        return {
            "influence_said": by_estimate,
            "influence_true": by_play,
            "influence_bias": by_estimate - by_play,
            "value_error": (jnp.square(estimate - true) - spread - noise).mean(-1),
            "value_bias": (estimate - true).mean(-1),
            "value_size": jnp.abs(true).mean(-1),
            "value_square": (jnp.square(true) - noise).mean(-1),
        }

    return probe
