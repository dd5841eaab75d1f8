"""A host without a host: pods that follow a plan, faults on demand. No I/O, no thread of its own."""

from interlink.drivers.mock.driver import MockDriver
from interlink.drivers.mock.faults import Fault, Faults
from interlink.drivers.mock.plan import Plan

__all__ = ["Fault", "Faults", "MockDriver", "Plan"]
