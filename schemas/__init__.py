"""Every message, file format and setting of searchloop: pydantic, ftfy and the standard library only."""
