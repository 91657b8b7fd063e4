"""What a user does, one module a verb: each takes values, returns a small frozen dataclass, and never prints.

`observer` says what a verb tells while it works; `hashing`, `writing` and `report` hold what verbs share.
"""
