"""Equinox modules whose only leaves are arrays, on inputs of any leading axes."""

from comity.networks.agents import per_agent, shared, stacked
from comity.networks.attention import Attention, AttentionLayer, Slots
from comity.networks.context import Context, ContextNet, fresh_context
from comity.networks.deep import DeepRecurrentNet
from comity.networks.dense import ACTIVATIONS, MLP, Activation, LayerNorm, Linear
from comity.networks.entities import EntityNet, Seen
from comity.networks.hawk import HawkNet, fresh_trace
from comity.networks.lstm import LSTM, Kept, fresh_kept
from comity.networks.mixers import FlatCritic, MixingCritic, MonotoneMixer, matched_width
from comity.networks.recurrent import GRU, RecurrentNet

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "LSTM",
    "MLP",
    "Activation",
    "Attention",
    "AttentionLayer",
    "Context",
    "ContextNet",
    "DeepRecurrentNet",
    "EntityNet",
    "FlatCritic",
    "HawkNet",
    "Kept",
    "LayerNorm",
    "Linear",
    "MixingCritic",
    "MonotoneMixer",
    "RecurrentNet",
    "Seen",
    "Slots",
    "fresh_context",
    "fresh_kept",
    "fresh_trace",
    "matched_width",
    "per_agent",
    "shared",
    "stacked",
]
