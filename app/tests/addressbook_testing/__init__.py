"""What the tests stand on: a real PostgreSQL, the service as a process, certificates."""
