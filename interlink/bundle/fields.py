"""The fields of a pod that we know, with their types and what a driver must have to honour them.

An allow-list: a field that is not here is refused by name, so that nothing new is dropped in silence.
Fields without `Needs` are honoured by every driver, or mean nothing on a node: who may place, admit,
account or see a pod is the cluster's business.

Source: Pod of Kubernetes 1.36 (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/).
"""

from __future__ import annotations

from typing import Any

from interlink.bundle.shapes import ANY, DATA, QUANTITY, Map, Needs, OneOf, Partial

# What docker and podman honour; "hooks", "probes" and the host's namespaces are the driver's to add.
# fmt: off
ENGINE = frozenset((
    "configMap", "secret", "projected", "downwardAPI", "hostPath", "emptyDirMemory", "subPath", "subPathExpr",
    "workingDir", "hostPort", "runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "fsGroup",
    "capabilities", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "seccompProfile",
    "shareProcessNamespace", "hostname", "subdomain", "hostAliases", "setHostnameAsFQDN", "hostnameOverride",
    "dnsPolicy", "dnsConfig", "stopSignal", "stdin", "tty",
))
# fmt: on


def _needs(*names: str, shape: Any = ANY) -> dict[str, Any]:
    """Return fields that need a feature of their own name."""
    return {name: Needs(name, shape) for name in names}


def _profile(feature: str) -> dict[str, Any]:
    return {
        "type": Needs(feature, OneOf(("RuntimeDefault", "Unconfined", "Localhost")), neutral=("RuntimeDefault",)),
        "localhostProfile": Needs("localhostProfile", str),
    }


_SECURITY: dict[str, Any] = {
    **_needs("runAsUser", "runAsGroup", shape=int),
    "runAsNonRoot": Needs("runAsNonRoot", bool),
    "seccompProfile": _profile("seccompProfile"),
    "appArmorProfile": _profile("appArmorProfile"),
    **_needs("seLinuxOptions", "windowsOptions"),
}
_CONTAINER_SECURITY = {
    **_SECURITY,
    **_needs("privileged", "readOnlyRootFilesystem", shape=bool),
    "allowPrivilegeEscalation": Needs("allowPrivilegeEscalation", bool, neutral=(True,), false_counts=True),
    "capabilities": Needs("capabilities", {"add": [str], "drop": [str]}),
    "procMount": Needs("procMount", str, neutral=("Default",)),
}
_POD_SECURITY = {
    **_SECURITY,
    "supplementalGroups": Needs("supplementalGroups", [int]),
    "fsGroup": Needs("fsGroup", int),
    "fsGroupChangePolicy": str,
    "supplementalGroupsPolicy": Needs("supplementalGroupsPolicy", str, neutral=("Merge",)),
    "seLinuxChangePolicy": str,
    "sysctls": Needs("sysctls", ANY),
}
_KEY = {"name": str, "key": str, "optional": bool}
_FIELD = {"apiVersion": str, "fieldPath": str}
_RESOURCE = {"containerName": str, "resource": str, "divisor": QUANTITY}
_ENV = {
    "name": str,
    "value": str,
    "valueFrom": {
        "configMapKeyRef": _KEY,
        "secretKeyRef": _KEY,
        "fieldRef": _FIELD,
        "resourceFieldRef": _RESOURCE,
        "fileKeyRef": Needs("fileKeyRef", ANY),
    },
}
_ENV_FROM = {
    "prefix": str,
    "configMapRef": {"name": str, "optional": bool},
    "secretRef": {"name": str, "optional": bool},
}
_MOUNT = {
    "name": str,
    "mountPath": str,
    "readOnly": bool,
    **_needs("subPath", "subPathExpr", shape=str),
    "mountPropagation": Needs("mountPropagation", str, neutral=("None",)),
    "recursiveReadOnly": Needs("recursiveReadOnly", str, neutral=("Disabled", "IfPossible")),
}
_PORT = {
    "name": str,
    "containerPort": int,
    "protocol": OneOf(("TCP", "UDP", "SCTP")),
    "hostPort": Needs("hostPort", int, neutral=(0,)),
    "hostIP": str,
}
_HOOK = Needs("hooks", {"exec": {"command": [str]}, "httpGet": ANY, "sleep": ANY, "tcpSocket": ANY})
_PROBE = Needs(
    "probes",
    {
        "exec": {"command": [str]},
        **dict.fromkeys(("httpGet", "tcpSocket", "grpc"), ANY),
        **dict.fromkeys(("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold"), int),
        **dict.fromkeys(("failureThreshold", "terminationGracePeriodSeconds"), int),
    },
)
_CONTAINER = {
    "name": str,
    "image": str,
    "imagePullPolicy": OneOf(("Always", "IfNotPresent", "Never")),
    "command": [str],
    "args": [str],
    "workingDir": Needs("workingDir", str),
    "env": [_ENV],
    "envFrom": [_ENV_FROM],
    "ports": [_PORT],
    "resources": {
        "requests": Map(QUANTITY),
        "limits": Map(QUANTITY),
        "claims": Needs("resourceClaims", ANY),
    },
    "volumeMounts": [_MOUNT],
    "volumeDevices": Needs("volumeDevices", ANY),
    "securityContext": _CONTAINER_SECURITY,
    "lifecycle": {"postStart": _HOOK, "preStop": _HOOK, "stopSignal": Needs("stopSignal", str)},
    **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), _PROBE),
    "terminationMessagePath": Needs("terminationMessagePath", str, neutral=("/dev/termination-log",)),
    "terminationMessagePolicy": Needs("terminationMessagePolicy", str, neutral=("File",)),
    **_needs("stdin", "tty", shape=bool),
    "stdinOnce": Needs("stdin", bool),
    "resizePolicy": ANY,
    "restartPolicyRules": Needs("restartPolicyRules", ANY),
}
_MAIN = {**_CONTAINER, "restartPolicy": Needs("container restartPolicy", str)}
_INIT = {**_CONTAINER, "restartPolicy": Needs("container restartPolicy", str, neutral=("Always",))}

_ITEM = {"key": str, "path": str, "mode": int}
_DOWNWARD_ITEM = {"path": str, "mode": int, "fieldRef": _FIELD, "resourceFieldRef": _RESOURCE}
_OBJECT = {"name": str, "items": [_ITEM], "optional": bool}
_TOKEN = {"path": str, "audience": str, "expirationSeconds": int}
_PROJECTED = {
    "defaultMode": int,
    "sources": [
        {
            "configMap": _OBJECT,
            "secret": _OBJECT,
            "downwardAPI": {"items": [_DOWNWARD_ITEM]},
            "serviceAccountToken": _TOKEN,
        }
    ],
}
_HOST_PATH_TYPES = ("", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice")
VOLUME = {
    "name": str,
    "configMap": Needs("configMap", {**_OBJECT, "defaultMode": int}),
    "secret": Needs("secret", {"secretName": str, "items": [_ITEM], "optional": bool, "defaultMode": int}),
    "projected": Needs("projected", _PROJECTED),
    "downwardAPI": Needs("downwardAPI", {"items": [_DOWNWARD_ITEM], "defaultMode": int}),
    "emptyDir": {"medium": Needs("emptyDirMemory", OneOf(("", "Memory"))), "sizeLimit": QUANTITY},
    "hostPath": Needs("hostPath", {"path": str, "type": OneOf(_HOST_PATH_TYPES)}),
}
_DNS = {"nameservers": [str], "searches": [str], "options": [{"name": str, "value": str}]}
# fmt: off
_CLUSTERS_BUSINESS = (
    "nodeSelector", "affinity", "tolerations", "schedulerName", "schedulingGates", "topologySpreadConstraints",
    "priority", "priorityClassName", "preemptionPolicy", "overhead", "automountServiceAccountToken",
    "readinessGates", "enableServiceLinks", "workloadRef",
)
# fmt: on

POD: dict[str, Any] = {
    "apiVersion": str,
    "kind": OneOf(("Pod",)),
    "metadata": Partial(
        {**dict.fromkeys(("name", "namespace", "uid"), str), "labels": Map(str), "annotations": Map(str)}
    ),
    "spec": {
        "containers": [_MAIN],
        "initContainers": [_INIT],
        "volumes": [VOLUME],
        "securityContext": _POD_SECURITY,
        "restartPolicy": OneOf(("Always", "OnFailure", "Never")),
        **dict.fromkeys(("terminationGracePeriodSeconds", "activeDeadlineSeconds"), int),
        "imagePullSecrets": [{"name": str}],
        **dict.fromkeys(("nodeName", "serviceAccountName", "serviceAccount"), str),
        **dict.fromkeys(_CLUSTERS_BUSINESS, ANY),
        "os": {"name": Needs("os", str, neutral=("linux",))},
        **_needs("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "setHostnameAsFQDN", shape=bool),
        **_needs("hostname", "subdomain", "hostnameOverride", shape=str),
        "hostUsers": Needs("hostUsers", bool, neutral=(True,), false_counts=True),
        "hostAliases": Needs("hostAliases", [{"ip": str, "hostnames": [str]}]),
        "dnsPolicy": Needs(
            "dnsPolicy",
            OneOf(("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")),
            neutral=("ClusterFirst", "ClusterFirstWithHostNet", "Default"),
        ),
        "dnsConfig": Needs("dnsConfig", _DNS),
        **_needs("runtimeClassName", "resourceClaims", "resources", "ephemeralContainers"),
    },
    "status": ANY,
}
_ABOUT = Partial({"name": str})
CONFIGMAP = Partial({"metadata": _ABOUT, "data": Map(DATA), "binaryData": Map(DATA)})
SECRET = Partial({"metadata": _ABOUT, "data": Map(DATA)})
