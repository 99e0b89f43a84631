"""Stand-in for the provider plugin `docker` 5.2.0: the resource Image, built and pushed by a real Docker Engine."""
