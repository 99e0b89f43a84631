"""The status of a release: its tracks, their health, and the drift."""
