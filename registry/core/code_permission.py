"""Permission to run custom code of models, by code digest, in the current context.

Nothing is permitted until a caller sets a permission: the registry in use asks its
approvals. Threads and contexts that never opened a registry permit nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from .digest import Digest

Permission = Callable[[Digest], bool]

_permission: ContextVar[Permission | None] = ContextVar("code_permission", default=None)


def is_permitted(code: Digest) -> bool:
    """Return whether code with this digest may run."""
    permission = _permission.get()
    return permission is not None and permission(code)


def set_permission(permission: Permission) -> None:
    """Replace the permission of the current context."""
    _permission.set(permission)


@contextlib.contextmanager
def permitting(code: Digest) -> Iterator[None]:
    """Permit one more code digest inside the block."""
    before = _permission.get()
    token = _permission.set(
        lambda digest: digest == code or (before is not None and before(digest))
    )
    try:
        yield
    finally:
        _permission.reset(token)
