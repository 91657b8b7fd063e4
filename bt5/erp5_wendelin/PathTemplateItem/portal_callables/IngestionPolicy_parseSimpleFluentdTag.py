# The first part of a tag names the Data Supply, and the tag as a whole the Data Stream. Returning None refuses a tag.
parts = reference.split(".")
if "" in parts:
    return None
return {"reference": reference, "specialise_reference": parts[0], "resource_reference": reference}
