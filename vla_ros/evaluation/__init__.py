"""Rollouts in the simulator, success rates with intervals, and pictures of them."""
