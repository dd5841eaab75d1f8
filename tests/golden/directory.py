"""Where the cases are, with their runner and the recipes of their images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "INTERLINK_GOLDEN"
BESIDE = ROOT.parent / "shared" / "golden"


class NoCases(Exception):
    """No directory with cases; the message says where one was looked for."""


@dataclass(frozen=True)
class Golden:
    """A directory with cases."""

    path: Path

    @property
    def cases(self) -> Path:
        return self.path / "cases"

    @property
    def runner(self) -> Path:
        return self.path / "golden.py"

    @property
    def recipes(self) -> tuple[Path, Path]:
        """The scripts that build the images, in their order: DIR AGNHOST, and DIR."""
        return self.path / "images.sh", self.path / "golden-images.sh"


def find(named: str = "") -> Golden:
    """Return the directory that was named, else the variable's, else the one beside the checkout."""
    path = Path(named or os.environ.get(VARIABLE) or BESIDE).resolve()
    found = Golden(path)
    missing = [item.name for item in (found.runner, found.cases, *found.recipes) if not item.exists()]
    if missing:
        hint = f"name the directory of the golden pods by --cases or ${VARIABLE}"
        raise NoCases(f"{path} has no {', '.join(missing)}: {hint}")
    return found
