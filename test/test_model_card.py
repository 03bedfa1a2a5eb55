"""The card of the shipped policy: about this very file, up to date, and true."""

from pathlib import Path

import pytest

from vla_ros.evaluation.card import model_card
from vla_ros.evaluation.report import read_report, success_rate
from vla_ros.evaluation.rollouts import evaluate
from vla_ros.evaluation.splits import specs, SPLITS
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest

CARD = Path(__file__).resolve().parent.parent / 'docs' / 'policy.md'
#: Far from the seeds of the card.
SEED = 1_000_000


@pytest.fixture(scope='module')
def report():
    return read_report(shipped_policy_path())


def test_what_was_measured_is_the_shipped_file(report):
    manifest = read_manifest(shipped_policy_path())
    assert (report.policy, report.sha256) == (manifest.name, manifest.sha256)
    assert report.metrics() == manifest.metrics


def test_every_split_was_measured(report):
    assert set(SPLITS) <= set(report.splits)


def test_the_card_says_what_was_measured():
    assert CARD.read_text() == model_card(shipped_policy_path(), CARD), (
        'write it with "vla-ros eval --split all --card docs/policy.md"'
    )


@pytest.mark.timeout(900)
def test_forty_new_episodes_agree_with_the_card(report):
    chosen = specs('known', 10, SEED)
    again = success_rate(list(evaluate(shipped_policy_path(), chosen)))
    told = report.splits['known']
    assert len(chosen) == again.n == 40
    assert again.low <= told.high
    assert told.low <= again.high
