"""repair: the catalog made anew from the journal; lost or damaged entries and blobs fetched by digest from wherever they still are.

Nothing is trusted but a digest: of a blob its name, of an entry what its successor, or the catalog, says of it.
"""

from .all import repair

__all__ = ["repair"]
