"""What each rule says of one action, held against what the action is worth: by replays, state by state."""
