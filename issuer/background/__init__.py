"""Work that outlives a request: durable tasks on DBOS, the worker that runs them, and its clockwork."""
