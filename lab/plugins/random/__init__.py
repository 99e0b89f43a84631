"""Stand-in for the provider plugin `random` 4.21.4: passwords, ids and numbers from the system's random source."""
