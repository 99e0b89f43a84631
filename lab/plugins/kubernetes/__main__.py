"""What `pulumi-resource-kubernetes` runs."""

from lab.plugins.kubernetes.provider import KubernetesProvider
from lab.plugins.serving import serve

if __name__ == "__main__":
    serve(KubernetesProvider)
