"""Games of discs that move in a plane, and the physics they share."""
