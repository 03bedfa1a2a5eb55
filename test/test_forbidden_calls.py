"""No call that turns data into code anywhere in what is shipped, however it is spelt."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    [
        *(
            path
            for folder in ('vla_ros', 'launch', 'examples')
            for path in (ROOT / folder).rglob('*.py')
        ),
        ROOT / 'setup.py',
    ]
)
MODULES = {'pickle', 'dill', 'cloudpickle', 'joblib', 'shelve', 'marshal', 'code', 'pty'}
NAMES = {'eval', 'exec', 'compile', '__import__'}
CALLS = {
    *('os.system', 'os.popen', 'os.execv', 'os.spawnv', 'subprocess.getoutput'),
    *('yaml.load', 'yaml.unsafe_load', 'yaml.full_load', 'torch.package.PackageImporter'),
    *('torch.hub.load', 'numpy.load', 'np.load'),
}


def faults(source: str) -> list[str]:
    """Return every forbidden import and call of a file's text, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            tops = {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            tops = {(node.module or '').partition('.')[0]}
        elif isinstance(node, ast.Call):
            tops = {fault} if (fault := call_fault(node)) else set()
            found += [f'line {node.lineno}: {fault}' for fault in tops]
            continue
        else:
            continue
        found += [f'line {node.lineno}: import {top}' for top in tops & MODULES]
    return found


def call_fault(call: ast.Call) -> str:
    name = ast.unparse(call.func)
    options = {k.arg: k.value for k in call.keywords}
    if name in NAMES or (name in CALLS and not allows_no_objects(name, options)):
        return name
    if name.startswith('subprocess.') and is_true(options.get('shell')):
        return f'{name}(shell=True)'
    if name == 'torch.load' and not is_true(options.get('weights_only')):
        return 'torch.load without weights_only=True'
    return ''


def allows_no_objects(name: str, options: dict) -> bool:
    # numpy's own default refuses pickled objects.
    return name.endswith('.load') and name.startswith('n') and 'allow_pickle' not in options


def is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_turns_data_into_code(path: Path):
    assert faults(path.read_text(encoding='utf-8')) == []


@pytest.mark.parametrize(
    'source',
    [
        'import pickle',
        'from pickle import loads',
        'import joblib.memory',
        'eval(text)',
        'exec(text)',
        'os.system("ls")',
        'subprocess.run(text, shell=True)',
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'np.load(path, allow_pickle=True)',
        'yaml.load(text)',
    ],
)
def test_each_of_them_would_be_found(source: str):
    assert faults(source)


@pytest.mark.parametrize(
    'source',
    ['torch.load(path, weights_only=True)', 'np.load(path)', 'model.eval()', 'yaml.safe_load(t)'],
)
def test_what_is_harmless_passes(source: str):
    assert not faults(source)
