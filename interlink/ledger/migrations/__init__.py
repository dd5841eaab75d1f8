"""How the ledger's tables came to be, step by step; run by alembic when a ledger is opened."""
