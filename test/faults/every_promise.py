"""Every promise there is, by its id."""

from faults import promises_gate, promises_inputs  # noqa: F401
from faults.ledger import PROMISES

__all__ = ['PROMISES']
