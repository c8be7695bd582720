"""Social dilemmas on grids: what is best for each is worst for all."""
