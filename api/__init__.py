"""The HTTP API: searches answered over the request topic, with HTTP's own codes.

It decides nothing that the other processes decide: what it takes in goes the way that any producer's goes.
"""
