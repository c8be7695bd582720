"""Settings and presets of SAF."""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import actors
from comity.learning import Reward
from comity.networks import Activation
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Settings(actors.Settings):
    """Settings of SAF. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    steps: NotNegative[int] = 0  # T of a rollout; 0: the game's length
    epochs: Positive[int] = 4  # passes over a rollout; paper 15, code 10
    minibatches: Positive[int] = 5  # most minibatches per epoch; the number divides the steps. Paper 5, code 1
    learning_rate: Positive[float] = 5e-4  # Adam's learning rate; paper and code 3e-4
    last_learning_rate: NotNegative[float] = 5e-4  # code 0
    learning_rate_steps: Positive[float] = 100_000.0  # optimizer steps in which the rate changes linearly to the last
    epsilon: Positive[float] = 1e-5  # Adam's epsilon, added to the root
    gradient_clip: Positive[float] = 9.0  # largest gradient norm, of all parameters together
    clip: Positive[float] = 0.2  # clip range of the ratio
    value_clip: Positive[float] = 0.2  # clip range of the change of a value, reward units
    value_coefficient: NotNegative[float] = 1.0  # weight of the critic's loss, a square or Huber's with the factor 1/2
    huber: Positive[float] = 10.0  # error at which the critic's loss turns from a square into a line; code never
    entropy_coefficient: NotNegative[float] = 0.01  # weight of the entropy in the loss
    kl_coefficient: NotNegative[float] = 0.01  # weight of the latents' KL in the loss; paper, code 1, as far as stated
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.95  # lambda of the advantages; paper and code 1: discounted returns
    credit: Reward = "own"  # the reward that an agent learns from: own, or the team's mean or sum
    policies: Positive[int] = 4  # number of policies in the pool
    policy_hidden: tuple[Positive[int], ...] = (64,)  # hidden widths of a policy; paper and code 128, 128
    policies_read: Literal["exchanged", "own"] = "exchanged"  # own: messages reach the critic only
    critic_hidden: tuple[Positive[int], ...] = (64,)  # hidden widths of the critic; paper and code 128, 128
    encoder: tuple[Positive[int], ...] = (64,)  # hidden widths of the encoder; paper 256, code 32, 64, 512, see docs
    width: Positive[int] = 64  # width of encodings, messages and slots
    slots: Positive[int] = 4  # number of slots of the shared memory
    blocks: Positive[int] = 1  # how many times the slots' layers are applied; paper and code 2
    layers: Positive[int] = 1  # layers of attention among the slots; paper and code 2
    latent: Positive[int] = 8  # size of an agent's latent
    projector_hidden: tuple[Positive[int], ...] = ()
    # hidden widths, with tanh, of message, query, question and join; paper and code 128, 128
    latent_hidden: tuple[Positive[int], ...] = ()  # hidden widths, with tanh, of the latent's network, which then reads
    # the own and the exchanged encoding; paper and code 64, 64
    prior_hidden: tuple[Positive[int], ...] = ()  # hidden widths, with tanh, of the prior; paper and code 64, 64
    encoding: Literal["tanh", "linear"] = "tanh"  # activation after the encoder's last layer; code linear
    critic_encoding: Literal["own", "first"] = "own"  # first (code): the critic reads agent 0's encoding for all agents
    choice: Literal["scores", "probabilities"] = "scores"
    # the Gumbel noise is added to the scores of policies, or (code) to their softmax
    latent_scale: Literal["softplus", "raw"] = "softplus"  # raw (code): outputs are scales, of either sign
    activation: Activation = "tanh"  # activation of policies and critic
    mask: Literal["always", "learning"] = "always"  # learning (code): unavailable actions can be played
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
    "learning_rate_steps": 3e9,  # so many that the rate is nearly constant
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
