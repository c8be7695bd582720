"""Run directories as what they are to whoever opens one: somebody's data. Nothing here imports jax."""
