"""Q-learning of teams from replayed episodes: value decomposition."""
