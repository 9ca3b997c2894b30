"""The register's schema, step by step. ``HEAD`` is the newest step, known without loading Alembic."""

HEAD = "0018"
