"""How migrations run: on the connection the catalog hands over, else on the file that `-x file=PATH` names."""

from alembic import context
from sqlalchemy import URL, Connection, create_engine


def run(connection: Connection) -> None:
    from registry.catalog.schema import metadata

    # A catalog is migrated before it has its name, so all revisions are one transaction: it is whole or it is not there.
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    path = context.get_x_argument(as_dictionary=True).get("file")
    if path is None:
        raise SystemExit("say which file: alembic -x file=PATH upgrade head")
    with create_engine(URL.create("sqlite", database=path)).begin() as opened:
        run(opened)
