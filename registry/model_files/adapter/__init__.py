"""PEFT adapter folders: configuration, target modules, tensor structure."""
