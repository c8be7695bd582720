"""Clipped surrogates over minibatches: the PPO family."""
