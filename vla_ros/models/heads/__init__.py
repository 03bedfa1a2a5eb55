"""Heads: what fused tokens (b, n, width) with a mask (b, n) become; each reads them by itself."""
