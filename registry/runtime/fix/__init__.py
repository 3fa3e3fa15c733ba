"""Fix: folders that no library loads any more, nearly all of them adapters', put right in a copy. What was done is said in a sentence each.

names: tensors that have the names they had inside a wrapper. around: a lost tokenizer, lost modules, a stray config.json.
table: the whole token table that a model resized in memory left in its adapter. full: a full model with a wrapper's names.
proof: what the result is compared with.
Nothing is guessed: where two ways are possible, or the evidence is missing, an error with a
hint is raised.
"""

from .adapter_names import Renaming, fits, renamings
from .folder_files import mend_config, mend_modules, mend_tokenizer
from .full_model import unwrap
from .token_table import Split, build_base, extends, split_of
from .verify_repair import landed, live_by_hand

__all__ = [
    "Renaming",
    "Split",
    "build_base",
    "extends",
    "fits",
    "landed",
    "live_by_hand",
    "mend_config",
    "mend_modules",
    "mend_tokenizer",
    "renamings",
    "split_of",
    "unwrap",
]
