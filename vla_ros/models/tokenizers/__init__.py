"""What turns actions and images into tokens, and what teaches an encoder of patches alone."""
