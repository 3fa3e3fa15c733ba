"""Values that operations return, each with `to_dict` where `--json` prints it."""
