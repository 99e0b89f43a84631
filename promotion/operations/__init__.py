"""Operations: one module for each command, readable from top to bottom."""
