"""Plain types that the layers share. This package imports nothing of the project."""
