"""The HTTP face: Flask views that translate between requests and use cases, and decide nothing."""
