"""Many runs as one study: what is trained as data, workers that claim rows, and what starts workers."""
