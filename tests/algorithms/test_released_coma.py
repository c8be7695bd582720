"""COMA's preset `released` against what the authors' code computed on recorded batches (tests/golden/README.md).

The tolerance is 1e-5, also for the parameters after one and after three updates. These errors make tests fail. In
`coma_replay` and `coma`, the targets: an end value at the last step of the array, or of a short rollout's own last
observation, or an episode drawn twice. In `coma_max_entropy`: entropy that enters the targets.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.policy_gradient import coma
from comity.algorithms.released.critics import Ending
from comity.learning import replay
from comity.networks import JointNet
from comity.settings import floats, with_floats
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep
from tests.algorithms.released_facts import (
    below,
    facts,
    mlp,
    of_variant,
    recorded,
    recurrent,
    rollout_of,
    sampled,
)

FACTS = facts("released_pg_coma.npz")
KEY = jax.random.key(0)
CONFIG = coma.Config(**{**coma.PRESETS["released"], "capacity": 4, "batch": 4})
PADDING = 3  # steps behind the longest game
ROLLOUTS = {"coma": [[0, 1, 2, 3]], "coma_replay": [[1, 2], [0, 3]], "coma_max_entropy": [[0, 1, 2, 3]]}


class Game:
    """The sizes of the recorded game. Of what happens in it only the shapes are asked for."""

    spec = Spec(agents=2, view=Vector(27), action=Discrete(6), length=12 + PADDING, state=Vector(1))

    def observed(self) -> Observation:
        return Observation(jnp.zeros((2, 27)), jnp.zeros(1), jnp.ones((2, 6), bool))

    def reset(self, key):
        return jnp.zeros(()), self.observed()

    def step(self, key, state, action):
        return state, Timestep(self.observed(), jnp.zeros(2), jnp.bool_(False), jnp.bool_(False), {})


def close(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@jax.jit
def update(values, state, steps, last_action):
    """An update, and what it learned from: observations, critic's targets, Q, advantages, in the order drawn."""
    seen: dict[str, Any] = {}
    fit, loss = coma.fit_backwards, coma.policy_loss

    def watched_fit(error, optimizer, critic, opt_state, data, valid, groups):
        result = fit(error, optimizer, critic, opt_state, data, valid, groups)
        seen.update(observed=data[0][0][..., 0, :], critic_targets=data[2], critic_values=result[2])
        return result

    def watched_loss(log_probs, advantage, valid):
        seen["advantages"] = advantage
        return loss(log_probs, advantage, valid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coma, "fit_backwards", watched_fit)
        patch.setattr(coma, "policy_loss", watched_loss)
        patch.setattr(coma.Categorical, "sample", lambda policy, key: last_action)
        after, metrics = coma.make(with_floats(CONFIG, values), Game()).update(KEY, state, steps)
    return after, metrics, dict(seen)


def first_state(init) -> coma.State:
    drawn = jax.eval_shape(coma.make(CONFIG, Game()).init, KEY)
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), drawn)
    critic = JointNet((None,), mlp(init, "critic"))
    return state._replace(actor=recurrent(init, "actor"), critic=critic, target_critic=critic)


def played(batch, reward, games):
    """(a rollout of these games of the batch, as long as the longest of them, what was chosen behind its end)."""
    whose = {name: x[games] for name, x in batch.items()}
    entries = int(whose["filled"].sum((1, 2)).max())  # steps, and what follows them
    cut = {name: x[:, :entries] for name, x in whose.items()}
    steps = rollout_of(cut, reward[games, : entries - 1], padding=Game.spec.length + 1 - entries, hidden=128)
    return steps, jnp.asarray(cut["actions"][:, -1, :, 0], jnp.int32)


@pytest.mark.parametrize("variant", ROLLOUTS)
def test_updates_are_those_recorded(variant):
    batch, init = of_variant(FACTS, variant, "batch"), of_variant(FACTS, variant, "init")
    preset = "released-max-entropy" if variant == "coma_max_entropy" else "released"
    values = floats(coma.Config(**coma.PRESETS[preset]))
    state, reward = first_state(init), batch["reward"]
    for number in (1, 2, 3):
        wanted = below(FACTS, variant, f"update{number}")
        memory = first_state(init).replay
        assert isinstance(memory, replay.Replay)
        *before, (steps, last_action) = [played(batch, reward, games) for games in ROLLOUTS[variant]]
        for old, action in before:  # what an earlier update has pushed
            until = jnp.broadcast_to(old.valid.any(1).sum(), old.valid.shape[1:])
            memory = replay.push(memory, replay.stored(Game(), old, Ending(until, action)))
        state = state._replace(replay=memory, time=jnp.int32(0))
        state, metrics, seen = update(values, state, steps, last_action)

        order = [int(np.abs(batch["obs"][:, 0] - x).sum((1, 2)).argmin()) for x in np.asarray(seen["observed"][0])]
        assert sorted(order) == [0, 1, 2, 3]  # each is drawn once
        valid = np.moveaxis(wanted["mask"] > 0, 1, 0)[:, order]
        for name in ("critic_targets", "critic_values", "advantages"):
            found, right = seen[name][:12], np.moveaxis(wanted[name], 1, 0)[:, order]
            close(np.where(valid.reshape(12, 4, *(1,) * (right.ndim - 2)), found - right, 0), 0)
        close(metrics["policy_loss"], wanted["actor_loss"])
        reward = wanted.get("rewards_after_entropy", reward)  # changed in place, in the code's batch
        if number == 2 or not (after := below(FACTS, variant, f"after{number}")):
            continue
        for net, name in ((state.actor, "actor"), (state.critic.net, "critic")):
            for layer, x in recorded(net, name).items():
                close(sampled(x), after[layer])
