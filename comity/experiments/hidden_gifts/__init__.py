"""Figures of "The challenge of hidden gifts in multi-agent reinforcement learning" (arXiv 2505.20579)."""
