"""Entry of the simulated provider plugin, started by the engine."""

from lab.plugins.gcp.cloud import GoogleCloud
from lab.plugins.serving import serve

if __name__ == "__main__":
    serve(GoogleCloud)
