"""The library: what the command line does, for programs and notebooks; `ebulk` itself has its public names.

`lake` is the server, `logins` lets a user in and out, `data_set` has the verbs that work on a folder, and `progress`
tells how far they are. Like `cli`, this is a top layer: it reads the environment and the clock, which verbs do not.
"""
