"""Every message, file format and setting of searchloop: pydantic, msgspec, ftfy and the standard library only."""
