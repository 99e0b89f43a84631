"""The addressbook: stores persons in PostgreSQL and serves them over HTTP."""
