"""The command line: words to actions, values to text.

Values go to standard output, everything else to standard error. Nothing here decides anything about models: a command takes
its arguments, calls the Python function of its name, and prints what came back. Starting loads click and no more.
"""

from .main import main

__all__ = ["main"]
