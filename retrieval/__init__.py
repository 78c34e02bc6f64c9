"""Embed, find and rank: one model, one collection and one way to sum scores, always used together as a release."""
