import json

from vla_ros.evaluation.curves import draw_curves


def test_a_picture_is_drawn_of_every_loss(tmp_path):
    log = tmp_path / 'log.jsonl'
    lines = [{'step': step, 'elapsed_s': step, 'a': 1.0 / step, 'b': 1.0} for step in (1, 2)]
    log.write_text('\n'.join(json.dumps(line) for line in lines))
    draw_curves(log, tmp_path / 'curves.png')
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')
