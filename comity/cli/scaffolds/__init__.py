"""Templates of `comity new`: whole modules in which it replaces the names."""
