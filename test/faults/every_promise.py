"""Every promise there is, by its id; those of running nodes where there is a ROS."""

import importlib.util

from faults import promises_gate, promises_inputs, promises_models  # noqa: F401
from faults.ledger import PROMISES

if importlib.util.find_spec('rclpy') is not None:
    from faults import promises_graph, promises_kills, promises_nodes  # noqa: F401

__all__ = ['PROMISES']
