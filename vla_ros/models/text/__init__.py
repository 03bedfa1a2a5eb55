"""Text encoders: token ids to token features."""
