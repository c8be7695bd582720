"""Wrappers: a game in, a game out."""
