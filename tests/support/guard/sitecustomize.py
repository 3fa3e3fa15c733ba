"""Python imports a module of this name at its start: with this folder in PYTHONPATH, every process is guarded."""

import network_guard  # noqa: F401
