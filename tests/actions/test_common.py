import pytest

from registry.actions.common import still_there
from registry.errors import VersionNotFound
from tests.support import plain


def test_a_version_that_is_deleted_while_it_is_worked_on_gets_no_entry_more(registered, tmp_path):
    version = registered.add(plain.base(tmp_path / "second", seed=2), "minilm", measure=False).version
    registered.delete(version)

    with registered.home.reading() as connection, pytest.raises(VersionNotFound, match="minilm@2 was deleted meanwhile"):
        still_there(connection, version)
