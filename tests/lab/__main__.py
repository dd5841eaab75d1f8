"""`python -m tests.lab up|down|status|env`: the tasks `lab.*` where invoke's `inv` is not at hand."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.program import Program

from tests.lab import tasks

namespace = Collection(*tasks.collection.tasks.values())
Program(namespace=namespace, name="lab", binary="python -m tests.lab").run()
