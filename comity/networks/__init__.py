"""Equinox modules whose only leaves are arrays, on inputs of any leading axes."""

from comity.networks.agents import per_agent, shared, stacked
from comity.networks.dense import ACTIVATIONS, MLP, Activation, Linear
from comity.networks.recurrent import GRU, RecurrentNet

__all__ = ["ACTIVATIONS", "GRU", "MLP", "Activation", "Linear", "RecurrentNet", "per_agent", "shared", "stacked"]
