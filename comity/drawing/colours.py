"""Colours of agents. This module does not need pillow: a game names its colours before anything is drawn."""

import colorsys

Colour = tuple[int, int, int]

AGENTS = ((178, 112, 240), (244, 204, 76), (247, 142, 66), (66, 208, 214))  # purple, yellow, orange, cyan
HOSTILE, PREY = (240, 84, 84), (240, 242, 247)  # adversaries and enemies; the prey of the particle world


def agent_colour(k: int) -> Colour:
    """Colour of agent k and its things: four colours that differ well, then more around the colour circle."""
    if k < len(AGENTS):
        return AGENTS[k]
    red, green, blue = colorsys.hsv_to_rgb((0.37 + 0.618 * (k - len(AGENTS))) % 1, 0.5, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def hexadecimal(colour: Colour) -> str:
    """Returns a colour as text, "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def agent_hex(k: int) -> str:
    """The colour of agent k, as text."""
    return hexadecimal(agent_colour(k))
