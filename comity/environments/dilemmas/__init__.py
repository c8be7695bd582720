"""Social dilemmas on grids: what is best for each is not what is best for all."""
