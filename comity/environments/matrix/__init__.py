"""Two players, one table of points: matrix games of one step and of many."""
