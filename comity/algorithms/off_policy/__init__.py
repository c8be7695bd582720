"""Actors climbed through critics, from a replay of steps: the family of DDPG."""
