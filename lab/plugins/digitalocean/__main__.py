"""Entry of the simulated provider plugin, started by the engine."""

from lab.plugins.digitalocean.cloud import DigitalOcean
from lab.plugins.serving import serve

if __name__ == "__main__":
    serve(DigitalOcean)
