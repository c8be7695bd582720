"""What the authors' code of papers does that no text says and no method needs, one function each.

Every one stands behind a setting whose default is without it; presets `released` turn it on. Tests hold them against
numbers recorded from that code (`tests/golden/README.md`).
"""
