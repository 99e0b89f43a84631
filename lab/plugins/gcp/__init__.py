"""Google Cloud, simulated: the resource types that `components/gcp` declares."""
