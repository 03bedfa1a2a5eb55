"""The embedded simulator, pure: scene, robot, camera, tasks, expert and environment."""
