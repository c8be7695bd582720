"""Bodies that numbers move: small problems of control, compiled with the learner."""
