"""One command a file: ``register(commands)`` adds it to the command line."""
