"""Teachers of relative depth, and their alignment to metres."""
