"""Stand-in for Pulumi's Python language host: it runs programs and policy packs.

The lab uses it where the official `pulumi-language-python` of the engine's version is not available. The executor
`pulumi-language-python-exec`, which loads the program, is always the official one.
"""
