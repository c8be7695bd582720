"""The uniformly random player of Manitokan, against a table recorded from a million episodes per column.

This tests the dynamics as a whole, and placement: each number lies within 4 standard errors of this sample and half a
unit of the table's last digit.
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.grid.manitokan.game import Manitokan

EPISODES = 24_000
LAYOUTS = 200_000

# (T, placement): success, reward per agent / 1.5, own door open at the end, any reward, drop choices, the same over
# episodes with at least one, effective drops, distance. All per agent where that makes sense.
ROWS = ("success", "reward_share", "opened", "rewarded", "choices", "choices_nonzero", "drops", "distance")
TABLE = {
    (150, "released"): ("0.00388", "0.0287", "0.0783", "0.1527", "2.68", "4.58", "1.46", "2.06"),
    (150, "uniform"): ("0.00392", "0.0290", "0.0793", "0.1546", "2.72", "4.61", "1.48", "2.11"),
    (300, "released"): ("0.0207", "0.0670", "0.1595", "0.2983", "5.77", "7.11", "3.12", "2.09"),
    (300, "uniform"): ("0.0208", "0.0674", "0.1605", "0.3002", "5.82", "7.14", "3.14", "2.11"),
}


@cache
def measured(placement: str) -> dict[int, dict[str, np.ndarray]]:
    """Per T, each row's numbers of all episodes, [B] or [B, N]. An episode of 300 steps begins as one of 150."""
    game = Manitokan(placement=placement, length=300)  # type: ignore[arg-type]

    def play(key):
        key_reset, key_play = jax.random.split(key)
        state, observation = jax.vmap(game.reset)(jax.random.split(key_reset, EPISODES))
        pairs, single = jnp.zeros((EPISODES, 2)), jnp.zeros(EPISODES)
        sums = {"reward": pairs, "choices": pairs, "drops": pairs, "distance": single, "steps": single}

        def step(play, key):
            state, observation, over, sums = play
            choices = jnp.where(observation.available[..., 4], 6, 4)
            action = jnp.floor(jax.random.uniform(key, choices.shape) * choices).astype(jnp.int32)
            state, timestep = jax.vmap(game.step, (None, 0, 0))(key, state, action)
            info = timestep.info
            new = {"reward": timestep.reward, "choices": info["drop_choices"], "drops": info["drops"]}
            new |= {"distance": info["distance"], "steps": jnp.ones(EPISODES)}
            running = {name: ~over.reshape(-1, *[1] * (x.ndim - 1)) for name, x in new.items()}
            sums = {name: sums[name] + running[name] * x for name, x in new.items()}
            return (state, timestep.observation, over | timestep.terminated, sums), None

        def half(play, keys):
            play, _ = jax.lax.scan(step, play, keys)
            return play, (play[0].opened, play[3])

        keys = jax.random.split(key_play, (2, 150))
        return jax.lax.scan(half, (state, observation, single > 0, sums), keys)[1]

    opened, sums = jax.tree.map(np.asarray, jax.jit(play)(jax.random.key(7)))
    return {
        length: {
            "success": opened[half].all(-1),
            "reward_share": sums["reward"][half] / 1.5,
            "opened": opened[half],
            "rewarded": (sums["reward"][half] > 0).any(-1),
            "choices": sums["choices"][half],
            "choices_nonzero": np.where(sums["choices"][half] > 0, sums["choices"][half], np.nan),
            "drops": sums["drops"][half],
            "distance": sums["distance"][half] / sums["steps"][half],
        }
        for half, length in enumerate((150, 300))
    }


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize(("length", "placement"), TABLE)
def test_random_play_gives_the_table(length, placement):
    for row, text in zip(ROWS, TABLE[length, placement], strict=True):
        numbers = measured(placement)[length][row].astype(float)
        per_episode = numbers if numbers.ndim == 1 else np.nanmean(numbers, -1)  # the two agents are not independent
        error = np.nanstd(per_episode) / np.sqrt(np.isfinite(per_episode).sum())
        rounding = 0.5 * 10.0 ** -len(text.split(".")[1])
        assert abs(np.nanmean(numbers) - float(text)) < 4 * error + rounding, (row, np.nanmean(numbers), text, error)


@pytest.mark.parametrize("placement", ["released", "uniform"])
def test_layouts_lean_left_as_released_and_few_have_no_solution(placement):
    game = Manitokan(placement=placement)
    state = jax.jit(lambda keys: jax.vmap(game.reset)(keys)[0])(jax.random.split(jax.random.key(1), LAYOUTS))
    position, heading, doors, key = (np.asarray(x) for x in (state.position, state.heading, state.doors, state.key))

    columns = {"released": (0.520, 0.272, 0.145, 0.063), "uniform": (0.25,) * 4}[placement]
    for column, share in enumerate(columns, start=1):
        assert abs((position[..., 0] == column).mean() - share) < 4 * np.sqrt(share / LAYOUTS / 2) + 5e-4
    for axis in (position[..., 1], heading + 1):
        assert np.abs(np.bincount(axis.ravel(), minlength=5)[1:] / axis.size - 0.25).max() < 4 * 0.44 / np.sqrt(
            axis.size
        )

    cells = np.concatenate([position, doors, key[:, None]], 1) @ np.array([10, 1])  # 2 agents, 2 doors, the key
    assert (np.diff(np.sort(cells, -1), axis=-1) > 0).all()  # never two in one cell
    assert (position.min(), position.max(), doors.min(), doors.max(), key.min(), key.max()) == (1, 4, 1, 4, 1, 4)

    corner = np.isin(key, (1, 4)).all(-1)
    beside = (np.abs(doors - key[:, None]).sum(-1) == 1).all(-1)
    assert abs((corner & beside).mean() - 0.0023) < 4 * np.sqrt(0.0023 / LAYOUTS) + 5e-5
