from registry.errors import VersionNotFound
from registry.operations.shared.resolve import still_there
from tests.support import plain
from tests.support.refusals import raises


def test_a_version_that_is_deleted_while_it_is_worked_on_gets_no_entry_more(registered, tmp_path):
    version = registered.add(
        plain.base(tmp_path / "second", seed=2), "minilm", measure=False
    ).version
    registered.delete(version)

    with registered.home.reading() as connection, raises(VersionNotFound, version.reference):
        still_there(connection, version)
