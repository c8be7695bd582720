"""Learners that shape the learning of other players: COALA-PG, M-FOS, LOLA."""
