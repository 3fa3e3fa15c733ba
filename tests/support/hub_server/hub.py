"""HubServer: the server as tests hold it."""

from __future__ import annotations

import copy
import hashlib
import re
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import unquote

from tests.support.hub_server import xet
from tests.support.hub_server.faults import Fault, Faults
from tests.support.hub_server.routes import ROUTES
from tests.support.hub_server.state import ATTRIBUTES, Commit, Repository, Stored, User
from tests.support.hub_server.wire import Answer, Problem, Request, Server

CANARY = "hf_CANARYxTheTokenThatMustBeFoundNowhere"
_HELD = ("repositories", "moved", "contents", "xorbs", "terms", "hashes")


class HubServer:
    """A hub on a port of its own, from `start` (or `with`) to `stop`. See the package's text for what tests do with it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.faults = Faults()
        self.secret = secrets.token_hex(8)
        """What a link to a large file is signed with."""
        self._server = Server(self)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.elsewhere = f"http://localhost:{self.port}"
        """The same server, for a client another one: no token may go there."""
        self.clear()

    def clear(self) -> None:
        """Forget everything: repositories, contents, requests, faults, settings."""
        self.faults.clear()
        self.tokens = {"alice": CANARY, "bob": CANARY.replace("CANARY", "CANARYbob")}
        self.users = {"alice": User("alice", ("org", "acme")), "bob": User("bob")}
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        """Bytes of files by SHA-256; those that came by Xet are put together when somebody reads them."""
        self.grants: dict[str, xet.Grant] = {}
        self.xorbs: dict[str, bytes] = {}
        self.terms: dict[str, list[xet.Term]] = {}
        """What files that came by Xet are made of, by their Xet hash."""
        self.hashes: dict[str, str] = {}
        """SHA-256 to Xet hash, of files that came by Xet."""
        self.parts: dict[str, dict[int, bytes]] = {}
        self.requests: list[Request] = []
        self.errors: list[str] = []
        """Tracebacks of the server's own mistakes; a test's end asserts that there are none."""
        self.page = 1000
        """Entries of one page of a listing."""
        self.large = 10_000_000
        """Bytes above which a text is a large file, too."""
        self.part_size: int | None = None
        """Bytes of one part of an upload by LFS; larger files are sent in parts of this size. None: never in parts."""

    @property
    def token(self) -> str:
        """Alice's, who may write to alice/, org/ and acme/."""
        return self.tokens["alice"]

    # Life.

    def start(self) -> Self:
        """Serve, on a thread."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """End; what hangs is let go."""
        self.faults.clear()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def state(self) -> dict[str, Any]:
        """All that it holds, for `restore`: what many tests begin with is pushed once."""
        with self.lock:
            return {
                name: copy.deepcopy(getattr(self, name))
                if name == "repositories"
                else dict(getattr(self, name))
                for name in _HELD
            }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Hold again what was held when `state` was taken; the records of requests stay."""
        with self.lock:
            for name in _HELD:
                setattr(
                    self,
                    name,
                    copy.deepcopy(state[name]) if name == "repositories" else dict(state[name]),
                )

    # Behind the client's back.

    def repository(self, name: str) -> Repository:
        """A repository that is there, to look at or to change."""
        return self.repositories[name]

    def create(self, name: str, *, private: bool = False) -> Repository:
        """A new repository with its one first commit, as the Hub makes it."""
        with self.lock:
            made = self.repositories[name] = Repository(name, private=private)
            self.moved.pop(name, None)
            self.add_commit(
                made,
                "main",
                {".gitattributes": self.keep(ATTRIBUTES)},
                "initial commit",
                "",
                made.namespace,
            )
            return made

    def commit(
        self,
        name: str,
        files: Mapping[str, bytes | None],
        *,
        revision: str = "main",
        title: str = "by hand",
        message: str = "",
    ) -> str:
        """Commit files (None removes one) on top of a branch, and its oid; no path is refused. Makes the repository if need be."""
        with self.lock:
            repository = self.repositories.get(name) or self.create(name)
            start = repository.resolve(revision) or repository.commits[repository.head]
            tree = dict(start.files)
            for path, content in files.items():
                if content is None:
                    del tree[path]
                else:
                    tree[path] = self.keep(
                        content,
                        large=len(content) > self.large or path.endswith((".safetensors", ".bin")),
                    )
                    repository.objects.add(tree[path].digest)
            return self.add_commit(repository, revision, tree, title, message, repository.namespace)

    def add_commit(
        self,
        repository: Repository,
        revision: str,
        files: Mapping[str, Stored],
        title: str,
        message: str,
        author: str,
    ) -> str:
        """Put a commit with exactly these files on a branch or pull request, which starts at main if it is new."""
        parent = repository.resolve(revision)
        made = Commit(
            parent.oid if parent else repository.branches.get("main"),
            dict(files),
            title,
            message,
            author,
        )
        repository.commits[made.oid] = made
        repository.point(revision, made.oid)
        return made.oid

    def keep(self, content: bytes, *, large: bool = False) -> Stored:
        """Bytes put into the table of contents, as a file of a tree."""
        digest = hashlib.sha256(content).hexdigest()
        self.contents[digest] = content
        return Stored.large(digest, len(content)) if large else Stored.regular(content)

    def head(self, name: str) -> str:
        """The commit that main points to."""
        return self.repositories[name].head

    def tags(self, name: str) -> dict[str, str]:
        """Tag to commit."""
        return dict(self.repositories[name].tags)

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """Path to content at a revision."""
        commit = self.repositories[name].resolve(revision)
        assert commit is not None, f"{name} has no {revision}"
        return {path: self.content(stored.digest) for path, stored in commit.files.items()}

    def content(self, digest: str) -> bytes:
        """The bytes of a file by SHA-256."""
        if digest not in self.contents and digest in self.hashes:
            self.contents[digest] = xet.content(self, digest)
        return self.contents[digest]

    def size(self, digest: str) -> int:
        """Their number."""
        return len(self.contents[digest]) if digest in self.contents else xet.size(self, digest)

    def history(self, name: str, revision: str = "main") -> list[Commit]:
        """A revision's commits, newest first."""
        commit = self.repositories[name].resolve(revision)
        return list(self.repositories[name].line(commit.oid)) if commit else []

    def tag(self, name: str, tag: str, revision: str = "main") -> None:
        """Set a tag, or move it, as whoever may write can by deleting it first."""
        commit = self.repositories[name].resolve(revision)
        assert commit is not None, f"{name} has no {revision}"
        self.repositories[name].tags[tag] = commit.oid

    def move(self, name: str, to: str) -> None:
        """Rename; the old name answers 307 from now on."""
        with self.lock:
            moved = self.repositories[to] = self.repositories.pop(name)
            moved.id = to
            self.moved[name] = to

    def delete(self, name: str) -> None:
        """Delete a repository; its name is free."""
        with self.lock:
            del self.repositories[name]

    def squash(self, name: str, branch: str = "main") -> str:
        """Rewrite a branch into one commit without parent; commits that nothing else names are gone."""
        with self.lock:
            repository = self.repositories[name]
            old = repository.commits[repository.branches[branch]]
            made = Commit(None, old.files, "squashed", "", old.author)
            repository.commits[made.oid] = made
            repository.branches[branch] = made.oid
            repository.forget_unreachable()
            return made.oid

    # Faults and records.

    def fault(self, on: str, **wrong: Any) -> Fault:
        """Order a fault for requests like "POST /commit/"; its fields are those of `Fault`. `hit` tells how often it struck."""
        return self.faults.add(Fault(on, **wrong))

    def asked(self, like: str) -> list[Request]:
        """The requests so far that "METHOD REGEX" matches, in order."""
        wanted = Fault(like)
        return [
            request
            for request in list(self.requests)
            if wanted.matches(request.method, request.target)
        ]

    @property
    def uploaded(self) -> int:
        """Bytes of large files that came in, broken uploads apart."""
        return sum(
            request.length
            for request in self.requests
            if request.path.startswith(("/__s3__/p", "/__cas__/v1/xorbs"))
        )

    @property
    def downloaded(self) -> int:
        """Bytes of large files that went out, as far as they were sent."""
        return sum(
            request.answered
            for request in self.requests
            if request.path.startswith(("/__cdn__/", "/__cas__/xorb/"))
        )

    @property
    def leaks(self) -> list[Request]:
        """Requests that came to the other host with a user's token, which must go to this one only."""
        return [
            request
            for request in self.requests
            if "127.0.0.1" not in request.host and request.bearer in self.tokens.values()
        ]

    # Answering.

    def answer(self, request: Request) -> Answer:
        """What the Hub says to a request; a Problem is raised."""
        for methods, pattern, answer in ROUTES:
            if request.method in methods.split() and (match := pattern.fullmatch(request.path)):
                with self.lock:
                    return answer(
                        self, request, *(group and unquote(group) for group in match.groups())
                    )
        raise Problem(404, "Not found")

    def user(self, request: Request) -> User | None:
        """Who asks; None is anybody. Raises Problem for a token that is nobody's."""
        if request.bearer is None:
            return None
        with suppress(StopIteration):
            return self.users[
                next(name for name, token in self.tokens.items() if token == request.bearer)
            ]
        raise Problem(401, "Invalid credentials in Authorization header")

    def find(self, request: Request, name: str, *, write: bool = False) -> Repository:
        """The repository of a request, if whoever asks may see it, and change it where they would."""
        user = self.user(request)
        if name in self.moved:
            target = re.sub(
                rf"(?<=/){re.escape(name)}(?=[/.?]|$)", self.moved[name], request.target, count=1
            )
            raise Problem(307, "moved", headers={"Location": target})
        found = self.repositories.get(name)
        if found is None or not (user.may_read(found) if user else not found.private):
            if user is None:
                raise Problem(
                    401,
                    "Invalid username or password.",
                    headers={
                        "WWW-Authenticate": 'Bearer realm="Authentication required", charset="UTF-8"'
                    },
                )
            raise Problem(404, "Repository not found", "RepoNotFound")
        if write and user is None:
            raise Problem(401, "Invalid username or password.")
        if write and user and not user.may_write(found.namespace):
            raise Problem(
                403,
                "Forbidden: you don't have the required permissions to write to this repository",
            )
        return found

    def find_commit(self, repository: Repository, revision: str) -> Commit:
        """The commit that a revision names."""
        found = repository.resolve(revision)
        if found is None:
            raise Problem(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found
