"""How fast it is: timings that stand beside each other in one run, so that their ratios hold."""
