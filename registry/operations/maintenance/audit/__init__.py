"""audit: is everything what it says? The journal, the catalog against the fold of it, the blobs; with full every byte and fact anew.

Nothing is changed by looking, the catalog is not even brought up to the journal. Each finding says what is so, which versions it
concerns, and the command that mends it.
"""

from .audit import audit

__all__ = ["audit"]
