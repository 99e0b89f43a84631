"""Stand-in for the Pulumi Kubernetes provider plugin 4.34.2: real objects on a real API server, see README.md."""
