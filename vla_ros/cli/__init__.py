"""
``vla-ros``: one command for everything a user does.

Each subcommand is one module of this package with two functions: ``add_arguments(parser)`` and
``run(args) -> int`` (the exit code). Only the module of the command that was asked for is
imported, so ``vla-ros say`` never waits for torch.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import errno
from importlib import import_module
import os
import signal
import sys

from vla_ros import __version__
from vla_ros.errors import ConfigurationError, GET_OPENCV

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

#: Name of each subcommand (and of its module here) and what it does.
COMMANDS = {
    'demo': 'start the simulated robot, give it commands, judge and film what it does',
    'up': 'start the nodes and keep them running: up sim, up robot',
    'say': 'give the running robot a command',
    'status': 'show what the running robot does',
    'viz': 'show the running robot on a live page for any browser',
    'record': 'record the running graph as a rosbag2 (MCAP)',
    'report': 'make one HTML page of a recording',
    'look': 'draw what a policy looks at, and test whether it matters to it',
    'reset': 'start a new scene, or release the e-stop',
    'expert': 'run the scripted expert and count its successes',
    'demos': 'let the scripted expert make demonstrations',
    'lexicon': 'make the file of rare words and plainer ones from WordNet',
    'train': 'train a policy from the expert and export it',
    'teach': 'teach a policy more words, from sentences alone',
    'export': 'write a policy as a file for another, faster runtime',
    'eval': 'measure how often a policy succeeds',
    'zoo': 'train every policy alike, measure them, and write the table',
    'bench': 'measure how fast a policy is, and how much the graph adds to it',
}


def _usage() -> str:
    rows = '\n'.join(f'  {name:<8} {purpose}' for name, purpose in COMMANDS.items())
    return (
        f'usage: vla-ros COMMAND ...\n\ncommands:\n{rows}\n\n'
        'vla-ros COMMAND --help tells more; vla-ros --version tells the version.\n'
    )


def _missing_package(error: ModuleNotFoundError) -> str:
    """Return one sentence with the fix for a package that is not installed."""
    package = (error.name or '').partition('.')[0]
    if package == 'rclpy' or package.endswith(('_msgs', '_srvs', '_interfaces')):
        return (
            f'{package} is missing: source a ROS 2 setup (source /opt/ros/DISTRO/setup.bash), '
            'or let "make demo" install the wheels'
        )
    if package == 'cv2':
        return f'{package} is missing: install it {GET_OPENCV}'
    return f'{package} is missing: install it with "python3 bootstrap.py all"'


def _run(name: str, argv: Sequence[str]) -> int:
    module = import_module(f'vla_ros.cli.{name}')
    parser = argparse.ArgumentParser(
        prog=f'vla-ros {name}',
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + '.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(argv)))


def _dispatch(argv: Sequence[str]) -> int:
    name, *rest = argv or ['--help']
    if name in ('-h', '--help', '--version'):
        sys.stdout.write(f'vla-ros {__version__}\n' if name == '--version' else _usage())
        return 0
    if name not in COMMANDS:
        raise ConfigurationError(
            f'no command {name!r}; there are: {", ".join(COMMANDS)} (see vla-ros --help)'
        )
    return _run(name, rest)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 2 for a user's mistake, 130 after Ctrl-C."""
    if argv is None:
        # What ends this process must let it end its nodes. A script's background jobs have SIGINT
        # ignored at their start; under nohup SIGHUP is, and stays so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except ConfigurationError as error:
        sys.stderr.write(f'vla-ros: {error}\n')
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        if (error.name or '').startswith('vla_ros'):
            raise
        sys.stderr.write(f'vla-ros: {_missing_package(error)}\n')
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as in "vla-ros status --follow | head"; the interpreter flushes
        # once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except TimeoutError as error:
        sys.stderr.write(f'vla-ros: {error}\n')
        return EXIT_FAILURE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f'vla-ros: the disk is full ({error.filename or "a file"}): make room\n')
        return EXIT_USAGE
    return code
