"""
What the objectives of ``vla_ros.training.losses`` do, shown on the tabletop: one file each.

``python -m examples.run`` trains them and measures what each claims; ``docs/objectives.md`` has
the results. ``new_fusion`` shows how to add a fusion of one's own.
"""
