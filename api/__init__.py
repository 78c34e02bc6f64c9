"""The HTTP API: records taken in and searches answered over the topics, with HTTP's own codes.

It decides nothing that the other processes decide: what it takes in goes the way that any producer's goes.
"""
