"""Demonstrations, commands, losses and the trainer."""
