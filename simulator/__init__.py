"""A simulated shop: catalogue, shoppers with their own words, dirty records, and the ground truth of all of it."""
