"""The cluster that a stack runs on, through the official Kubernetes client."""
