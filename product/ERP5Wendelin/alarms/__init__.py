"""What the alarms of a lake do; each is a function that a thin script in `portal_skins` calls with its alarm."""
