"""The engine and the state: how it is run, what it says, where a stack stands by it."""
