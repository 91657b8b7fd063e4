"""The lake over HTTP: `lake.Lake` has a method for each thing it can do; bytes travel by `content` and `tus`.

`session` sends requests and decides what is tried again, `failure` turns what goes wrong into `ebulk.errors`,
`documents` turns JSON into `ebulk.model`.
"""
