"""Steps that can be resumed: a list of commands of which each runs once, and goes on where it was interrupted."""
