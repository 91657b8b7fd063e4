"""The command line: like the library it reads the environment and the clock, and it alone the terminal.

`main` runs a command and turns errors into messages and exit codes; `arguments` says what can be written;
`commands` has one module a command; `context` finds the folder, the lake and the user; `progress`, `bars`, `report` and
`output` are what a person sees or a program reads.
"""
