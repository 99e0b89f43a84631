"""DigitalOcean, simulated: the resource types that `components/digitalocean` declares."""
