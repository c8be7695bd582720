"""Games on a grid of cells, and the geometry they share."""
