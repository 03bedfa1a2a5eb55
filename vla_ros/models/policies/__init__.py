"""Policies, assembled from layers and encoders; each is one file and registers by name."""
