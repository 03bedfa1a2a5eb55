"""State encoders: what the robot measures of itself, as tokens."""
