"""`python -m registry` is the command `registry`."""

from .cli import main

raise SystemExit(main())
