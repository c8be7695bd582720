"""Grids on which nothing is earned until two agents have done the right thing together for a long time."""
