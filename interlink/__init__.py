"""interLink in Python: run Kubernetes pods on machines outside the cluster, over plain SSH."""
