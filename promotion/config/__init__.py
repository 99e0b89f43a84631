"""Stack files: read, edited, and what Git knows of them."""
