"""The table of what a hub answers: methods, path, and by whom."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.hub_server import reading, repositories, storage, writing, xet
from tests.support.hub_server.wire import Answer

_ID = r"/([^/]+/[^/]+)"
ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = [
    (methods, re.compile(pattern + r"/?", re.DOTALL), answer)
    for methods, pattern, answer in (
        ("GET", r"/api/whoami-v2", repositories.whoami),
        ("POST", r"/api/validate-yaml", writing.validate),
        ("POST", r"/api/repos/create", repositories.create),
        ("POST", r"/api/repos/move", repositories.move),
        ("DELETE", r"/api/repos/delete", repositories.delete),
        ("GET", r"/api/models", repositories.listing),
        ("GET", rf"/api/models{_ID}", repositories.info),
        ("GET", rf"/api/models{_ID}/revision/([^/]+)", repositories.info),
        ("PUT", rf"/api/models{_ID}/settings", repositories.settings),
        ("GET", rf"/api/models{_ID}/auth-check(/write)?", repositories.check),
        ("GET", rf"/api/models{_ID}/refs", repositories.refs),
        ("GET", rf"/api/models{_ID}/commits/([^/]+)", repositories.commits),
        ("POST", rf"/api/models{_ID}/tag/([^/]+)", repositories.tag),
        ("DELETE", rf"/api/models{_ID}/tag/([^/]+)", repositories.untag),
        ("POST", rf"/api/models{_ID}/branch/([^/]+)", repositories.branch),
        ("DELETE", rf"/api/models{_ID}/branch/([^/]+)", repositories.unbranch),
        ("POST", rf"/api/models{_ID}/super-squash/([^/]+)", repositories.squash),
        ("GET", rf"/api/models{_ID}/tree/([^/]+)(?:/(.+))?", reading.tree),
        ("POST", rf"/api/models{_ID}/paths-info/([^/]+)", reading.paths),
        ("GET HEAD", rf"{_ID}/resolve/([^/]+)/(.+)", reading.resolve),
        ("GET HEAD", rf"/api/resolve-cache/models{_ID}/([^/]+)/(.+)", reading.cached),
        ("POST", rf"/api/models{_ID}/preupload/([^/]+)", writing.preupload),
        ("POST", rf"/api/models{_ID}/commit/([^/]+)", writing.commit),
        ("POST", rf"{_ID}\.git/info/lfs/objects/batch", storage.batch),
        ("POST", rf"{_ID}\.git/info/lfs/verify", storage.verify),
        ("PUT", r"/__s3__/put/([0-9a-f]{64})", storage.put),
        ("PUT", r"/__s3__/part/([0-9a-f]{64})/(\d+)", storage.put_part),
        ("POST", r"/__s3__/complete/([0-9a-f]{64})", storage.complete),
        ("GET HEAD", r"/__cdn__/([0-9a-f]{64})", storage.download),
        ("GET", rf"/api/models{_ID}/xet-(read|write)-token/([^/]+)", xet.token),
        ("POST", r"/__cas__/v1/xorbs/default/([0-9a-f]{64})", xet.put_xorb),
        ("POST", r"/__cas__/v1/shards", xet.put_shard),
        ("GET", r"/__cas__/v1/reconstructions/([0-9a-f]{64})", xet.reconstruction),
        ("GET", r"/__cas__/xorb/([0-9a-f]{64})", xet.get_xorb),
    )
]
"""The groups of the path are handed over, percent signs undone."""
