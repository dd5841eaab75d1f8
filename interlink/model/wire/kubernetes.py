"""The Kubernetes types that a request carries, as far as interLink reads them (core/v1, release 1.33).

What is not named here passes through untouched.
"""

from __future__ import annotations

from interlink.model.wire.schema import (
    Check,
    anything,
    base64_data,
    boolean,
    int_or_string,
    integer,
    list_of,
    map_of,
    quantity,
    string,
    struct,
    time,
)

_STRINGS, _TEXTS = list_of(string), map_of(string)
_NAME_REF = struct({"name": string, "optional": boolean})
_KEY_REF = struct({"name": string, "key": string, "optional": boolean})
_FIELD_REF = struct({"apiVersion": string, "fieldPath": string})
_RESOURCE_REF = struct({"containerName": string, "resource": string, "divisor": quantity})
_ITEMS = list_of(struct({"key": string, "path": string, "mode": integer}))
_DOWNWARD = list_of(
    struct({"path": string, "fieldRef": _FIELD_REF, "resourceFieldRef": _RESOURCE_REF, "mode": integer})
)

_METADATA = struct(
    {
        **dict.fromkeys(("name", "generateName", "namespace", "uid", "resourceVersion", "selfLink"), string),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), time),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), integer),
        **dict.fromkeys(("labels", "annotations"), _TEXTS),
        "finalizers": _STRINGS,
        "ownerReferences": anything,
        "managedFields": anything,
    }
)

_SOURCES = list_of(
    struct(
        {
            "secret": struct({"name": string, "items": _ITEMS, "optional": boolean}),
            "configMap": struct({"name": string, "items": _ITEMS, "optional": boolean}),
            "downwardAPI": struct({"items": _DOWNWARD}),
            "serviceAccountToken": struct({"audience": string, "expirationSeconds": integer, "path": string}),
            "clusterTrustBundle": anything,
        }
    )
)
_VOLUME = struct(
    {
        "name": string,
        "configMap": struct({"name": string, "items": _ITEMS, "defaultMode": integer, "optional": boolean}),
        "secret": struct({"secretName": string, "items": _ITEMS, "defaultMode": integer, "optional": boolean}),
        "projected": struct({"sources": _SOURCES, "defaultMode": integer}),
        "downwardAPI": struct({"items": _DOWNWARD, "defaultMode": integer}),
        "emptyDir": struct({"medium": string, "sizeLimit": quantity}),
        "hostPath": struct({"path": string, "type": string}),
        "persistentVolumeClaim": struct({"claimName": string, "readOnly": boolean}),
    }
)
_SECURITY_FIELDS: dict[str, Check] = {
    **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), integer),
    "runAsNonRoot": boolean,
    "supplementalGroups": list_of(integer),
    **dict.fromkeys(("fsGroupChangePolicy", "supplementalGroupsPolicy", "procMount"), string),
    **dict.fromkeys(("privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem"), boolean),
    "capabilities": struct({"add": _STRINGS, "drop": _STRINGS}),
    "sysctls": list_of(struct({"name": string, "value": string})),
    "seLinuxOptions": struct(dict.fromkeys(("user", "role", "type", "level"), string)),
    **dict.fromkeys(("seccompProfile", "appArmorProfile"), struct({"type": string, "localhostProfile": string})),
}
_HANDLER: dict[str, Check] = {
    "exec": struct({"command": _STRINGS}),
    "httpGet": struct(
        {
            **dict.fromkeys(("path", "host", "scheme"), string),
            "port": int_or_string,
            "httpHeaders": list_of(struct({"name": string, "value": string})),
        }
    ),
    "tcpSocket": struct({"port": int_or_string, "host": string}),
    "sleep": struct({"seconds": integer}),
    "grpc": struct({"port": integer, "service": string}),
}
_PROBE = struct(
    {
        **_HANDLER,
        **dict.fromkeys(
            (
                "initialDelaySeconds",
                "timeoutSeconds",
                "periodSeconds",
                "successThreshold",
                "failureThreshold",
                "terminationGracePeriodSeconds",
            ),
            integer,
        ),
    }
)
_CONTAINER = struct(
    {
        **dict.fromkeys(
            (
                "name",
                "image",
                "imagePullPolicy",
                "workingDir",
                "restartPolicy",
                "terminationMessagePath",
                "terminationMessagePolicy",
            ),
            string,
        ),
        **dict.fromkeys(("command", "args"), _STRINGS),
        **dict.fromkeys(("stdin", "stdinOnce", "tty"), boolean),
        "env": list_of(
            struct(
                {
                    "name": string,
                    "value": string,
                    "valueFrom": struct(
                        {
                            "fieldRef": _FIELD_REF,
                            "resourceFieldRef": _RESOURCE_REF,
                            "configMapKeyRef": _KEY_REF,
                            "secretKeyRef": _KEY_REF,
                        }
                    ),
                }
            )
        ),
        "envFrom": list_of(struct({"prefix": string, "configMapRef": _NAME_REF, "secretRef": _NAME_REF})),
        "ports": list_of(
            struct(
                {
                    **dict.fromkeys(("name", "protocol", "hostIP"), string),
                    **dict.fromkeys(("containerPort", "hostPort"), integer),
                }
            )
        ),
        "resources": struct(
            {"limits": map_of(quantity), "requests": map_of(quantity), "claims": list_of(struct({"name": string}))}
        ),
        "volumeMounts": list_of(
            struct(
                {
                    **dict.fromkeys(("name", "mountPath", "subPath", "subPathExpr", "mountPropagation"), string),
                    "readOnly": boolean,
                }
            )
        ),
        "volumeDevices": list_of(struct({"name": string, "devicePath": string})),
        "securityContext": struct(_SECURITY_FIELDS),
        "lifecycle": struct(
            {**dict.fromkeys(("postStart", "preStop"), struct(_HANDLER)), "stopSignal": string},
        ),
        **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), _PROBE),
    }
)
_EXPRESSIONS = list_of(struct({"key": string, "operator": string, "values": _STRINGS}))
_NODE_TERM = struct({"matchExpressions": _EXPRESSIONS, "matchFields": _EXPRESSIONS})
_AFFINITY = struct(
    {
        "nodeAffinity": struct(
            {
                "requiredDuringSchedulingIgnoredDuringExecution": struct({"nodeSelectorTerms": list_of(_NODE_TERM)}),
                "preferredDuringSchedulingIgnoredDuringExecution": list_of(
                    struct({"weight": integer, "preference": _NODE_TERM})
                ),
            }
        ),
        "podAffinity": anything,
        "podAntiAffinity": anything,
    }
)
_SPEC = struct(
    {
        **dict.fromkeys(("containers", "initContainers", "ephemeralContainers"), list_of(_CONTAINER)),
        "volumes": list_of(_VOLUME),
        **dict.fromkeys(
            (
                "restartPolicy",
                "nodeName",
                "hostname",
                "subdomain",
                "dnsPolicy",
                "serviceAccountName",
                "serviceAccount",
                "schedulerName",
                "priorityClassName",
                "preemptionPolicy",
                "runtimeClassName",
            ),
            string,
        ),
        **dict.fromkeys(("terminationGracePeriodSeconds", "activeDeadlineSeconds", "priority"), integer),
        **dict.fromkeys(
            (
                "hostNetwork",
                "hostPID",
                "hostIPC",
                "hostUsers",
                "shareProcessNamespace",
                "setHostnameAsFQDN",
                "enableServiceLinks",
                "automountServiceAccountToken",
            ),
            boolean,
        ),
        "nodeSelector": _TEXTS,
        "affinity": _AFFINITY,
        "tolerations": list_of(
            struct(
                {**dict.fromkeys(("key", "operator", "value", "effect"), string), "tolerationSeconds": integer},
            )
        ),
        "securityContext": struct(_SECURITY_FIELDS),
        "imagePullSecrets": list_of(struct({"name": string})),
        "hostAliases": list_of(struct({"ip": string, "hostnames": _STRINGS})),
        "dnsConfig": struct(
            {
                "nameservers": _STRINGS,
                "searches": _STRINGS,
                "options": list_of(struct({"name": string, "value": string})),
            }
        ),
        "overhead": map_of(quantity),
    }
)

POD = struct({"metadata": _METADATA, "spec": _SPEC, "status": anything})
CONFIG_MAP = struct(
    {"metadata": _METADATA, "data": _TEXTS, "binaryData": map_of(base64_data), "immutable": boolean},
)
SECRET = struct(
    {
        "metadata": _METADATA,
        "data": map_of(base64_data),
        "stringData": _TEXTS,
        "type": string,
        "immutable": boolean,
    },
)
