"""The public Python interface: the Registry class and the functions of the module."""
