"""Readers and writers of a stack's data: the stack file, Git, the engine, its history, and the cluster."""
