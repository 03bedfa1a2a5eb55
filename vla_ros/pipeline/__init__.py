"""The pipeline stages, pure: camera -> command -> policy -> chunk -> gate -> attention."""
