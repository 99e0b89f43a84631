"""Test support: a real PostgreSQL, the service as a process, certificates."""
