"""Every test process has its own ROS domain and log folder; without rclpy, ROS tests skip."""

import importlib.util
import os
from pathlib import Path
import sys
import tempfile

import pytest

# Domains up to 101 stay below the ephemeral ports of Linux; the low ones are left to people.
_WORKER = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])
_RUN = os.getppid() if 'PYTEST_XDIST_WORKER' in os.environ else os.getpid()
_LOG_FOLDER = tempfile.TemporaryDirectory(prefix='vla_ros_log_')

# Before anything imports rclpy. The processes that tests start inherit all of it.
os.environ['ROS_DOMAIN_ID'] = str(20 + (_RUN * 7 + _WORKER) % 80)
# Shared memory, as where this package starts the graph: sockets lose frames that are larger than
# their buffers.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_LOG_DIR'] = _LOG_FOLDER.name
os.environ['ROS_HOME'] = _LOG_FOLDER.name
os.environ['TOKENIZERS_PARALLELISM'] = 'false'


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers whichever tests ran before in this process."""
    if torch := sys.modules.get('torch'):
        torch.manual_seed(0)


class SkippedModule(pytest.Module):
    """A test file that would not import here."""

    def collect(self):
        pytest.skip(
            "rclpy does not import: pip install '.[ros]' or source ROS 2", allow_module_level=True
        )


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    text = module_path.read_text(encoding='utf-8')
    needs_ros = 'pytest.mark.ros' in text or 'pytest.mark.graph' in text
    if needs_ros and importlib.util.find_spec('rclpy') is None:
        return SkippedModule.from_parent(parent, path=module_path)
    return None
