"""Settings of value decomposition: of IQL, VDN, QMIX, QTRAN and MAVEN, and the presets that they share.

docs/algorithms/vdn.md says what each of them means, and why the defaults are what they are.
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
    core: Core = "gru"  # what an agent remembers by
    hidden: Positive[int] = 64  # width of the memory; paper 64, code 128
    encoder_width: NotNegative[int] = 0  # of the layer before it; 0: as wide as the memory. Code 64
    activation: Activation = "relu"  # paper ReLU, code GELU
    gamma: Fraction = 0.99  # per step
    credit: Reward = "mean"  # whose reward is predicted: own (code), or the team's mean or sum
    agents_loss: Literal["mean", "sum"] = "mean"  # of the errors of one step, over agents; code sum
    td_lambda: Fraction = 0.0  # of the targets; paper 1, code 0. Above 0 they lean to what the exploring policy earns
    double: bool = True  # next actions by the present network, their values by the target (van Hasselt et al. 2016)
    optimizer: Optimizer = "adam"  # paper Adam, code RMSprop
    learning_rate: Positive[float] = 1e-3  # paper 1e-2, code 0.1
    last_learning_rate: Positive[float] = 1e-3  # paper 1e-6
    learning_rate_steps: Positive[float] = 10_000.0  # optimizer steps from the one to the other, linearly
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-8  # added to the optimizer's root; paper, code 1e-5: slow, for TD gradients are small
    clip: Positive[float] = 10.0  # gradient norm, of all parameters together
    target_period: Positive[int] = 1  # optimizer steps between two moves of the target; paper: each episode, code 200
    tau: Fraction = 0.01  # how far the target moves towards the present parameters; 1 copies them, code 0.05
    target_moves: Literal["after", "before", "late"] = "after"
    # after: behind every `target_period`th optimizer step. before: ahead of the first step and of every so many (code).
    # late: one step later than "after" (code of MAVEN)
    capacity: Positive[int] = 5_000  # episodes in the replay; paper and code: 1,000 rollouts of 32
    batch: Positive[int] = 32  # episodes per update; paper and code: 32 rollouts of 32
    batch_of: Literal["episodes", "rollouts"] = "episodes"  # what is drawn one by one; rollouts stay together
    replacement: bool = True  # what is drawn may be drawn again for the same update; code of MAVEN: no
    updates: Positive[int] = 4  # per rollout; paper not stated, code 5
    warmup: Positive[int] = 32  # episodes in the replay before the first update
    explore_start: Fraction = 1.0  # epsilon of the epsilon-greedy policy at the start
    explore_end: Fraction = 0.05  # and from explore_steps on
    explore_steps: Positive[float] = 50_000.0  # steps of a batch; one rollout advances by T. Paper and code 3e6
    explore_shape: Literal["line", "floored"] = "line"  # floored (code): falls by explore_start, stops at explore_end
    explore_together: bool = False  # code: one draw for all agents and games, and a random step leaves memory as it is
    entropy_bonus: float = 0.0  # c in r + c H(softmax Q), mean over agents; the code has 0.03 but stops there
    # What the released code also does, each a slip of its own (`released/mixers.py`):
    ends_teach: bool = True  # False: the last step of an episode, which carries the collective reward, is left out
    padding: Literal["masked", "released"] = "masked"  # released: empty steps behind an early end are learned from
    misread: bool = False  # True: values lie in another order than actions, rewards, states; of QTRAN memories, too
    unavailable: Literal["never", "released"] = "never"  # released: worth 1e-10 to the greedy player, so not never
    views_mixed: bool = False  # True: agents play by the views of other games and agents
    replay_restarts: bool = False  # True: a full replay forgets everything, and learning waits for the warm-up

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class CentralConfig(Config):
    """Settings of members that read more than one agent sees, in training."""

    mixer_reads: Literal["state", "views"] = "state"  # paper and code: all views side by side
    mixer_input: Literal["standard", "raw"] = "standard"
    # standard: each input vector with mean 0 and deviation 1. Raw (paper, code): Manitokan's codes reach 10, and with
    # them Q_tot begins near 10 where returns are near 1. Images pass through convolutions instead, which scale them


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
PYMARL = {  # of the framework in which papers on battles compare learners: with 32 games one update per episode
    "agent_id": True,
    "last_action": True,
    "optimizer": "rmsprop",
    "learning_rate": 5e-4,
    "last_learning_rate": 5e-4,
    "epsilon": 1e-5,
    "target_period": 200,
    "tau": 1.0,
    "updates": 32,
    "explore_steps": 50_000 / 32,  # of the games together 50,000
}
CENTRAL = {"mixer_reads": "views", "mixer_input": "raw"}  # of paper and code
FAST = {  # most score for a CPU second in short team games where views tell what matters: VDN, QMIX on simple_spread
    "core": "none",  # nothing is hidden: no loop over time in learning
    "credit": "sum",  # the team's reward, as JaxMARL's learners have it
    "gamma": 0.9,  # what is good now is good in ten steps: targets settle sooner. JaxMARL's too
    "learning_rate": 2e-3,  # twice `sound`
    "explore_steps": 1_500.0,  # some sixty episodes of 25 steps: 32 games have seen enough by then
}
RANDOMISED = {**PAPER, "explore_steps": 3e7}  # figure 10: so much exploration that little is learned
PRESETS = {"sound": {}, "paper": PAPER, "released": RELEASED, "randomised": RANDOMISED, "pymarl": PYMARL}
