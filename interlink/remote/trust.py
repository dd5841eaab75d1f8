"""Trust on purpose: fetch the keys that a host and its gateways offer, show them, and pin them."""

from __future__ import annotations

from collections.abc import Callable

import paramiko
from paramiko.hostkeys import HostKeys

from interlink.errors import HostKeyRejected
from interlink.remote import hostkeys
from interlink.remote.deadline import Deadline
from interlink.remote.hostkeys import OfferedKey
from interlink.remote.opening import Opener
from interlink.remote.route import Hop, Route
from interlink.remote.tuning import Tuning


def trust(
    route: Route, accept: Callable[[OfferedKey], bool], *, replace: bool = False, tuning: Tuning | None = None
) -> list[OfferedKey]:
    """Ask every hop for its key, and pin what `accept` agrees to in the first of the route's files.

    Keys that are pinned already are returned with `known`, and not asked about. A gateway is logged in to,
    with its key pinned, before what lies behind it is asked. Raises HostKeyRejected for a key that
    `accept` declines, and for one that differs from the pinned one unless `replace`.
    """
    opener, deadline = Opener(route, tuning or Tuning()), Deadline((tuning or Tuning()).open_timeout)
    found: list[OfferedKey] = []
    with opener.opening() as hops:
        for hop in hops:
            keys = hostkeys.load(route.known_hosts)
            offered = _decide(route, hop, keys, _fetch(opener, hop, keys, deadline), replace=replace)
            if not offered.known:
                if not accept(offered):
                    raise HostKeyRejected(f"host {route.name}: the key of {offered.name} was not trusted")
                hostkeys.pin(route.known_hosts[0], [offered])
            found.append(offered)
            if hop is not hops[-1]:
                opener.connect(hop, hostkeys.load(route.known_hosts), deadline)
    return found


def _decide(route: Route, hop: Hop, keys: HostKeys, key: paramiko.PKey, *, replace: bool) -> OfferedKey:
    name = hostkeys.known_name(hop.host, hop.port)
    pinned = keys.lookup(name) or {}
    if pinned and key not in pinned.values() and not replace:
        old = pinned.get(key.get_name()) or next(iter(pinned.values()))
        raise hostkeys.changed(route.name, paramiko.BadHostKeyException(hop.host, key, old), hop.port)
    return OfferedKey(name, key.get_name(), key.get_base64(), known=key in pinned.values())


def _fetch(opener: Opener, hop: Hop, keys: HostKeys, deadline: Deadline) -> paramiko.PKey:
    """Shake hands as far as the host's key, without logging in; the pinned type of key is preferred."""
    transport = paramiko.Transport(opener.reach(hop, deadline))
    transport.banner_timeout = deadline.left()
    try:
        options = transport.get_security_options()
        pinned = keys.lookup(hostkeys.known_name(hop.host, hop.port)) or {}
        wanted = [kind for kind in pinned if kind in options.key_types]
        options.key_types = [*wanted, *(kind for kind in options.key_types if kind not in wanted)]
        transport.start_client(timeout=deadline.left())
        return transport.get_remote_server_key()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise opener.unreachable(hop, error) from error
    finally:
        transport.close()
        transport.join()
