"""The page of a release: one read-only document of a stack, rendered as HTML, as a static file or served live."""
