"""Alembic's way in: it works on the connection that `issuer.migrations.upgrade` hands over."""

from alembic import context

import issuer.models_access
import issuer.models_delivery  # noqa: F401 - their tables join the metadata
from issuer.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
