"""A simulated shop.

Catalogue, shoppers with their own words, dirty records, and the ground truth of all of it.
"""
