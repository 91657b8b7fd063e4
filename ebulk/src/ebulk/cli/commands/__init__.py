"""One module a command: `run(arguments, context)` calls a verb, prints what it returned, and returns the exit code."""
