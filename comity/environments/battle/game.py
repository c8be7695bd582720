"""SMAC's battles (Samvelyan et al. 2019, arXiv 1902.04043) without StarCraft: SMAC's interface, and similar rules.

docs/tasks/smac.md: what is exact, what is approximated, and how to calibrate it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import HOSTILE, agent_hex, hexadecimal
from comity.environments.battle import packing, scripts, seeing
from comity.environments.battle.arrays import NOBODY, Units, part
from comity.environments.battle.combat import LONG_AGO, fought, weapons_of
from comity.environments.battle.maps import DEATH, SCALE, VICTORY, Scenario, scenario
from comity.environments.battle.motion import bits_at
from comity.environments.battle.orders import POLICIES, STOP, orders_of
from comity.environments.battle.outcome import ended, harm
from comity.environments.battle.terrain import HERE
from comity.environments.battle.units import BALANCES, ENERGY_START
from comity.settings import NotNegative, Positive, check
from comity.spec import Discrete, Functions, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 2  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {"paper": {}}

Name = Literal[
    "3m", "8m", "2s3z", "3s5z", "1c3s5z", "5m_vs_6m", "3s_vs_5z", "2c_vs_64zg", "corridor", "MMM2", "3s5z_vs_3s6z"
]  # fmt: skip
MIXED, LOSS_SHARE = "mixed", 0.5
DIRECTIONS = ("north", "south", "east", "west")


class State(NamedTuple):
    """One game: all that the next step depends on."""

    units: Units  # leaves [N]
    last_action: Array  # [agents] int32, NOBODY after a reset
    time: Array  # [] int32, steps played
    balance: Array  # [] int32, number in BALANCES
    policy: Array  # [] int32, the enemy's number in POLICIES


@dataclass(frozen=True)
class SMAC:
    """n allies against m enemies. view float32 [agents, V], state [S]; sizes are SMAC's."""

    map: Name = "3m"  # one of the eleven maps: units of both sides, ground, limit
    balance: Literal["base", "ladder410"] = "base"  # unit data of the module that SMAC's maps name, or of the
    # multiplayer game
    enemy: Literal["attack_move", "hold", "nearest_global", "focus_weakest", "mixed", "self_play"] = "attack_move"
    # attack_move: walks to the allies' start and fights the units it meets | hold: stands until an ally comes near |
    # nearest_global: attacks the nearest ally at any distance | focus_weakest: shoots at the weakest in reach |
    # mixed: one of these four in each episode | self_play: agents play both teams
    length: Positive[int] | None = None  # most steps of an episode; None: the map's limit
    reward_sparse: bool = False  # True: only 1 for a victory and -1 for a defeat, before scaling
    reward_only_positive: bool = True  # False: half of the allies' losses is subtracted
    reward_scale: bool = True  # True: rewards are scaled so that a won episode is worth 20
    align_types: bool = False  # True: enemies' types get the numbers of allies'; in SMAC, Stalkers and Zealots differ
    obs_last_action: bool = False  # True: an agent sees the last actions of the others in sight
    obs_timestep_number: bool = False  # True: a view ends with the share of the limit that is over
    state_timestep_number: bool = False  # True: the state ends with that share
    spawn_jitter: NotNegative[float] = 0.0  # most cells by which a unit's start is moved, along x and y;
    # a unit that would be moved into a wall stays
    border: NotNegative[int] = 0  # width of the map's frame that is not walkable, in cells
    clock_terminates: bool = False  # True: the time limit is a true end, of value 0
    rounded: bool = (
        False  # True: views show positions to 1/128 of a cell and points to 1/64; then a replay stores only units
    )

    def __post_init__(self) -> None:
        check(self)
        if self.rounded and self.obs_timestep_number and not self.state_timestep_number:
            raise ValueError("rounded: a replay reads the time from the state: set state_timestep_number, too")
        if self.border > 7:
            raise ValueError(f"border {self.border} is above 7: units start 8 cells from the frame; give 7 or less")

    @property
    def rules(self) -> Scenario:
        """The constants of the map."""
        return scenario(self.map, self.border, self.align_types)

    @property
    def both(self) -> bool:
        """True if enemies are agents, too."""
        return self.enemy == "self_play"

    @property
    def limit(self) -> int:
        return self.length or self.rules.map.length

    @property
    def shown(self) -> seeing.Shown:
        return seeing.Shown(self.obs_last_action, self.obs_timestep_number, self.state_timestep_number)

    @property
    def spec(self) -> Spec:
        rules = self.rules
        n, m = rules.allies.size, rules.enemies.size
        agents, count = n + m * self.both, seeing.actions(rules, self.both)
        teams = (rules.allies, rules.enemies) if self.both else (rules.allies,)
        names = [f"{name} {k}" for team in teams for k, name in enumerate(team.names)]
        targets = tuple(f"at {k}" for k in range(count - len(DIRECTIONS) - 2))
        return Spec(
            agents,
            Vector(max(seeing.view_size(rules, team, self.shown, count) for team in teams)),
            Discrete(count),
            self.limit,
            state=Vector(seeing.state_size(rules, self.shown, count, agents)),
            mixed_motive=self.both,
            headline="won",
            scripts=scripts.known(self.map),
            roles=(*("ally",) * n, *("enemy",) * m) if self.both else (),
            agent_names=tuple(f"{'enemy ' * (k >= n)}{name}" for k, name in enumerate(names)),
            agent_colours=tuple(agent_hex(k) if k < n else hexadecimal(HOSTILE) for k in range(agents)),
            action_names=("dead", "stop", *DIRECTIONS, *targets),
            event_names=("won", "lost", "falls") if self.both else ("won", "lost", "falls", "dead_enemies"),
            event_words=(
                ("won", "the allies win the battle"),
                ("lost", "the allies lose the battle"),
                ("falls", "falls"),
                *(() if self.both else (("dead_enemies", "an enemy falls"),)),
            ),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        rules, (key_start, key_policy) = self.rules, jax.random.split(key)
        table = rules.table
        moved = jax.random.uniform(key_start, rules.start.shape, minval=-1.0, maxval=1.0)
        place = jnp.clip(rules.start + self.spawn_jitter * moved, 0.5, 31.5)
        inside = bits_at(rules, place[:, :1], place[:, 1:]) >> HERE & 1  # a unit inside a wall could never leave it
        place = jnp.where(inside > 0, rules.start, place)
        whole = lambda value: jnp.full(rules.size, value, jnp.int32)  # noqa: E731
        units = Units(
            x=place[:, 0],
            y=place[:, 1],
            hp=jnp.asarray(table.hp[:, 0]),
            shield=jnp.asarray(table.shield[:, 0]),
            energy=jnp.where(table.heals[:, 0], ENERGY_START, 0.0).astype(jnp.float32),
            cooldown=whole(0),
            windup=whole(0),
            target=whole(NOBODY),
            unhurt=whole(LONG_AGO),
            attacker=whole(NOBODY),
            speed=jnp.zeros(rules.size, jnp.float32),
            shot=whole(NOBODY),
        )
        policy = jnp.int32(POLICIES.index(self.enemy) if self.enemy in POLICIES else 0)
        if self.enemy == MIXED:
            policy = jax.random.randint(key_policy, (), 0, len(POLICIES))
        last = jnp.full(self.spec.agents, NOBODY, jnp.int32)
        state = State(units, last, jnp.int32(0), jnp.int32(BALANCES.index(self.balance)), policy)
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        one = jax.tree.map(lambda x: x[None], (state, action))
        return jax.tree.map(lambda x: x[0], self.step_games(key[None], *one))

    def step_games(self, keys: Key, state: State, action: Array) -> tuple[State, Timestep]:
        """Does `step` for B games at once. Inside, games are the last axis."""
        rules = self.rules
        luck = jax.vmap(lambda key: jax.random.bits(key, (rules.size,), jnp.uint32))(keys).T
        before, action = jax.tree.map(jnp.transpose, (state, action))
        units, n = before.units, rules.allies.size
        action = jnp.where(self._is_available(self._available(units), action), action, STOP)
        orders = orders_of(rules.allies, part(rules.allies, units), action[:n]), None
        if self.both:
            orders = orders[0], orders_of(rules.enemies, part(rules.enemies, units), action[n:])
        after = fought(rules, weapons_of(rules, before.balance), units, before.policy, orders, luck)
        state = State(after, action, before.time + 1, before.balance, before.policy)
        reward, over, info = self.outcome(units, after)
        late = (state.time >= self.limit) & ~over
        timestep = Timestep(
            observation=self._observation(state),
            reward=jnp.moveaxis(reward, 0, -1),
            terminated=over | late if self.clock_terminates else over,
            truncated=jnp.zeros_like(late) if self.clock_terminates else late,
            info=info,
        )
        return jax.tree.map(jnp.transpose, state), timestep

    def _is_available(self, can: Array, action: Array) -> Array:
        """[agents, B] bool, True if the action is available. can [agents, A, B]."""
        return (can & (action[:, None] == jnp.arange(can.shape[1])[None, :, None])).any(1)

    def outcome(self, before: Units, after: Units) -> tuple[Array, Array, dict[str, Array]]:
        """Returns (reward [agents, B], over [B], info) of a step."""
        rules = self.rules
        teams = (rules.allies, rules.enemies)
        dead = [~(part(team, after.hp) > 0) & (part(team, before.hp) > 0) for team in teams]
        won, lost, over = ended(rules, after)
        rewards = [self.reward(before, after, k, (won, lost)[k], (lost, won)[k]) for k in range(1 + self.both)]
        reward = jnp.concatenate(
            [jnp.broadcast_to(x, (team.size, *x.shape)) for x, team in zip(rewards, teams, strict=False)]
        )
        number = lambda x: x.astype(jnp.float32)  # noqa: E731
        info = {"won": number(won), "lost": number(lost)}
        info |= {"dead_allies": number(dead[0].sum(0)), "dead_enemies": number(dead[1].sum(0))}
        info["falls"] = number(jnp.moveaxis(jnp.concatenate(dead) if self.both else dead[0], 0, -1))
        return reward, over, info

    def reward(self, before: Units, after: Units, side: int, won: Array, lost: Array) -> Array:
        """[B], reward of one side: for damage and deaths of the other side, and for a victory."""
        rules = self.rules
        own, foe = (rules.allies, rules.enemies)[:: 1 - 2 * side]
        table = foe.table
        most = float((table.hp + table.shield).sum() + DEATH * foe.size + VICTORY)
        scale = SCALE / most if self.reward_scale else 1.0
        if self.reward_sparse:
            return (won.astype(jnp.float32) - lost.astype(jnp.float32)) * scale
        gained = harm(part(foe, before), part(foe, after))
        if self.reward_only_positive:
            points = jnp.abs(gained)
        else:
            points = gained - LOSS_SHARE * harm(part(own, before), part(own, after))
        return (points + VICTORY * won) * scale

    def observation(self, state: State) -> Observation:
        """Returns the observation of one game."""
        one = jax.tree.map(lambda x: x[..., None], state)
        return jax.tree.map(lambda x: x[0], self._observation(one))

    def pack(self, observation: Observation) -> packing.Codes:
        """Packs one observation of a game that is `rounded`, for a replay."""
        timed = self.state_timestep_number
        return packing.packed(self.rules, observation.state, observation.available, self.limit, timed)

    def unpack(self, codes: packing.Codes) -> Observation:
        """Restores the observation that `pack` was given, bit for bit."""
        units, last, can, time = packing.unpacked(self.rules, codes, seeing.actions(self.rules, self.both))
        one = jax.tree.map(lambda x: x[..., None], (units, last, time, can))
        return jax.tree.map(lambda x: x[0], self._shown(*one))

    def _available(self, units: Units) -> Array:
        """[agents, A, B] bool, available actions."""
        rules, count = self.rules, seeing.actions(self.rules, self.both)
        both = ((rules.allies, rules.enemies), (rules.enemies, rules.allies))
        teams = both if self.both else both[:1]
        return jnp.concatenate([seeing.available(rules, a, b, units, count) for a, b in teams])

    def _observation(self, state: State) -> Observation:
        """Returns the observation of games: the last axis of the state, the first axis of the observation."""
        units = packing.rounded(state.units) if self.rounded else state.units
        return self._shown(units, state.last_action, state.time, self._available(state.units))

    def _shown(self, units: Units, last_action: Array, time: Array, can: Array) -> Observation:
        """Returns the observation of these units. can: `available` [agents, A, B]."""
        rules, shown = self.rules, self.shown
        numbers = jnp.arange(can.shape[1])[None, :, None]
        last = (last_action[:, None] == numbers).astype(jnp.float32)
        time = time.astype(jnp.float32) / self.limit
        both = ((rules.allies, rules.enemies), (rules.enemies, rules.allies))
        size, views = self.spec.view.size, []
        for a, b in both if self.both else both[:1]:
            view = seeing.view(rules, a, b, units, can[a.units], last[a.units], time, shown)
            views.append(jnp.pad(view, ((0, 0), (0, size - view.shape[1]), (0, 0))))
        seen = Observation(jnp.concatenate(views), seeing.state(rules, units, last, time, shown), can)
        return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), seen)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `won`, `lost`, `undecided`: 1 if so; `allies_alive` and `enemies_dead` at the end."""
        total = {name: x.sum(0) for name, x in info.items()}
        alive = self.rules.allies.size - total["dead_allies"]
        drawn = 1.0 - total["won"] - total["lost"]
        ends = {"won": total["won"], "lost": total["lost"], "undecided": drawn}
        return {**ends, "allies_alive": alive, "enemies_dead": total["dead_enemies"]}

    def scripted_team(self, name: str) -> tuple[PyTree, Callable[[PyTree, Observation], tuple[Array, PyTree]]]:
        """Returns (memory, act) of one of `scripts`, which plays all agents and reads the state."""
        return scripts.team_of(self.rules, self.both, name)

    @property
    def functions(self) -> Functions:
        """In self-play no view is drawn, because the views of the two teams have different layouts."""
        return Functions(
            draw=self.draw,
            draw_view=None if self.both or self.obs_last_action else self.draw_view,
            summary=self.summary,
            scripted_team=self.scripted_team,
            step_games=self.step_games,
            pack=self.pack if self.rounded else None,
            unpack=self.unpack if self.rounded else None,
        )

    def draw(self, state: State, ranges: bool = False, size: int = 480) -> np.ndarray:
        """uint8 [size or less, size, 3] of one game. ranges: also draws the range of each weapon."""
        from comity.drawing import battle

        return battle.draw(self.rules, state, ranges, size)

    def draw_view(self, view: Array) -> np.ndarray:
        """uint8 [H, W, 3], the view of an agent, with the enemies that it may attack."""
        from comity.drawing import battle

        return battle.draw_view(self.rules, np.asarray(view), seeing.SIGHT)
