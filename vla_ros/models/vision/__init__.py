"""Vision encoders: images in, feature maps or tokens out."""
