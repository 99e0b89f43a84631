"""Operations: what a command does to a stack, each a story from top to bottom."""
