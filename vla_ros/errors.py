"""The errors that are the user's to mend; everything else is a bug and keeps its traceback."""

#: How to get the one package that a ROS 2 installation brings, but not every one.
GET_OPENCV = (
    'beside an installed ROS 2 with "sudo apt install python3-opencv" (or "rosdep install '
    '--from-paths . --ignore-src" in the source tree), without ROS with "python3 bootstrap.py"'
)

#: Exit code of a node after a user's mistake, which a restart would only repeat.
EXIT_CONFIGURATION = 2


class ConfigurationError(ValueError):
    """A user's mistake: the message says what was got, what is valid and what to do."""
