"""Where a release stands: what runs, how well, and where the records disagree."""
