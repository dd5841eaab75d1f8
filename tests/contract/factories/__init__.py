"""One file per driver under contract.

Each exports `NAME`, `MARKS` (pytest marks, such as `pytest.mark.lab`), `FEATURES` (what it can: see
`support.FEATURES`) and a context manager `rig(request)` that yields a `support.Rig`. It is entered once
per test session, so a rig holds many pods at a time; `request` gives the lab's session fixtures.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def all_factories() -> list[ModuleType]:
    """Import every factory of this directory, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]
