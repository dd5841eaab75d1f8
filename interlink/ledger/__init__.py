"""The ledger: what was asked, where it was placed, what was last observed; the only owner of SQLAlchemy.

It knows nothing of hosts' connections or of HTTP, and keeps no secret but in `payloads`.
"""

from interlink.ledger.leases import FileLeases, Leases, PostgresLeases
from interlink.ledger.ledger import Ledger
from interlink.ledger.payloads import FilePayloads, Payloads, TablePayloads
from interlink.ledger.rows import ContainerRow, PodRow

__all__ = [
    "ContainerRow",
    "FileLeases",
    "FilePayloads",
    "Leases",
    "Ledger",
    "Payloads",
    "PodRow",
    "PostgresLeases",
    "TablePayloads",
]
