"""Catalog: the answers. A SQLite database that is a fold of the journal; it can be lost and made again.

The only room with SQLAlchemy and Alembic. Nothing of either is imported here, since `glance` must do without.
"""
