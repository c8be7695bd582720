"""Figures of RUSP, "Emergent reciprocity and team formation from randomized uncertain social preferences" (2020)."""
