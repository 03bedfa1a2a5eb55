"""Action encoders: what was done or is to be done, as tokens; and how a sequence is read."""
