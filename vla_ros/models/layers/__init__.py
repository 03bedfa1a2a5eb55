"""Layers, one small file each; b batch, n tokens, q queries, d width, h heads, k chunk length."""
