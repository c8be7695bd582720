"""Figures of COALA-PG, "Multi-agent cooperation through learning-aware policy gradients" (arXiv 2410.18636)."""
