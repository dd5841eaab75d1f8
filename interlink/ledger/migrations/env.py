"""What alembic runs: the steps, on the connection and in the transaction that the caller has opened."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
