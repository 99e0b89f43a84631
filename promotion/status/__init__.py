"""The status of a release: what runs, how well, and where Git, file, state and cluster disagree."""
