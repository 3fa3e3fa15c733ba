"""What the fold knows of the tables is what they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from registry.catalog import columns, schema


@pytest.mark.parametrize("shape", columns.ALL, ids=lambda shape: shape.name)
def test_a_shape_is_its_table(shape):
    table = schema.metadata.tables[shape.name]

    assert shape.columns == tuple(column.name for column in table.columns)
    assert shape.json == tuple(
        column.name for column in table.columns if isinstance(column.type, sa.JSON)
    )
    assert shape.key == tuple(
        column.name
        for column in table.primary_key.columns
        if column.name != "since" and table in schema.INTERVALS
    )


def test_every_table_has_a_shape_and_stands_after_those_it_refers_to():
    names = [shape.name for shape in columns.ALL]

    assert sorted(names) == sorted(schema.metadata.tables)
    assert all(
        names.index(key.column.table.name) < names.index(name)
        for name in names
        for key in schema.metadata.tables[name].foreign_keys
    )


def test_what_tells_that_a_table_holds_something_is_one_of_its_columns():
    assert all(column in shape.columns for shape, column in columns.TOLD_BY.items())
