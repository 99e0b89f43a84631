"""The command line: each command's arguments become a frozen options object for its operation."""
