"""The six endpoints of the existing contract. Any method works, and bodies come on all of them."""

from __future__ import annotations

from typing import Literal

import falcon

from interlink.api.bodies import Bodies
from interlink.api.streams import Streams
from interlink.errors import InputError
from interlink.model.driver import Driver
from interlink.model.pod import Pod
from interlink.model.wire import contract, gojson, plugin, statuses

Role = Literal["server", "sidecar", "forwarder"]  # the last passes all on to another's plugin

TEXT = "text/plain; charset=utf-8"


class Endpoint:
    """An endpoint that looks at the path alone, as the Go server does."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer; the other methods mean the same."""
        raise NotImplementedError

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self.on_post(req, resp)

    on_put = on_patch = on_delete = on_head = on_options = on_get


class Create(Endpoint):
    """`/create`: both contracts' bodies, also in a list of one, which is answered by a list of one."""

    def __init__(self, driver: Driver, bodies: Bodies) -> None:
        self._driver, self._bodies = driver, bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        request, listed = plugin.any_create(self._bodies.json(req))
        answer = contract.created_json(self._driver.create(request))
        resp.content_type = falcon.MEDIA_JSON
        resp.data = gojson.encode([answer] if listed else answer)


class Delete(Endpoint):
    """`/delete`: the whole pod; an unknown one is a success."""

    def __init__(self, driver: Driver, bodies: Bodies) -> None:
        self._driver, self._bodies = driver, bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        ref = contract.pod_ref(self._bodies.json(req))
        self._driver.delete(ref, contract.grace_of(Pod(ref.raw)))
        resp.content_type = TEXT
        resp.text = "Pod deletion accepted"


class Status(Endpoint):
    """`/status`: asked pods in their order. An empty list asks a server for all, and pings a sidecar."""

    def __init__(self, driver: Driver, bodies: Bodies, role: Role) -> None:
        self._driver, self._bodies, self._role = driver, bodies, role

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        refs = contract.pod_refs(self._bodies.json(req))
        resp.content_type = falcon.MEDIA_JSON
        if refs is None and self._role == "sidecar":
            resp.data = gojson.encode(contract.ping_json(self._driver.ping()))
        else:
            resp.data = gojson.encode(statuses.contract_statuses(refs, self._driver.status(refs)))


class Logs(Endpoint):
    """`/getLogs`: raw bytes, flushed as they come."""

    def __init__(self, driver: Driver, bodies: Bodies, streams: Streams) -> None:
        self._driver, self._bodies, self._streams = driver, bodies, streams

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        query = contract.log_query(self._json(req))
        resp.content_type = TEXT
        self._streams.reply(req, resp, lambda: self._driver.logs(query), follows=query.follow)

    def _json(self, req: falcon.Request) -> object:
        body = self._bodies.read(req)
        try:
            return gojson.decode(body)
        except InputError:
            raise InputError("invalid request body") from None


class Ping(Endpoint):
    """`/pinglink`: what the driver offers; never asks a host."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = gojson.encode(contract.ping_json(self._driver.ping()))


class UpdateCache(Endpoint):
    """`/updateCache`: we answer from observations, so there is no cache to update."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        contract.cached_uid(self._bodies.read(req))
        resp.content_type = TEXT
        resp.text = contract.UPDATED
