"""Fusions: what is seen, said and felt becomes one set of tokens; see ``fusion.tokens``."""
