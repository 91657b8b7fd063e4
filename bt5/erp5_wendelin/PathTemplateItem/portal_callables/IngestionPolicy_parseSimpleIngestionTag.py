# A tag says who sends and, behind the first dot, what: sensor.product. The Data Supply of the sensor takes it, or else
# that of the policy. Returning None refuses a tag.
if "" in reference.split("."):
    return None
sensor, _, product = reference.partition(".")
return {"reference": reference, "specialise_reference": sensor, "resource_reference": product or sensor}
