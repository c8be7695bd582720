"""Equinox modules whose only leaves are arrays, on inputs of any leading axes."""

from comity.networks.agents import per_agent, shared, stacked
from comity.networks.attention import Attention, AttentionLayer, Slots
from comity.networks.context import Context, ContextNet, fresh_context
from comity.networks.deep import DeepRecurrentNet
from comity.networks.dense import ACTIVATIONS, MLP, Activation, LayerNorm, Linear
from comity.networks.hawk import HawkNet, fresh_trace
from comity.networks.mixers import MonotoneMixer
from comity.networks.recurrent import GRU, RecurrentNet

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "MLP",
    "Activation",
    "Attention",
    "AttentionLayer",
    "Context",
    "ContextNet",
    "DeepRecurrentNet",
    "HawkNet",
    "LayerNorm",
    "Linear",
    "MonotoneMixer",
    "RecurrentNet",
    "Slots",
    "fresh_context",
    "fresh_trace",
    "per_agent",
    "shared",
    "stacked",
]
