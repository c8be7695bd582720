"""Manitokan, the game of hidden gifts: `game.py` holds its options, each other file one part of its rules."""
