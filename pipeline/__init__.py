"""Steps of continuous integration as commands, the same on a laptop as in a workflow."""
