"""The application: routes, and nothing else. A server runs it over a composition, a sidecar over one driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import falcon

from interlink.api import contract, middleware, openapi, probes, problems, v1
from interlink.api.bodies import Bodies
from interlink.api.contract import Role
from interlink.api.metrics import Metrics
from interlink.api.streams import Streams
from interlink.api.watchdog import Watchdog
from interlink.errors import InterlinkError
from interlink.model.driver import Composition, Driver

App = falcon.App[falcon.Request, falcon.Response]


@dataclass(frozen=True)
class Limits:
    """Bounds of one application: bytes of a body, seconds for headers and for the body to arrive, open streams."""

    body: int = 64 << 20
    upload_seconds: float = 30.0
    streams: int = 48


def create_app(
    driver: Driver,
    role: Role = "server",
    *,
    token_file: Path | None = None,
    limits: Limits = Limits(),
    watchdog: Watchdog | None = None,
) -> App:
    """Return the WSGI application over a driver; in the role `server`, which alone has /v1, it must be a Composition.

    `watchdog` frees streams of clients that have left; the caller closes the one it hands in.
    """
    composition = cast("Composition", driver) if role == "server" else None
    watchdog = watchdog or Watchdog()
    metrics = Metrics(composition)
    bodies = Bodies(limits.body, limits.upload_seconds, watchdog)
    streams = Streams(watchdog, limits.streams, metrics.streams)
    tokens = None if token_file is None else middleware.TokenFile(token_file)
    around: list[Any] = [middleware.Session(), middleware.Accounting(metrics), middleware.Token(tokens)]
    app: App = falcon.App(middleware=around, media_type=falcon.MEDIA_JSON)
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.auto_parse_qs_csv = False
    problems.install(app)
    resources = {
        **_contract(driver, role, bodies, streams),
        **(_v1(composition, bodies, streams) if composition else {}),
        "/healthz": probes.Health(),
        "/readyz": probes.Ready(_readiness(driver, composition)),
        "/metrics": probes.MetricsPage(metrics),
    }
    resources["/openapi.json"] = probes.Document(openapi.document([*resources, "/openapi.json"]))
    for path, resource in resources.items():
        app.add_route(path, resource)
    return app


def _contract(driver: Driver, role: Role, bodies: Bodies, streams: Streams) -> dict[str, object]:
    return {
        "/create": contract.Create(driver, bodies),
        "/delete": contract.Delete(driver, bodies),
        "/status": contract.Status(driver, bodies, role),
        "/getLogs": contract.Logs(driver, bodies, streams),
        "/pinglink": contract.Ping(driver),
        "/updateCache": contract.UpdateCache(bodies),
    }


def _v1(composition: Composition, bodies: Bodies, streams: Streams) -> dict[str, object]:
    return {
        "/v1/nodes": v1.Nodes(composition),
        "/v1/nodes/{name}/stats": v1.NodeStats(composition),
        "/v1/hosts": v1.Hosts(composition),
        "/v1/pods": v1.Pods(composition),
        "/v1/pods/{uid}": v1.Pod(composition, bodies),
        "/v1/pods/{uid}/volumes": v1.PodVolumes(composition, bodies),
        "/v1/pods/{uid}/log": v1.PodLog(composition, streams),
        "/v1/watch": v1.Watch(composition, streams),
    }


def _readiness(driver: Driver, composition: Composition | None) -> Callable[[], Mapping[str, Any]]:
    if composition is not None:
        return composition.ready

    def ping() -> Mapping[str, Any]:
        try:
            driver.ping()
        except InterlinkError as error:
            return {"ok": False, "reason": str(error)}
        return {"ok": True}

    return ping
