"""``vla-ros export``: a policy as a file for another runtime, compared with itself."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

#: The formats of ``models.convert`` and what they are; here too, for importing those takes long.
FORMATS = {
    'torchscript': '.pt, the format of training: runs wherever torch does',
    'pt2': '.pt2, compiled by torch for this kind of processor; needs a C++ compiler once',
    'onnx': '.onnx for ONNX Runtime',
    'openvino': '.onnx for OpenVINO',
    'int8': '.onnx for ONNX Runtime, with matrices of 8 bits: measure what it can still do',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', type=Path, metavar='POLICY', help='TorchScript file of training')
    parser.add_argument('--to', choices=tuple(FORMATS), required=True, help='see below')
    parser.add_argument('--out', type=Path, required=True, help='file; its manifest goes beside')
    parser.add_argument(
        '--config', type=Path, help='of its training; the one beside it, or the default, if left'
    )
    parser.add_argument(
        '--tolerance',
        type=_tolerance,
        help="largest difference of an output to the network's; by the format if left",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    rows = '\n'.join(f'  {name:<11} {what}' for name, what in FORMATS.items())
    parser.epilog = f'formats (all but the first two need the extra "fast"):\n{rows}'


def _tolerance(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0.0):
        raise argparse.ArgumentTypeError(f'got {text!r}, expected a number from 0')
    return value


def run(args: argparse.Namespace) -> int:
    from vla_ros.evaluation.rollouts import first_looks
    from vla_ros.models.convert import convert
    from vla_ros.training.rebuild import rebuild

    manifest, module = rebuild(args.source, args.config)
    looks = first_looks(args.source)
    written = convert(module, manifest, args.to, args.out, args.tolerance, looks)
    found = written.metrics['export_difference']
    print(f'{args.out}: {written.size_bytes / 1e6:.1f} MB for {written.backend}')
    scenes = len(looks[0])
    print(f'largest difference of an output to the network: {found:.1e}, in {scenes} scenes')
    print(f'what it can do: vla-ros eval --policy {args.out}')
    return 0
