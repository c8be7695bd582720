"""Discs that move in a plane: the world they share, and the tasks in it."""
