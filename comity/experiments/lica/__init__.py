"""Figures of LICA, "Learning implicit credit assignment for cooperative multi-agent reinforcement learning" (2020)."""
