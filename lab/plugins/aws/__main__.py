"""Entry of the simulated provider plugin, started by the engine."""

from lab.plugins.aws.cloud import Aws
from lab.plugins.serving import serve

if __name__ == "__main__":
    serve(Aws)
