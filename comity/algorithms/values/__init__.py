"""Q-learning of teams: value decomposition from replayed episodes, and PQN from fresh play."""
