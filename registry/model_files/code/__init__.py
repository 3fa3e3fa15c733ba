"""Custom code of models, analysed statically: references, files, digest."""

from .analysis import Code, code_of
from .references import CodeReference, references_of, repository_folder, rewritten

__all__ = [
    "Code",
    "CodeReference",
    "code_of",
    "references_of",
    "repository_folder",
    "rewritten",
]
