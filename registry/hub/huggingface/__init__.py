"""The Hugging Face Hub as a Remote: this folder alone imports its client, and is the only door for its errors.

The token comes from the client's own sources (HF_TOKEN, its token file), goes to the Hub's own address alone, and is neither kept
nor said. The client retries uploads and listings; what it does not retry is retried here. Source: huggingface_hub 2.4.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from ...errors import HubUnavailable, Refused, RemoteMoved, RemoteNotFound
from ...manifest import FILES_LIMIT
from ..remote import Committed, Refs, RemoteFile, Tree, Upload
from .client import client, require_token, timeout, upload_wait
from .download import stream
from .translate import pause_of
from .upload import addition, groups, refuse_other_bytes

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Answer = TypeVar("Answer")

CHILDREN_ASKED = 100


class HuggingFace:
    """Remote: the Hub that HF_ENDPOINT names, else the public one."""

    def tree(self, repository: str, revision: str | None = None) -> Tree:
        """One request: the files with size and digest, and the commit they are of."""
        info = self._ask(repository, revision, lambda api: api.model_info(repository, revision=revision, files_metadata=True, timeout=timeout()))
        siblings = info.siblings or []
        if len(siblings) > FILES_LIMIT:
            raise Refused(f"hf://{repository} has {len(siblings)} files; {FILES_LIMIT} are allowed")
        if not info.sha:
            raise HubUnavailable(f"the Hub does not say at which commit hf://{repository} is")
        try:
            files = [RemoteFile(str(item.rfilename), int(item.size or 0), str(item.lfs.sha256 if item.lfs else item.blob_id), bool(item.lfs))
                     for item in siblings]
            return Tree(str(info.id), str(info.sha), {file.path: file for file in files}, tuple(str(tag) for tag in info.tags or ()))
        except (TypeError, ValueError, AttributeError) as error:
            raise HubUnavailable(f"the Hub gives no sensible list of the files of hf://{repository}: {error}") from None

    def refs(self, repository: str) -> Refs:
        """One request."""
        found = self._ask(repository, None, lambda api: api.list_repo_refs(repository))
        return Refs({ref.name: ref.target_commit for ref in found.branches}, {ref.name: ref.target_commit for ref in found.tags})

    def history(self, repository: str, revision: str) -> Iterator[str]:
        """A request for each page, all of them before the first commit is given."""
        found = self._ask(repository, revision, lambda api: api.list_repo_commits(repository, revision=revision))
        return iter([item.commit_id for item in found])

    def create(self, repository: str, *, private: bool) -> None:
        """Answers of `it is there already` are taken for success."""
        require_token(repository)
        upload_wait()  # a wait that cannot be meant is said before anything is made
        self._ask(repository, None, lambda api: api.create_repo(repository, private=private or None, exist_ok=True))

    def commit(self, repository: str, uploads: Sequence[Upload], remove: Sequence[str], *, parent: str, branch: str, message: str,
               description: str, proposal: bool, progress: Callable[[int], object]) -> Committed:
        """First the large files, then one commit. The bytes sent are compared with the digests before the commit is made."""
        require_token(repository)
        with client(repository, branch, wait=upload_wait()) as api:
            from huggingface_hub import CommitOperationDelete
            additions = [addition(upload, progress) for upload in uploads]
            for group in groups(additions, uploads):
                api.preupload_lfs_files(repository, [added for added, _ in group], revision=branch, create_pr=proposal, free_memory=False)
                for added, upload in group:
                    refuse_other_bytes(added, upload)
                    added.sent()
            deletions = [CommitOperationDelete(path_in_repo=path) for path in remove]
            done = api.create_commit(repository, [*additions, *deletions], commit_message=message, commit_description=description, revision=branch,
                                     create_pr=proposal, parent_commit=parent)
            return Committed(str(done.oid), str(done.pr_url) if proposal else None)

    def branch(self, repository: str, name: str, commit: str) -> None:
        """One that is there already stays where it is."""
        self._ask(repository, commit, lambda api: api.create_branch(repository, branch=name, revision=commit, exist_ok=True))

    def remove_branch(self, repository: str, name: str) -> None:
        """As asked."""
        with contextlib.suppress(RemoteNotFound):
            self._ask(repository, name, lambda api: api.delete_branch(repository, branch=name))

    def tag(self, repository: str, name: str, commit: str, *, message: str | None = None) -> None:
        """The client's own exist_ok would hide a tag that points elsewhere, so where it points is looked up."""
        try:
            self._ask(repository, commit, lambda api: api.create_tag(repository, tag=name, revision=commit, tag_message=message))
        except RemoteMoved:
            there = self.refs(repository).tags.get(name)
            if there != commit:
                raise RemoteMoved(f"the tag {name} of hf://{repository} points to {there}, not to {commit}") from None

    def remove_tag(self, repository: str, name: str) -> None:
        """As asked."""
        with contextlib.suppress(RemoteNotFound):
            self._ask(repository, name, lambda api: api.delete_tag(repository, tag=name))

    def children(self, repository: str) -> tuple[str, ...]:
        """By the tag that the Hub makes of a card's base_model."""
        found = self._ask(repository, None, lambda api: list(api.list_models(filter=f"base_model:adapter:{repository}", limit=CHILDREN_ASKED)))
        return tuple(sorted(str(item.id) for item in found if str(item.id) != repository))

    def fetch(self, repository: str, commit: str, path: str, offset: int) -> Iterator[tuple[int, bytes]]:
        """A broken transfer is taken up where it broke; each try that brings bytes gives new patience."""
        position, failures = offset, 0
        while True:
            try:
                with client(repository, commit):
                    for start, block in stream(repository, commit, path, position):
                        position, failures = start + len(block), 0
                        yield start, block
                return
            except HubUnavailable as error:
                failures += 1
                pause = pause_of(error, failures)
                if pause is None:
                    raise
                time.sleep(pause)

    def _ask(self, repository: str, revision: str | None, action: Callable[[HfApi], Answer]) -> Answer:
        """What the client answers, asked again after a moment where it fails for a moment."""
        failures = 0
        while True:
            try:
                with client(repository, revision) as api:
                    return action(api)
            except HubUnavailable as error:
                failures += 1
                pause = pause_of(error, failures)
                if pause is None:
                    raise
                time.sleep(pause)
