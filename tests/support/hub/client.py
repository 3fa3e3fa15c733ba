"""What a piece of Python that talks to a hub with the unpatched client has at hand."""

from __future__ import annotations

SETUP = """
import io, json, sys
from huggingface_hub import (CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, hf_hub_download, snapshot_download)
from huggingface_hub.errors import *
api = HfApi()
def add(path, content): return CommitOperationAdd(path, content)
def commit(repo, files, **more): return api.create_commit(repo, [add(*pair) for pair in files.items()], commit_message="by the client", **more)
def said(value): print(json.dumps(value, default=str))
def refused(act):
    try:
        act()
    except Exception as error:
        return [type(error).__name__, getattr(getattr(error, "response", None), "status_code", None)]
"""
