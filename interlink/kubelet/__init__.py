"""The virtual kubelet: machines of an interLink server as nodes of a Kubernetes cluster."""
