"""The OpenAPI 3.1 description of all routes; tests hold it against the application."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from interlink.api.schemas import BODIES, COMPONENTS

_JSON, _TEXT, _PROBLEM = "application/json", "text/plain", "application/problem+json"
_NDJSON = "application/x-ndjson"

_LOG_PARAMETERS = {
    "container": {"type": "string"},
    "tailLines": {"type": "integer", "minimum": 0},
    "limitBytes": {"type": "integer", "minimum": 1},
    "sinceSeconds": {"type": "integer", "minimum": 1},
    "sinceTime": {"type": "string", "format": "date-time"},
    "timestamps": {"type": "boolean"},
    "follow": {"type": "boolean"},
    "previous": {"type": "boolean"},
    "attempt": {"type": "integer", "minimum": 0},
}

_WAIT = "Seconds, at most 30, to wait for the launch; without it the answer comes once the pod is recorded."


def _operation(
    summary: str,
    answer: str | None,
    *,
    media: str = _JSON,
    body: str | None = None,
    query: dict[str, Any] | None = None,
    codes: tuple[int, ...] = (200,),
    problem: str = _PROBLEM,
) -> dict[str, Any]:
    content = {} if answer is None else {"content": {media: {"schema": BODIES[answer]}}}
    refused = {"description": "Refused or failed", "content": {problem: {"schema": BODIES[_names(problem)]}}}
    result: dict[str, Any] = {
        "summary": summary,
        "responses": {**{str(code): {"description": "Done", **content} for code in codes}, "default": refused},
    }
    if body:
        result["requestBody"] = {"required": True, "content": {_JSON: {"schema": BODIES[body]}}}
    if query:
        result["parameters"] = [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    return result


def _names(problem: str) -> str:
    return "Problem" if problem == _PROBLEM else "Text"


def _contract(summary: str, answer: str, body: str | None = None, media: str = _JSON) -> dict[str, Any]:
    return _operation(summary, answer, media=media, body=body, problem=_TEXT)


# Only the methods that callers use stand here; the contract's endpoints answer any.
OPERATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "/create": {"post": _contract("Launch a pod", "CreateAnswer", "CreateBody")},
    "/delete": {"post": _contract("Stop and remove a pod", "Text", "Pod", _TEXT)},
    "/status": {"post": _contract("Report pods", "StatusAnswer", "StatusBody")},
    "/getLogs": {"post": _contract("Read a log", "Text", "LogStruct", _TEXT)},
    "/pinglink": {"post": _contract("Ask what is on offer", "PingResponse")},
    "/updateCache": {"post": _contract("Accepted without effect", "Text", "Pod", _TEXT)},
    "/v1/nodes": {"get": _operation("List virtual nodes", "Items")},
    "/v1/nodes/{name}/stats": {"get": _operation("Read what the pods of a node have used", "NodeUsage")},
    "/v1/hosts": {"get": _operation("List hosts", "Items")},
    "/v1/pods": {
        "get": _operation(
            "List pods",
            "Items",
            query={"node": {"type": "string"}, "uid": {"type": "array", "items": {"type": "string"}}},
        )
    },
    "/v1/pods/{uid}": {
        "get": _operation("Read one pod", "PodRecord"),
        "put": _operation(
            "Create a pod",
            "PodRecord",
            body="PodCreateRequests",
            codes=(200, 201),
            query={"waitSeconds": {"type": "integer", "minimum": 0, "description": _WAIT}},
        ),
        "delete": _operation(
            "Delete a pod", "Deletion", query={"gracePeriodSeconds": {"type": "integer", "minimum": 0}}
        ),
    },
    "/v1/pods/{uid}/volumes": {
        "put": _operation("Replace volume files of a live pod", None, body="Volumes", codes=(204,))
    },
    "/v1/pods/{uid}/log": {"get": _operation("Read a log", "Text", media=_TEXT, query=_LOG_PARAMETERS)},
    "/v1/watch": {
        "get": _operation("Follow changes", "Text", media=_NDJSON, query={"since": {"type": "integer", "minimum": 0}})
    },
    "/healthz": {"get": _operation("Liveness", "Text", media=_TEXT, problem=_TEXT)},
    "/readyz": {"get": _operation("Readiness", "Ready", codes=(200, 503), problem=_TEXT)},
    "/metrics": {"get": _operation("Prometheus metrics", "Text", media=_TEXT, problem=_TEXT)},
    "/openapi.json": {"get": _operation("This document", "Anything", problem=_TEXT)},
}

_IN_PATH = re.compile(r"\{(\w+)\}")


def document(paths: Iterable[str]) -> dict[str, Any]:
    """Return the description of the given routes; KeyError for one that nobody has described."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "interLink", "version": version("interlink"), "license": {"name": "Apache-2.0"}},
        "paths": {path: _path(path) for path in paths},
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _path(path: str) -> dict[str, Any]:
    names = _IN_PATH.findall(path)
    shared = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {**({"parameters": shared} if shared else {}), **OPERATIONS[path]}
