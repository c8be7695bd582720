"""The PPO family: clipped surrogate objectives, learned in several epochs of minibatches."""
