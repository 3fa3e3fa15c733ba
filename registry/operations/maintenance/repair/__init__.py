"""repair: the catalog made anew from the journal; lost or damaged entries and blobs fetched by digest from wherever they still are.

Nothing is trusted but a digest: of a blob its name, of an entry what its successor, or the catalog, says of it. Nothing is deleted: entries that
break the journal are set aside, and only where a person accepts that.
"""

from .repair import repair

__all__ = ["repair"]
