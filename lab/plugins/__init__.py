"""Provider plugin stand-ins: what `pulumi` starts where an official plugin can't be installed."""
