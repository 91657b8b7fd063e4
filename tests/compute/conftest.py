from support.site import data_fs, lake  # noqa: F401
