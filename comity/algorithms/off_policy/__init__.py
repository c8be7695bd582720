"""Actor-critics that learn from a replay, with gradients through critics of actions: the family of DDPG."""
