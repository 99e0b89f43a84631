"""Steps of continuous integration as commands: each runs on a laptop as it runs in a workflow."""
