"""What the commands read and write: the stack file, Git, the engine, its history, and the cluster."""
