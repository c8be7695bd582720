"""Settings of SAF, and its presets."""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import actors
from comity.learning import Reward
from comity.networks import Activation
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Settings(actors.Settings):
    """Settings of SAF. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    steps: NotNegative[int] = 0  # T of a rollout; 0: `Spec.length`
    epochs: Positive[int] = 4  # passes over a rollout; paper 15, code 10
    minibatches: Positive[int] = 5  # per epoch, at most: the largest divisor of the steps of a rollout; paper 5, code 1
    learning_rate: Positive[float] = 5e-4  # Adam's; paper and code 3e-4
    last_learning_rate: NotNegative[float] = 5e-4  # code 0
    learning_rate_steps: Positive[float] = 100_000.0  # optimizer steps from the one to the other, linearly
    epsilon: Positive[float] = 1e-5  # Adam's, added to the root
    gradient_clip: Positive[float] = 9.0  # gradient norm, of all parameters together
    clip: Positive[float] = 0.2  # of the ratio
    value_clip: Positive[float] = 0.2  # of what a value moves, reward units
    value_coefficient: NotNegative[float] = 1.0  # of the critic's loss, a square or Huber's with the factor 1/2
    huber: Positive[float] = 10.0  # reward units: where the critic's loss turns from a square into a line; code never
    entropy_coefficient: NotNegative[float] = 0.01  # of H in the loss
    kl_coefficient: NotNegative[float] = 0.01  # of the latents' KL in the loss; paper and code 1, as far as stated
    gamma: Fraction = 0.99  # per step
    lambda_: Fraction = 0.95  # of the advantages; paper and code 1: discounted returns
    credit: Reward = "own"  # whose reward an agent learns from
    policies: Positive[int] = 4  # in the pool
    policy_hidden: tuple[Positive[int], ...] = (64,)  # widths inside a policy; paper and code 128, 128
    policies_read: Literal["exchanged", "own"] = "exchanged"  # own: messages reach the critic only
    critic_hidden: tuple[Positive[int], ...] = (64,)  # widths inside the critic; paper and code 128, 128
    encoder: tuple[Positive[int], ...] = (64,)  # widths inside the encoder; paper 256, code 32, 64, 512, see docs
    width: Positive[int] = 64  # of encodings, messages and slots
    slots: Positive[int] = 4  # of the shared memory
    blocks: Positive[int] = 1  # how often the slots' layers are run through; paper and code 2
    layers: Positive[int] = 1  # of attention among the slots; paper and code 2
    latent: Positive[int] = 8  # numbers of an agent's latent
    projector_hidden: tuple[Positive[int], ...] = ()  # tanh, before message, query, question, joining; both 128, 128
    latent_hidden: tuple[Positive[int], ...] = ()  # tanh, before the latent, which then reads own and exchanged
    # paper and code 64, 64
    prior_hidden: tuple[Positive[int], ...] = ()  # tanh, before the prior; paper and code 64, 64
    encoding: Literal["tanh", "linear"] = "tanh"  # after the encoder's last layer; code linear
    critic_encoding: Literal["own", "first"] = "own"  # first: of agent 0, for all agents (code)
    choice: Literal["scores", "probabilities"] = "scores"  # what the Gumbel noise is added to; code: softmaxed scores
    latent_scale: Literal["softplus", "raw"] = "softplus"  # raw: outputs as they are, of either sign (code)
    activation: Activation = "tanh"  # of policies and critic
    mask: Literal["always", "learning"] = "always"  # learning: unavailable actions can be played (code)
    view_scale: Positive[float] = 1.0  # vectors are multiplied by it; encoders scale images

    def __post_init__(self):
        check(self)


PAPER = {
    "epochs": 15,
    "learning_rate": 3e-4,
    "last_learning_rate": 3e-4,
    "lambda_": 1.0,
    "kl_coefficient": 1.0,
    "policy_hidden": (128, 128),
    "critic_hidden": (128, 128),
    "encoder": (256,),  # 64 channels, kernel 2, on a 3 x 3 window: 64 x 2 x 2 numbers
    "blocks": 2,
    "layers": 2,
    "projector_hidden": (128, 128),
    "latent_hidden": (64, 64),
    "prior_hidden": (64, 64),
}
RELEASED = {
    **PAPER,
    "epochs": 10,
    "minibatches": 1,
    "last_learning_rate": 0.0,
    "learning_rate_steps": 3e9,  # so in practice constant
    "huber": 1e6,
    "encoder": (32, 64, 512),  # a 3 x 3 kernel on the 3 x 3 window is a dense layer of 32, a 1 x 1 kernel one of 64
    "mask": "learning",
    "policies_read": "own",
    "encoding": "linear",
    "critic_encoding": "first",
    "choice": "probabilities",
    "latent_scale": "raw",
    "kl_coefficient": 1 / 128,  # the code divides the sum over latents by rows x agents x 128
    "value_coefficient": 0.5,  # 0.5 x 0.5 x squared error; `value_loss` has one of the halves
    "view_scale": 1 / 255,
}
PRESETS = {"sound": {}, "paper": PAPER, "released": RELEASED}
