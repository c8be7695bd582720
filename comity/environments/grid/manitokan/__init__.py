"""Manitokan, the game of hidden gifts: `game.py` holds its settings, each other file a part of its rules."""
