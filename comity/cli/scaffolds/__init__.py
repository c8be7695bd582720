"""Files that `comity new` begins from: whole modules, whose names it replaces."""
