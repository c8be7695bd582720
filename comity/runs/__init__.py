"""Run directories as data, which may come from a stranger. Nothing here imports jax."""
