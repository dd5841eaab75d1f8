"""The process: connect, serve the nodes, stop politely."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from importlib.metadata import version
from pathlib import Path

from interlink.client.aio import AioTransport
from interlink.errors import ConfigError, InterlinkError, Unavailable
from interlink.kubelet import nodeobject
from interlink.kubelet.auth import Callers
from interlink.kubelet.backend import Backend
from interlink.kubelet.backend_contract import ContractBackend
from interlink.kubelet.backend_v1 import V1Backend
from interlink.kubelet.fleet import Fleet
from interlink.kubelet.jobaccess import StatedApi
from interlink.kubelet.kube import Kube
from interlink.kubelet.member import House
from interlink.kubelet.nodeobject import Identity
from interlink.kubelet.samecluster import cluster_uid
from interlink.kubelet.settings import Peer, Settings
from interlink.kubelet.together import together

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. ConfigError if that cannot work, Unavailable if the start takes too long."""
    stop = _stopped()
    async with await Kube.connect(settings.kubeconfig) as kube:
        backend = _backend(settings.peer)
        try:
            house = await _begun(settings, kube, backend, stop)
            if house is None:
                return
            fleet = Fleet(house, settings.node, settings.only, fixed=settings.fixed)
            await together(stop.wait(), backend.run(), house.callers.follow_authority(), fleet.run())
        finally:
            await backend.close()


async def _begun(settings: Settings, kube: Kube, backend: Backend, stop: asyncio.Event) -> House | None:
    """Gather what needs the API server once; None if we are stopped before it answers."""
    asking = asyncio.ensure_future(_first_answers(kube))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([asking, stopping], timeout=settings.wait, return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            return None
        if asking not in done:
            raise Unavailable(f"the API server of Kubernetes did not answer within {settings.wait:g} s")
        server, origin = asking.result()
    finally:
        for task in (asking, stopping):
            task.cancel()
        await asyncio.gather(asking, stopping, return_exceptions=True)
    ours = version("interlink")
    identity = Identity(
        name="",
        address=settings.serving.address or await _own_address(kube),
        version=nodeobject.kubelet_version(server, ours),
        runtime=f"interlink://{ours}",
        taint=settings.taint,
        labels=settings.labels,
    )
    return House(
        kube=kube,
        backend=backend,
        cache=StatedApi(kube, settings.jobs),
        callers=Callers(kube),
        identity=identity,
        serving=settings.serving,
        state=_state(settings.state_dir / "kubelet"),
        origin=origin,
        namespace=settings.namespace,
        projected_volumes=settings.jobs.projected_volumes,
        not_ready_after=settings.not_ready_after,
    )


async def _first_answers(kube: Kube) -> tuple[str, str]:
    """Return the API server's version and what names the cluster, as soon as it answers."""
    told = ""
    while True:
        try:
            server = await kube.get("/version")
            return str(server.get("gitVersion") or ""), await cluster_uid(kube)
        except ConfigError:
            raise
        except InterlinkError as error:
            _log.log(logging.DEBUG if str(error) == told else logging.WARNING, "%s", error)
            told = str(error)
            await asyncio.sleep(RETRY_SECONDS)


def _backend(peer: Peer) -> Backend:
    transport = AioTransport(peer.url, peer.token_file, tls=_tls(peer))
    return ContractBackend(transport) if peer.protocol == "contract" else V1Backend(transport)


def _tls(peer: Peer) -> ssl.SSLContext | None:
    """Return what an https server is trusted by, and what we show it; ConfigError for files that cannot be used."""
    if not peer.url.startswith("https://"):
        return None
    try:
        context = ssl.create_default_context(
            cafile=str(peer.ca_file) if peer.ca_file else None, cadata=peer.ca_text or None
        )
        if peer.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if peer.cert_file:
            context.load_cert_chain(peer.cert_file, peer.key_file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the certificates for {peer.url} cannot be used: {error}") from error
    return context


async def _own_address(kube: Kube) -> str:
    """Return this machine's address towards the API server: no packet is sent for that."""
    host, port = await kube.address()
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise ConfigError(f"our own address towards {host} cannot be told ({error}); give it by --address") from error


def _state(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the state directory cannot be used: {error.strerror}; choose another by --state-dir", file=str(directory)
        ) from error
    return directory


def _stopped() -> asyncio.Event:
    """Return the event of the first SIGTERM or SIGINT; the second one ends the process as ever."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        _log.info("stopping (%s)", signal.Signals(number).name)
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    return stop
