"""Endpoints for machines that look after the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import falcon

from interlink.api import metrics
from interlink.model.wire import gojson


class Health:
    """Liveness: the process answers."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "ok"


class Ready:
    """Readiness, part by part for those who may know."""

    def __init__(self, ready: Callable[[], Mapping[str, Any]]) -> None:
        self._ready = ready

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        state = dict(self._ready())
        ok = bool(state.get("ok"))
        resp.status = falcon.HTTP_200 if ok else falcon.HTTP_503
        resp.content_type = falcon.MEDIA_JSON
        resp.data = gojson.encode(state if req.context["trusted"] else {"ok": ok})


class MetricsPage:
    """Prometheus' text format."""

    def __init__(self, source: metrics.Metrics) -> None:
        self._source = source

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = metrics.CONTENT_TYPE
        resp.data = self._source.text()


class Document:
    """A fixed JSON document: the OpenAPI description."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._data = gojson.encode(document)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._data
