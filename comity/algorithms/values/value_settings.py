"""Settings of value decomposition, for DQN, IQL, VDN, QMIX, QTRAN and MAVEN, and the presets that they share.

docs/algorithms/vdn.md explains every setting and the reasons for the defaults.
"""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import actors
from comity.learning import Optimizer, Reward
from comity.networks import Activation, Core
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Config(actors.Products, actors.Reads):
    """Settings of every member. Paper: its tables 6-8; code: the authors' implementation."""

    agents: Literal["shared", "separate"] = "shared"  # one network for all agents, or one for each
    core: Core = "gru"  # memory of an agent
    hidden: Positive[int] = 64  # width of the memory; paper 64, code 128
    encoder_width: NotNegative[int] = 0  # width of the layer before the memory; 0: `hidden`. Code 64
    activation: Activation = "relu"  # paper ReLU, code GELU
    gamma: Fraction = 0.99  # discount per step
    credit: Reward = "mean"  # the reward that is predicted: own (code), or the team's mean or sum
    agents_loss: Literal["mean", "sum"] = "mean"  # over the agents' errors in one step; code sum
    td_lambda: Fraction = 0.0  # lambda of the targets; paper 1, code 0. Above 0 they depend on the exploring policy
    double: bool = True  # the present network chooses next actions, the target values them (van Hasselt et al. 2016)
    optimizer: Optimizer = "adam"  # paper Adam, code RMSprop
    learning_rate: Positive[float] = 1e-3  # paper 1e-2, code 0.1
    last_learning_rate: Positive[float] = 1e-3  # paper 1e-6
    learning_rate_steps: Positive[float] = 10_000.0  # optimizer steps in which the rate changes linearly to the last
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-8  # is added to the optimizer's root; paper, code 1e-5, slow as gradients are small
    clip: Positive[float] = 10.0  # largest gradient norm, of all parameters together
    target_period: Positive[int] = 1  # optimizer steps between two moves of the target; paper: each episode, code 200
    tau: Fraction = 0.01  # share of a move of the target towards the present parameters; 1 copies them; code 0.05
    target_moves: Literal["after", "before", "late"] = "after"
    # after: after every `target_period`th optimizer step; before (code): before the first step, and then as often;
    # late (code of MAVEN): one step later than "after"
    capacity: Positive[int] = 5_000  # episodes in the replay; paper and code: 1,000 rollouts of 32
    batch: Positive[int] = 32  # episodes per update; paper and code: 32 rollouts of 32
    batch_of: Literal["episodes", "rollouts"] = "episodes"  # rollouts: the episodes of a rollout are drawn together
    replacement: bool = True  # an update may draw an episode twice; code of MAVEN, and on battles: no
    updates: Positive[int] = 4  # optimizer steps per rollout; paper not stated, code 5
    warmup: Positive[int] = 32  # episodes in the replay before the first update
    explore_start: Fraction = 1.0  # epsilon of the epsilon-greedy policy at the start
    explore_end: Fraction = 0.05  # epsilon from explore_steps on
    explore_steps: Positive[float] = 50_000.0  # steps of a batch; one rollout advances by T. Paper and code 3e6
    explore_shape: Literal["line", "floored"] = "line"  # floored (code): falls by explore_start, stops at explore_end
    explore_together: bool = False  # code: one draw for all agents and games; a random step does not change memories
    entropy_bonus: float = 0.0  # c in r + c H(softmax Q), mean over agents; the code's 0.03 fails with an error
    # Defects of the released code, one setting for each (`released/mixers.py`):
    ends_teach: bool = True  # False: the last step of an episode, which has the collective reward, is not learned from
    padding: Literal["masked", "released"] = "masked"  # released: empty steps after an early end are learned from
    misread: bool = False  # True: values, and QTRAN's memories, are in another order than actions, rewards and states
    unavailable: Literal["never", "released"] = "never"  # released: their value is 1e-10, so they can be greedy
    views_mixed: bool = False  # True: in play agents read the views of other games and agents
    replay_restarts: bool = False  # True: a full replay becomes empty, and learning waits for the warm-up

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class CentralConfig(Config):
    """Settings of members whose mixer reads the state or all views, in training."""

    mixer_reads: Literal["state", "views"] = "state"  # paper and code: all views side by side
    mixer_input: Literal["standard", "raw"] = "standard"
    # standard: each input vector is normalised to mean 0 and deviation 1. Raw (paper, code): with Manitokan's codes of
    # up to 10, Q_tot begins near 10, although returns are near 1. Images pass through convolutions, which scale them


PAPER = {
    "credit": "sum",
    "td_lambda": 1.0,
    "double": False,
    "epsilon": 1e-5,
    "learning_rate": 1e-2,
    "last_learning_rate": 1e-6,
    "tau": 1.0,
    "capacity": 32_000,
    "batch": 1_024,
    "batch_of": "rollouts",
    "updates": 1,
    "warmup": 1_024,
    "explore_steps": 3e6,
}
RELEASED = {
    "hidden": 128,
    "encoder_width": 64,
    "activation": "gelu",
    "credit": "own",
    "agents_loss": "sum",
    "double": False,
    "optimizer": "rmsprop",
    "learning_rate": 0.1,
    "last_learning_rate": 0.1,
    "epsilon": 1e-5,
    "target_period": 200,
    "target_moves": "before",
    "tau": 0.05,
    "capacity": 32_000,
    "batch": 1_024,
    "batch_of": "rollouts",
    "updates": 5,
    "warmup": 1_024,
    "explore_steps": 3e6,
    "explore_shape": "floored",
    "explore_together": True,
    "ends_teach": False,
    "padding": "released",
    "misread": True,
    "unavailable": "released",
    "replay_restarts": True,
    "views_mixed": True,
}
PYMARL = {  # the framework in which papers on battles compare learners; with 32 games, one update per episode
    "agent_id": True,
    "last_action": True,
    "optimizer": "rmsprop",
    "learning_rate": 5e-4,
    "last_learning_rate": 5e-4,
    "epsilon": 1e-5,
    "target_period": 200,
    "tau": 1.0,
    "updates": 32,
    "replacement": False,
    "explore_steps": 50_000 / 32,  # 50,000 steps of all games together
}
CENTRAL = {"mixer_reads": "views", "mixer_input": "raw"}  # paper and code
FAST = {  # best score per CPU second in short team games if views show what matters: VDN, QMIX on simple_spread
    "core": "none",  # nothing is hidden, so learning needs no loop over time
    "credit": "sum",  # the team's reward, as in JaxMARL's learners
    "gamma": 0.9,  # ten steps ahead are enough, and targets converge sooner. JaxMARL has it, too
    "learning_rate": 2e-3,  # twice `sound`
    "explore_steps": 1_500.0,  # about sixty episodes of 25 steps, in which 32 games explore enough
}
RANDOMISED = {**PAPER, "explore_steps": 3e7}  # figure 10: so much exploration that little is learned
PRESETS = {"sound": {}, "paper": PAPER, "released": RELEASED, "randomised": RANDOMISED, "pymarl": PYMARL}
