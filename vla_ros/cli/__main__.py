"""``python -m vla_ros.cli`` is ``vla-ros``."""

import sys

from vla_ros.cli import main

sys.exit(main())
