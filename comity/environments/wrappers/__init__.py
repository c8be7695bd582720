"""Wrappers: each takes a game and returns a changed game."""
