"""Stand-in for Pulumi's Python language host: runs programs, policy packs and plugins written in Python.

Used where the official `pulumi-language-python` of the engine's version can't be had; the executor
`pulumi-language-python-exec`, which loads the program, is the official one.
"""
