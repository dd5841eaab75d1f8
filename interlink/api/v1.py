"""Our own surface under /v1 (decisions of its formats: `model.wire.v1`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import falcon

from interlink.api.bodies import Bodies
from interlink.api.problems import Gone, NotImplementedHere
from interlink.api.streams import Source, Streams, lines
from interlink.errors import InvalidPod, NotFound, Unsupported
from interlink.model.driver import Composition, LogQuery
from interlink.model.pod import PodRef
from interlink.model.wire import contract, gojson, identity, usage, v1
from interlink.model.wire.problems import AlreadyDeleted

MAX_WAIT_SECONDS = 30  # of a create for its launch; each holds a thread
NDJSON = "application/x-ndjson"


def _json(resp: falcon.Response, value: Any, status: str = falcon.HTTP_200) -> None:
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = gojson.encode(value)


def _items(resp: falcon.Response, items: Sequence[Any]) -> None:
    _json(resp, {"items": items})


class Nodes:
    """The virtual nodes."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _items(resp, [v1.node_json(node) for node in self._composition.nodes()])


class NodeStats:
    """What the pods of a node have used."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        _json(resp, usage.node_usage_json(self._composition.stats(name)))


class Hosts:
    """The hosts of the inventory and what is known of them."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _items(resp, [v1.host_json(host) for host in self._composition.hosts()])


class Pods:
    """All pods, or those of one node, or those with given UIDs."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        wanted = set(req.get_param_as_list("uid") or ())
        pods = self._composition.pods(req.get_param("node") or None)
        _items(resp, [v1.pod_json(pod) for pod in pods if not wanted or pod.uid in wanted])


class Pod:
    """One pod."""

    def __init__(self, composition: Composition, bodies: Bodies) -> None:
        self._composition, self._bodies = composition, bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, uid: str) -> None:
        _json(resp, v1.pod_json(self._composition.pod(_uid(uid))))

    def on_put(self, req: falcon.Request, resp: falcon.Response, uid: str) -> None:
        """Create: 201 for a new pod, 200 for one that is there already, 409 for a deleted one.

        Answers once it is recorded; with `waitSeconds` once it is launched, if that happens in time.
        """
        wait = _number(req, "waitSeconds", least=0) or 0
        request = contract.create_request(self._bodies.json(req))
        if request.pod.uid != uid:
            raise InvalidPod("differs from the UID in the path", field="metadata.uid")
        created = self._composition.accept(request, min(wait, MAX_WAIT_SECONDS))
        if created.outcome == "deleted":
            raise AlreadyDeleted(f"pod {uid} was deleted already; nothing is launched")
        record = v1.pod_json(self._composition.pod(uid))
        status = falcon.HTTP_201 if created.outcome == "new" else falcon.HTTP_200
        _json(resp, {**record, "jid": created.jid}, status)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, uid: str) -> None:
        """Delete: recorded at once, carried out in the background; an unknown pod is a success."""
        grace = _number(req, "gracePeriodSeconds", least=0)
        self._composition.delete(PodRef(_uid(uid)), grace)
        _json(resp, {"uid": uid, "target": "deleted"})


class PodVolumes:
    """The files of a live pod's configMap, secret, projected and downwardAPI volumes."""

    def __init__(self, composition: Composition, bodies: Bodies) -> None:
        self._composition, self._bodies = composition, bodies

    def on_put(self, req: falcon.Request, resp: falcon.Response, uid: str) -> None:
        volumes = v1.volumes(self._bodies.json(req))
        try:
            self._composition.update(PodRef(_uid(uid)), volumes)
        except Unsupported as error:
            raise NotImplementedHere(str(error)) from error
        resp.status = falcon.HTTP_204


class PodLog:
    """A container's log; the parameters and their rules are Kubernetes' own."""

    def __init__(self, composition: Composition, streams: Streams) -> None:
        self._composition, self._streams = composition, streams

    def on_get(self, req: falcon.Request, resp: falcon.Response, uid: str) -> None:
        query = LogQuery(
            PodRef(_uid(uid)),
            container=req.get_param("container") or "",
            tail=_number(req, "tailLines", least=0),
            limit_bytes=_number(req, "limitBytes", least=1),
            since_seconds=_number(req, "sinceSeconds", least=1),
            since_time=_time(req, "sinceTime"),
            timestamps=_flag(req, "timestamps"),
            follow=_flag(req, "follow"),
            previous=_flag(req, "previous"),
            attempt=_number(req, "attempt", least=0),
        )
        if query.since_seconds is not None and query.since_time is not None:
            raise InvalidPod("only one of sinceSeconds and sinceTime may be given", field="sinceTime")
        resp.content_type = falcon.MEDIA_TEXT
        self._streams.reply(req, resp, lambda: self._composition.logs(query), follows=query.follow)


class Watch:
    """Changes as lines of JSON, each as soon as it is known."""

    def __init__(self, composition: Composition, streams: Streams) -> None:
        self._composition, self._streams = composition, streams

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        since = _number(req, "since", least=0)
        resp.content_type = NDJSON
        self._streams.reply(req, resp, lambda: self._lines(since), follows=True)

    def _lines(self, since: int | None) -> Source:
        try:
            feed = self._composition.watch(since)
        except NotFound as error:
            raise Gone(str(error)) from error
        return lines((v1.change_line(change) for change in feed), feed.close)


def _uid(uid: str) -> str:
    if not identity.is_uid(uid):
        raise NotFound("no pod has such a UID")
    return uid


def _number(req: falcon.Request, name: str, *, least: int) -> int | None:
    text = req.get_param(name)
    if not text:
        return None
    if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < 19 and int(text) >= least):
        raise InvalidPod(f"must be a whole number, at least {least}", field=name)
    return int(text)


def _flag(req: falcon.Request, name: str) -> bool:
    text = (req.get_param(name) or "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise InvalidPod("must be true or false", field=name)
    return text in ("true", "1")


def _time(req: falcon.Request, name: str) -> Any:
    text = req.get_param(name)
    try:
        return gojson.parse_time(text) if text else None
    except ValueError as error:
        raise InvalidPod(str(error), field=name) from None
