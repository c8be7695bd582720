"""Many runs as one study: the plan as data, workers that claim rows, and launchers that start workers."""
