"""Settings and presets that IPPO and MAPPO share. docs/algorithms/mappo.md."""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import actors, context
from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.policy_gradient import prediction
from comity.algorithms.released import ppo as released
from comity.learning import Reward
from comity.networks import Activation
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Config(released.Settings, prediction.Settings, context.Settings, actors.Products, actors.Settings, Views):
    """Settings of the family. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper: shared in MAPPO, separate in IPPO; code: separate
    actor_reads: Literal["view", "views"] = "view"  # views: all agents' views, and the own history (code, a variant)
    steps: NotNegative[int] = 0  # T of a rollout; 0: the game's length
    chunk: Positive[int] = 10  # most steps that a gradient goes back; rounded down to a divisor of T. Attention: T
    epochs: Positive[int] = 5  # passes over a rollout; paper and code 15
    minibatches: Positive[int] = 1  # most minibatches per epoch; the number divides the pieces. Paper 1, code 5
    learning_rate: Positive[float] = 5e-4  # learning rate of actors; paper and code 1e-5
    critic_learning_rate: Positive[float] = 5e-4  # not read with a shared trunk; paper and code 1e-5
    rate_steps: NotNegative[int] = 0  # optimizer steps in which both rates fall linearly to 0; 0: they stay
    epsilon: Positive[float] = 1e-5  # Adam's epsilon, added to the root (code)
    actor_clip: Positive[float] = 10.0  # largest gradient norm, per network; paper 10, code 10 (IPPO), 1 (MAPPO)
    critic_clip: Positive[float] = 10.0  # largest gradient norm, per network; paper 10, code 1
    clip: Positive[float] = 0.2  # clip range of the ratio, and of the change of a normalised value
    entropy_coefficient: NotNegative[float] = 0.01  # weight of the entropy in the loss; paper and code 1e-4
    entropy_bonus: float = 0.0  # c in r + c H(pi); the paper's max-entropy 1e-4, its code -1e-4 (a penalty)
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.95  # lambda of the advantages; paper 0.95, code 0.95 (IPPO), 1 (MAPPO)
    credit: Reward = "own"  # the reward that an agent learns from: own, or the team's mean or sum
    huber: Positive[float] = 10.0  # normalised error at which the critic's loss turns from a square into a line
    value_normalisation: bool = True  # critics learn returns normalised by their running mean and deviation
    value_decay: Fraction = 0.99999  # decay of the running mean and variance, per optimizer step
    encoder: tuple[Positive[int], ...] = (64,)  # widths of the layers before the GRU; paper 32, 64, 64; code: presets
    hidden: Positive[int] = 64  # width of the GRU; paper 64, code 64 (MAPPO), 128 (IPPO)
    layer_norm: bool = True  # a LayerNorm after the GRU
    skip_forced: bool = False  # True: steps in which an agent has a single action, as the dead in battles, do not count
    # for its actor: in the policy loss, the entropy and the normalisation of advantages
    trunk: Literal["apart", "shared"] = "apart"
    # shared: a value is one more output of the actor's network, with the actor's learning rate and clip; only if
    # critics read what actors read
    value_coefficient: Positive[float] = 1.0  # weight of the critic's loss with a shared trunk
    activation: Activation = "relu"  # paper ReLU, code ReLU (IPPO), GELU (MAPPO)
    view_scale: Positive[float] = 1.0  # inputs are multiplied by it; paper and code 1/255

    def __post_init__(self):
        check(self)
        context.check_heads(self)
        if self.steps and (self.core == "attention" or self.rollouts == "episodes"):
            why = "core attention" if self.core == "attention" else "rollouts 'episodes'"
            raise ValueError(f"steps {self.steps} with {why}, whose rollouts are whole episodes: set it to 0")


PAPER = {  # the settings that IPPO and MAPPO share in the paper's tables
    "epochs": 15,
    "learning_rate": 1e-5,
    "critic_learning_rate": 1e-5,
    "entropy_coefficient": 1e-4,
    "encoder": (32, 64, 64),  # a 3 x 3 kernel on the 3 x 3 window is a dense layer of 32 on its 27 numbers
    "view_scale": 1 / 255,
}
SMAC = {  # both on battles (Yu et al. 2022): one network for all agents, which reads the agent's number
    "actors": "shared",
    "agent_id": True,
    "skip_forced": True,
    "epochs": 15,  # the paper's scripts for 3m, 8m, 1c3s5z, 3s_vs_5z; other maps: docs/algorithms/mappo.md
}
RELEASED = {  # both in the authors' code
    "rollouts": "episodes",
    "padding_counts": True,
    "post_terminal": True,
    "moments": "minibatch",
    "first_deviation": 0.1,
    "least_log_prob": "-10",
    "critic_head": "uniform",
}
IMAGES = {  # social dilemmas seen as images, on a laptop: docs/tasks/harvest.md
    "actors": "shared",
    "agent_id": True,
    "steps": 50,
    "epochs": 3,
    "minibatches": 4,
    "learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
}
FAST = {  # best score per CPU second if views show what matters; docs/performance.md, "Seconds to a score"
    "core": "none",  # nothing is hidden for long, so learning needs no loop over time
    "actors": "shared",  # all agents' steps train one network
    "agent_id": True,  # the network reads the agent's number
    "steps": 32,  # short rollouts: 32 games give a thousand steps of each agent, enough for an update
    "chunk": 8,  # minibatches are drawn from these pieces; without a memory their length costs nothing
    "epochs": 4,  # with four minibatches: 16 optimizer steps per rollout
    "minibatches": 4,
    "learning_rate": 1e-3,  # twice `sound`: without a recurrent network a larger rate is stable
    "critic_learning_rate": 1e-3,  # the same
}
RANDOMISED = {"learning_rate": 1e-6, "critic_learning_rate": 1e-3}  # figure 10: the policy hardly changes
