"""Alembic's way in: it works on the connection or writes the dialect that `issuer.migrations.upgrade` hands over."""

from alembic import context

import issuer.models_access
import issuer.models_cases
import issuer.models_delivery
import issuer.models_desk
import issuer.models_eudi
import issuer.models_feedback
import issuer.models_figures
import issuer.models_imports
import issuer.models_library
import issuer.models_library_checks
import issuer.models_payments
import issuer.models_presentations
import issuer.models_print
import issuer.models_rules
import issuer.models_staff  # noqa: F401 - their tables join the metadata
from issuer.models import Base

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"], target_metadata=Base.metadata, literal_binds=True
    )
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        compare_type=True,
    )
with context.begin_transaction():
    context.run_migrations()
