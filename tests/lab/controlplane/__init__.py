"""A real Kubernetes control plane on this machine's loopback: etcd, API server, controllers and scheduler, no node.

etcd is Debian's; the others are found ($KUBEBUILDER_ASSETS, PATH) or built once, see programs.py. Kubelets of
tests run on this machine too: register a node whose InternalIP is 127.0.0.1, with its own port.

Fixtures of tests/conftest.py:

    cluster            the shared one (a Cluster): .kubeconfig, .service_account (a kubeconfig with exactly the rights
                       of deploy/kustomizations/rbac.yaml), .kubectl("get", "pods"), .apply(manifest), .get(path),
                       .create(path, body), .patch(), .delete(path, gracePeriodSeconds=0),
                       .wait_for(path, predicate), .wait_gone(path), .ca, .kubelet_client, .token(seconds)
    namespace          a namespace of the test's own, ready for pods
    node_name          a name for a node of the test's own; the node is deleted afterwards
    second_cluster     control planes to be hurt: `second_cluster(apiserver=["--flag=value"], controllers=[...])`
                       gives a Cluster: .apiserver.kill(), .start(), .restart(), .stop(), .pause(), .resume(),
                       .controllers, .scheduler likewise, .compact(); each costs 500 MB and some seconds
"""
