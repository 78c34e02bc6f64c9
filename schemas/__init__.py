"""Every message, file format and setting of searchloop.

By pydantic, msgspec, ftfy and the standard library only; ``publish`` writes YAML by PyYAML.
"""
