"""Properties that hold for every algorithm. Names come from the registry, so a new algorithm is tested here without a
new line. `SIZES` makes it small, and `ORDERED` lists its parameters that are in the order of agents.
"""

import dataclasses
import re
from collections.abc import Callable
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax

from comity import rollout
from comity.algorithms import ALGORITHMS
from comity.recipes import find_algorithm, settings_of
from comity.settings import floats, with_floats
from comity.training import checkpoint
from comity.training.programs import Carry
from comity.types import Algorithm, Observation
from tests.tiny import limits
from tests.tiny.noise import LENGTH, A, N, Noise, S, V, masks

KEY = jax.random.key(0)
LONG = {"core": "attention", "context_heads": 1, "predict": "others"}
VARIANTS = {"pg-long": ("pg", LONG), "mappo-long": ("mappo", LONG)}  # other structures: (algorithm, settings)
PARTICULAR = ("lola", "coala-exact", "coala", "lica-exact")
# They want values in closed form, opponents that learn inside the game, or a game of one step.
LEARNERS = [*(name for name in ALGORITHMS if name not in ("random", *PARTICULAR)), *VARIANTS]
EVERYONE = [*LEARNERS, "random"]
FAMILIES = ("pg", "ippo", "vdn", "maddpg")  # one of each family, where all would take long to compile
PRESETS = [(name, preset) for name in ALGORITHMS if name not in PARTICULAR for preset in find_algorithm(name).presets]
GAMES = 4
ORDER = np.array([1, 0])  # the agents exchanged


SIZES: dict[str, Any] = {  # settings that make any algorithm small and quick to learn, if it has them
    "hidden": 5,
    "width": 6,
    "versions": 3,
    "encoder": (5,),
    "mixer_width": 4,
    "mixer_hidden": 7,
    "bias_hidden": 6,
    "joint_hidden": 6,
    "latents": 3,
    "chooser_hidden": 6,
    "discriminator_hidden": 6,
    "chunk": 2,
    "epochs": 2,
    "value_epochs": 2,
    "value_minibatches": 1,
    "minibatches": 1,  # every step of Adam makes differences by rounding larger
    "capacity": 3 * GAMES,
    "batch": GAMES,
    "warmup": GAMES,
    "critic_schedule": "batch",
    "critic_width": 3,
}
SHARING = ("actors", "agents")  # settings that say "separate" or "shared"
OWN: dict[str, dict[str, Any]] = {name: settings for name, (_, settings) in VARIANTS.items()}  # what one wants beside
# Replays of single steps; vectors that nothing is drawn for, since draws have one number for each place.
STEPWISE = {"steps": LENGTH, "every": 8, "capacity": 48, "batch": 16, "warmup": 16, "relaxed": "softmax"}
OWN |= {name: STEPWISE for name in ("maddpg", "ddpg", "iddpg", "td3", "sac", "tac")} | {
    "sqddpg": {**STEPWISE, "orders": 0}
}
OWN["alita"] = {**STEPWISE, "influence_batch": 8, "novelty_hidden": (6, 5, 6), "novelty_batch": 8}
OWN["alita-td3"] = OWN["alita"]
OWN["alita-qmix"] = {
    "influence_batch": 8,
    "novelty_hidden": (6, 5, 6),
    "novelty_batch": 8,
    "novelty_every": 8,
    "critic_hidden": 5,
}
OWN["alita-recurrent"] = {"influence_batch": 8, "novelty_hidden": (6, 5, 6), "novelty_batch": 8, "every": 8,
                          "relaxed": "softmax", "memory": 5, "agent_id": False}  # fmt: skip


def blocks(axis: int, first: int = 0) -> Callable[[Array], Array]:
    """Exchanges agents on an axis that from `first` on is [N, k] flattened."""

    def exchange(x: Array) -> Array:
        rows = jnp.moveaxis(x, axis, 0)
        ours = rows[first:].reshape(N, -1, *rows.shape[1:])[ORDER].reshape(-1, *rows.shape[1:])
        return jnp.moveaxis(jnp.concatenate([rows[:first], ours]), 0, axis)

    return exchange


# Leaves that stand in the order of agents though their first axis is not that of agents: pattern of the name (also of
# an optimizer's averages) -> exchange.
REPLAY = {r"replay\.rows\.(observation|action|reward)": lambda x: exchanged(x, 2)}  # [capacity, T, N, ...]
MIXER = {r"mixer\.weights\.layers\.1\.(weight|bias)": blocks(-1)}  # w: [hidden, N E]
own_or_named = lambda x: exchanged(x, 0) if x.ndim == 3 else blocks(0, V)(x)  # noqa: E731
SINGLE_STEPS = {pattern: lambda x: exchanged(x, 1) for pattern in (*REPLAY, r"replay\.rows\.next_observation")}
ORDERED: dict[str, dict[str, Callable[[Array], Array]]] = {
    "lica": {
        r"critic.*\.weights\.layers\.1\.(weight|bias)": blocks(-1),  # a row for each agent's every action
        r"actor.*encoder\.weight": own_or_named,  # a shared one reads an id after the view
    },
    "coma": {r"critic.*layers\.0\.weight": blocks(0, S + V + (N - 1) * A)},  # last in what it reads: who is judged
    "liir": {
        r"critic.*layers\.0\.weight": blocks(0, S + V),  # last in what it reads: whose reward
        r"critic.*values\.bias": lambda x: x,  # of two values, not of two agents
    },
    "qmix": MIXER,
    "alita-qmix": MIXER,
    **dict.fromkeys(("maddpg", "ddpg", "iddpg", "sqddpg", "alita", "alita-td3", "td3", "sac", "tac"), SINGLE_STEPS),
    "mappo": {r"critic.*head\.(weight|bias)": blocks(-1)},  # a value for each agent
    "mappo-long": {r"critic.*head\.(weight|bias)": blocks(-1)},
    "maven": {
        **MIXER,
        r"discriminator\.layers\.0\.weight": blocks(0, S),  # reads the state, then everyone's policy
        r"chooser.*layers\.0\.weight": blocks(0),  # reads everyone's view
    },
}
ROLES = {"alita", "alita-td3", "alita-recurrent", "alita-qmix"}  # the first agent's part is another than the others'
DRAWS = {"coma", "lica"}  # draw in `update` what agents would do after a truncated end, with one number for each place
NOT_LEARNED = r"opt_state|target|replay|first_critic"  # what of a state is no parameter that every update moves
STANDS = {"tac": "log_alpha"}  # what of a state no update of this learner moves


def source_of(name: str) -> Any:
    return find_algorithm(VARIANTS[name][0] if name in VARIANTS else name)


def small(name: str, other: bool = False) -> Any:
    """Settings of an algorithm; other: with one network for all agents where by default each has its own, or back."""
    source = source_of(name)
    known = {f.name: f for f in dataclasses.fields(source.thing.Config)}
    values = {**SIZES, **{field: 0.01 for field in known if field.endswith("learning_rate")}, **OWN.get(name, {})}
    if other:
        values |= {f: "separate" if known[f].default == "shared" else "shared" for f in SHARING if f in known}
    return settings_of(source, None, "preset", {k: v for k, v in values.items() if k in known})


def exchanged_state(name: str, state: Any) -> Any:
    """The state with agents exchanged: on the first axis where that is N, and as `ORDERED` says."""

    def exchange(path, x):
        rules = {**REPLAY, **ORDERED.get(name, {})}.items()
        rules = [rule for pattern, rule in rules if re.search(pattern, name_of(path))]
        return rules[0](x) if rules else exchanged(x, 0)

    return jax.tree_util.tree_map_with_path(exchange, state)


def name_of(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def exchanged(tree: Any, axis: int) -> Any:
    """What is played, with agents exchanged: leaves [..., N, ...] with agents on `axis`, and leaves without."""
    return jax.tree.map(lambda x: x.take(ORDER, axis) if x.ndim > axis and x.shape[axis] == N else x, tree)


class Acts(NamedTuple):
    """Actions [K, B, N] of K steps, one after the other."""

    explored: Array
    greedy: Array
    single: Array  # greedy, each game apart


@cache
def of(name: str, other: bool = False) -> SimpleNamespace:
    """An algorithm, small, on Noise: its programs, each compiled once, and what a first rollout gave."""
    env = Noise()
    algorithm: Algorithm = source_of(name).thing.make(small(name, other), env)

    @jax.jit
    def start(key):
        state = algorithm.init(key)
        return Carry(state, rollout.start(key, env, algorithm.memory, GAMES), ())

    @jax.jit
    def acts(key, state, observations: Observation) -> Acts:
        """observations: leaves [K, B, ...]."""

        def run(act):
            def step(memory, xs):
                action, memory, _ = act(xs[0], memory, xs[1])
                return memory, action

            memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (games, *x.shape)), algorithm.memory)
            return lax.scan(step, memory, (keys, observations))[1]

        def single(key, memory, observation):
            act = lambda xs: algorithm.act(key, state, *xs, explore=False)  # noqa: E731
            return lax.map(act, (memory, observation))

        times, games = observations.view.shape[:2]
        keys = jax.random.split(key, times)
        play = lambda explore: run(lambda k, m, o: algorithm.act(k, state, m, o, explore=explore))  # noqa: E731
        return Acts(play(True), play(False), run(single))

    collect = jax.jit(lambda key, carry: rollout.collect(key, env, algorithm, carry.state, carry.play))
    update = jax.jit(algorithm.update)
    carry = start(KEY)
    play, steps = collect(KEY, carry)
    return SimpleNamespace(**locals())


@pytest.fixture(scope="module")
def one(request):
    yield of(*request.param) if isinstance(request.param, tuple) else of(request.param)
    of.cache_clear()
    limits.forget_programs()  # memory maps of all algorithms' programs are too many for one process


# By module, so that all tests of one algorithm come together and, of two workers, one compiles its programs.
everyone = pytest.mark.parametrize("one", EVERYONE, indirect=True, scope="module")
learners = pytest.mark.parametrize("one", LEARNERS, indirect=True, scope="module")
SAME = ("alita", "ddpg", "iddpg", "sqddpg", "td3", "iql", "qmix", "qtran", "mappo", "mappo-long")
# Of families another member of which is tested with separate agents for shared ones, or back; ddpg and iddpg are that.
OTHERS = [(name, True) for name in LEARNERS if name not in SAME and small(name, True) != small(name)]
NAMED = [*LEARNERS, *(f"{name}-other" for name, _ in OTHERS)]
families = pytest.mark.parametrize("one", FAMILIES, indirect=True, scope="module")
both = pytest.mark.parametrize("one", [*LEARNERS, *OTHERS], indirect=True, scope="module", ids=NAMED)

ALIKE = [name for name in NAMED if name not in ROLES]
pairs = [x for x in (*LEARNERS, *OTHERS) if x not in ROLES]
equals = pytest.mark.parametrize("one", pairs, indirect=True, scope="module", ids=ALIKE)


def observations(seed: int, times: int = 3, games: int = 16) -> Observation:
    key_view, key_state, key_available = jax.random.split(jax.random.key(seed), 3)
    normal = jax.random.normal
    available = masks(key_available, (times, games, N))
    return Observation(normal(key_view, (times, games, N, V)), normal(key_state, (times, games, S)), available)


def close(a, b, tolerance=1e-4):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def scaled(state, by: float):
    """Larger parameters: unavailable actions would be chosen with certainty, if they could be."""
    return jax.tree.map(lambda x: by * x if jnp.issubdtype(x.dtype, jnp.floating) else x, state)


@everyone
def test_no_action_depends_on_the_state(one):
    seen = observations(1)
    other = seen._replace(state=100.0 - seen.state)
    for by in (1.0, 30.0):
        same(one.acts(KEY, scaled(one.carry.state, by), seen), one.acts(KEY, scaled(one.carry.state, by), other))


@everyone
def test_unavailable_actions_are_never_taken(one):
    for seed in range(20):
        seen = observations(seed)
        actions = one.acts(jax.random.fold_in(KEY, seed), scaled(one.carry.state, (-30.0, 1.0, 30.0)[seed % 3]), seen)
        for action in actions:
            assert jnp.take_along_axis(seen.available, action[..., None], -1).all()
    assert jnp.take_along_axis(one.steps.observation.available, one.steps.action[..., None], -1).all()


@learners
def test_games_do_not_meet(one):
    actions = one.acts(KEY, scaled(one.carry.state, 3.0), observations(2))
    same(actions.greedy, actions.single)


@both
def test_exchanged_agents_act_exchanged(one):
    seen = observations(3)
    state = scaled(one.carry.state, 3.0)
    exchange = partial(exchanged, axis=2)
    assert (one.acts(KEY, state, seen).greedy != exchange(one.acts(KEY, state, seen).greedy)).any()
    seen_exchanged = seen._replace(view=exchange(seen.view), available=exchange(seen.available))
    actions = one.acts(KEY, exchanged_state(one.name, state), seen_exchanged)
    same(actions.greedy, exchange(one.acts(KEY, state, seen).greedy))


@pytest.mark.parametrize(
    "one",
    [x for x in (*LEARNERS, *OTHERS) if x not in ROLES],
    indirect=True,
    scope="module",
    ids=[x for x in NAMED if x not in ROLES],
)
def test_exchanged_agents_learn_exchanged(one):
    steps = one.steps
    if one.name in ROLES:
        pytest.skip("the first agent is no agent like the others")
    if one.name in DRAWS:
        steps = steps._replace(terminated=steps.ended, truncated=jnp.zeros_like(steps.truncated))
    state, metrics = one.update(KEY, one.carry.state, steps)
    state_exchanged, metrics_exchanged = one.update(
        KEY, exchanged_state(one.name, one.carry.state), exchanged(steps, 2)
    )
    close(state_exchanged, exchanged_state(one.name, state))
    close(metrics_exchanged, metrics)


@learners
def test_an_update_learns_and_keeps_the_shape_of_the_state(one):
    state, metrics = one.update(KEY, one.carry.state, one.steps)
    kind = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)  # noqa: E731
    assert jax.tree.structure(state) == jax.tree.structure(one.carry.state)
    assert kind(state) == kind(one.carry.state)
    for (path, x), y in zip(jax.tree.leaves_with_path(state), jax.tree.leaves(one.carry.state), strict=True):
        still = "|".join([NOT_LEARNED, *([STANDS[one.name]] if one.name in STANDS else [])])
        if jnp.issubdtype(x.dtype, jnp.floating) and not re.search(still, name_of(path)):
            assert (x != y).any(), name_of(path)
    assert metrics
    assert all(x.shape == () and np.isfinite(x) for x in metrics.values())


@families
def test_jit_vmap_and_plain_calls_agree(one):
    others = one.start(jax.random.fold_in(KEY, 1))
    runs = [(carry.state, one.collect(KEY, carry)[1]) for carry in (one.carry, others)]
    stack = lambda *xs: jnp.stack(xs)  # noqa: E731
    keys = jax.random.split(KEY)
    together = jax.jit(jax.vmap(one.algorithm.update))(keys, *jax.tree.map(stack, *runs))
    apart = [one.update(key, *run) for key, run in zip(keys, runs, strict=True)]
    close(together, jax.tree.map(stack, *apart))
    close(one.algorithm.update(keys[0], *runs[0]), apart[0])


@learners
def test_seeds_can_be_a_batch(one):
    batch = lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype)  # noqa: E731
    given = jax.tree.map(batch, (KEY, one.carry.state, one.steps))
    state, _ = jax.eval_shape(jax.vmap(one.update), *given)  # of what is traced already
    assert state == given[1]


@learners
def test_resumed_is_unbroken(one, tmp_path):
    """What a checkpoint holds is all that training goes on from, replay included: bit for bit."""

    def train(carry, iterations):
        for i in iterations:
            play, steps = one.collect(jax.random.fold_in(KEY, 2 * i), carry)
            carry = Carry(one.update(jax.random.fold_in(KEY, 2 * i + 1), carry.state, steps)[0], play, ())
        return carry

    unbroken = train(one.carry, range(4))
    file = tmp_path / "checkpoint.npz"
    checkpoint.save(file, train(one.carry, range(2)), {})
    resumed, _ = checkpoint.load(file, jax.eval_shape(one.start, KEY))
    plain = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    same(jax.tree.map(plain, train(resumed, range(2, 4))), jax.tree.map(plain, unbroken))
    kept = [int(x) for path, x in jax.tree.leaves_with_path(resumed.state) if name_of(path).endswith("replay.filled")]
    assert kept in ([], [2 * GAMES], [2 * GAMES * LENGTH])  # episodes, or single steps


@cache
def iteration(name: str, settings: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Shapes of (state, state and metrics after a rollout and an update)."""
    algorithm = source_of(name).thing.make(settings, Noise())

    def iterate(key):
        state = algorithm.init(key)
        play = rollout.start(key, Noise(), algorithm.memory, 32)
        _, steps = rollout.collect(key, Noise(), algorithm, state, play)
        return state, *algorithm.update(key, state, steps)

    return jax.eval_shape(iterate, KEY)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_every_preset_can_be_traced(name, preset):
    settings = settings_of(find_algorithm(name), preset, "preset")
    find_algorithm(name).thing.make(settings, Noise())
    # Numbers change no program, except that what has the weight 0 may be left out.
    alike = with_floats(settings, {k: float(x != 0.0) for k, x in floats(settings).items()})
    before, after, metrics = iteration(name, alike)
    assert before == after
    assert all(x.shape == () for x in metrics.values())
