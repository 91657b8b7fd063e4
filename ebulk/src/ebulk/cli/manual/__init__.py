"""The manual: one page a command, made of what `pages` says in words and of the options that `arguments` has.

`markup` reads the words, `page` puts a page together, and it is written as `text` for the terminal, as `roff` for
`man`, and as reStructuredText (`rst`) for `docs/commands.rst`.
"""
