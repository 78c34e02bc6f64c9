"""Embed, find and rank.

One model, one collection and one way to sum scores, always used together as a release.
"""
