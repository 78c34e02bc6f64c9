"""From counted pairs to weighted pairs: the snapshot, the split, and whose credit is believed."""
