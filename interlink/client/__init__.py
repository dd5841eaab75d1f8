"""The REST contract, caller's side: clients that are Drivers themselves.

`messages` and `calls` are pure; `transport` (threads) and `aio` (asyncio) are the only places that do I/O.
`Client` speaks to our own server's `/v1`, `ContractClient` to any interLink server or plugin.
"""

from interlink.client.foreign import ContractClient
from interlink.client.ours import Client

__all__ = ["Client", "ContractClient"]
