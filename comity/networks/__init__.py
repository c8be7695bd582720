"""Equinox modules whose only leaves are arrays. Their inputs may have any leading axes."""

from comity.networks.agents import per_agent, shared, stacked
from comity.networks.attention import Attention, AttentionLayer, Slots
from comity.networks.context import Context, ContextNet, fresh_context
from comity.networks.cores import Core, fresh_core
from comity.networks.deep import DeepRecurrentNet
from comity.networks.dense import ACTIVATIONS, MLP, Activation, LayerNorm, Linear, NormedMLP, Start, Twins
from comity.networks.encoders import Convolutions, Eyes, encoded_size, encoder
from comity.networks.entities import EntityNet, EntityView
from comity.networks.gru import GRU
from comity.networks.hawk import HawkNet, fresh_trace
from comity.networks.joint import JointNet, Part, joint_net, numbers
from comity.networks.latent import LatentNet
from comity.networks.lstm import LSTM, LSTMState, fresh_lstm
from comity.networks.mixers import FlatCritic, MixingCritic, MonotoneMixer, matched_width
from comity.networks.recurrent import RecurrentNet
from comity.networks.teams import Remembered, Sharing, Sight, Team

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
    "Convolutions",
    "Core",
    "DeepRecurrentNet",
    "EntityNet",
    "EntityView",
    "Eyes",
    "FlatCritic",
    "HawkNet",
    "JointNet",
    "LSTMState",
    "LatentNet",
    "LayerNorm",
    "Linear",
    "MixingCritic",
    "MonotoneMixer",
    "NormedMLP",
    "Part",
    "RecurrentNet",
    "Remembered",
    "Sharing",
    "Sight",
    "Slots",
    "Start",
    "Team",
    "Twins",
    "encoded_size",
    "encoder",
    "fresh_context",
    "fresh_core",
    "fresh_lstm",
    "fresh_trace",
    "joint_net",
    "matched_width",
    "numbers",
    "per_agent",
    "shared",
    "stacked",
]
