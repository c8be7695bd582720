"""Social dilemmas on grids: if each agent does what is best for itself, all of them are worse off."""
