"""Matrix games of one step and of many steps: a table gives the points of a joint action."""
