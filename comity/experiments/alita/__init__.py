"""Figures of ALITA, "Influence-based reinforcement learning for intrinsically-motivated agents" (2021)."""
