"""The Hugging Face Hub as a Remote: this folder alone imports its client, and is the only door for its errors.

The token comes from the client's own sources (HF_TOKEN, its token file), goes to the Hub's own address alone, and is neither kept
nor said. The client retries uploads and listings; what it does not retry is retried here. Source: huggingface_hub 2.4.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from registry.core.digest import Digest
from registry.errors import HubUnavailable, RemoteMoved, RemoteNotFound
from registry.hub.protocol import Committed, Refs, Tree, Upload

from .client import SESSIONS, client, endpoint, require_token, timeout, upload_wait
from .errors import TRIES, pause_of, translated
from .range_request import stream
from .responses import commit_of, refs_of, repository_of, tree_of
from .token import refuse_malformed_token
from .upload import Told, addition, digests_first, groups, refuse_other_bytes

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Answer = TypeVar("Answer")

CHILDREN_ASKED = 100


class HuggingFace:
    """Remote: the Hub that HF_ENDPOINT names, else the public one."""

    def check_settings(self) -> None:
        """Its address and the token."""
        with translated("", None):
            endpoint()
            refuse_malformed_token()

    def tree(self, repository: str, revision: str | None = None) -> Tree:
        """One request: the files with size and digest, and the commit they are of."""
        info = self._ask(
            repository,
            revision,
            lambda api: api.model_info(
                repository, revision=revision, files_metadata=True, timeout=timeout()
            ),
        )
        return tree_of(info, repository)

    def refs(self, repository: str) -> Refs:
        """One request."""
        found = self._ask(repository, None, lambda api: api.list_repo_refs(repository))
        return refs_of(found, repository)

    def history(self, repository: str, revision: str) -> Iterator[str]:
        """A request for each page, all of them before the first commit is given."""
        found = self._ask(
            repository, revision, lambda api: api.list_repo_commits(repository, revision=revision)
        )
        return iter([commit_of(item.commit_id, repository) for item in found])

    def create(self, repository: str, *, private: bool) -> None:
        """Answers of `it is there already` are taken for success."""
        require_token(repository)
        upload_wait()  # a wait that cannot be meant is said before anything is made
        self._ask(
            repository,
            None,
            lambda api: api.create_repo(repository, private=private or None, exist_ok=True),
        )

    def digests_first(self) -> bool:
        """By LFS."""
        return digests_first()

    def commit(
        self,
        repository: str,
        uploads: Sequence[Upload],
        remove: Sequence[str],
        *,
        parent: str,
        branch: str,
        message: str,
        description: str,
        proposal: bool,
        progress: Callable[[int], object],
        hashed: Callable[[Digest], Digest | None] = lambda _: None,
    ) -> Committed:
        """First the large files, then one commit. The bytes of each were compared with its digest before the commit is made.

        By Xet they are those that were sent. By LFS they were read before, and the Hub compares what it gets with the digest that it was told.
        """
        require_token(repository)
        told = Told(progress)
        with told.own(), client(repository, branch, wait=upload_wait()) as api:
            from huggingface_hub import CommitOperationDelete

            additions = [
                addition(upload, told, SESSIONS.silence.heard, hashed) for upload in uploads
            ]
            for group in groups(additions, uploads):
                api.preupload_lfs_files(
                    repository,
                    [added for added, _ in group],
                    revision=branch,
                    create_pr=proposal,
                    free_memory=False,
                )
                for added, upload in group:
                    refuse_other_bytes(added, upload)
                    added.sent()
            deletions = [CommitOperationDelete(path_in_repo=path) for path in remove]
            done = api.create_commit(
                repository,
                [*additions, *deletions],
                commit_message=message,
                commit_description=description,
                revision=branch,
                create_pr=proposal,
                parent_commit=parent,
            )
            return Committed(
                commit_of(done.oid, repository), str(done.pr_url) if proposal else None
            )

    def branch(self, repository: str, name: str, commit: str) -> None:
        """One that is there already stays where it is."""
        self._ask(
            repository,
            commit,
            lambda api: api.create_branch(repository, branch=name, revision=commit, exist_ok=True),
        )

    def remove_branch(self, repository: str, name: str) -> None:
        """As asked."""
        with contextlib.suppress(RemoteNotFound):
            self._ask(repository, name, lambda api: api.delete_branch(repository, branch=name))

    def tag(self, repository: str, name: str, commit: str, *, message: str | None = None) -> None:
        """The client's own exist_ok would hide a tag that points elsewhere, so where it points is looked up."""
        try:
            self._ask(
                repository,
                commit,
                lambda api: api.create_tag(
                    repository, tag=name, revision=commit, tag_message=message
                ),
            )
        except RemoteMoved:
            there = self.tree(
                repository, name
            ).commit  # its ref may name an object of git's that names the commit
            if there != commit:
                raise RemoteMoved(
                    f"the tag {name} of hf://{repository} points to {there}, not to {commit}"
                ) from None

    def remove_tag(self, repository: str, name: str) -> None:
        """As asked."""
        with contextlib.suppress(RemoteNotFound):
            self._ask(repository, name, lambda api: api.delete_tag(repository, tag=name))

    def children(self, repository: str) -> tuple[str, ...]:
        """By the tag that the Hub makes of a card's base_model."""
        found = self._ask(
            repository,
            None,
            lambda api: list(
                api.list_models(filter=f"base_model:adapter:{repository}", limit=CHILDREN_ASKED)
            ),
        )
        return tuple(sorted({repository_of(item.id, repository) for item in found} - {repository}))

    def fetch(
        self, repository: str, commit: str, path: str, offset: int
    ) -> Iterator[tuple[int, bytes]]:
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

    def _ask(
        self, repository: str, revision: str | None, action: Callable[[HfApi], Answer]
    ) -> Answer:
        """What the client answers, asked again after a moment where it fails for a moment, unless its own tries took long enough."""
        failures, end = 0, time.monotonic() + TRIES * timeout()
        while True:
            try:
                with client(repository, revision) as api:
                    refuse_malformed_token()
                    return action(api)
            except HubUnavailable as error:
                failures += 1
                pause = pause_of(error, failures)
                if pause is None or time.monotonic() > end:
                    raise
                time.sleep(pause)
