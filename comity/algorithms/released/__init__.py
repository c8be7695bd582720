"""Behaviours of the papers' released code that no text describes and no method needs, one function each.

Each is behind a setting that is off by default; the presets `released` turn them on. Tests compare them with numbers
recorded from that code (`tests/golden/README.md`).
"""
