"""Figures of papers as data: what is trained, on what, for how long, and what a figure claims.

A registry of papers: name -> (module, one line). Names only, so that listing imports nothing heavy.
"""

PAPERS: dict[str, tuple[str, str]] = {
    "hidden-gifts": (
        "comity.experiments.hidden_gifts",
        "The challenge of hidden gifts in multi-agent RL (Malenfant 2025)",
    ),
}
