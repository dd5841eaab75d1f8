"""The way to a Kubernetes API server: requests over aiohttp, objects as plain dicts.

The only package that knows the `kubernetes` library, and of it only the reading of credentials: models cost
several times the CPU and drop fields that they do not know.
"""

from interlink.kubelet.kube.client import Kube
from interlink.kubelet.kube.errors import ApiError

__all__ = ["ApiError", "Kube"]
