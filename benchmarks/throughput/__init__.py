"""Loads of events, processes under measurement, and the bare jobs that ``ingest`` is compared with."""
