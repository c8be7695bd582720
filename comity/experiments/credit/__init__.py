"""Compares what each credit rule says of an action with what the action is worth, measured by replays of each state."""
