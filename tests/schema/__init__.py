"""The shape of the database: catalog, migrations, constraints, plans."""
