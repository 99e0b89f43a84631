"""A real Kubernetes, registry and Docker Engine on one Linux machine, removed completely by `down`."""
