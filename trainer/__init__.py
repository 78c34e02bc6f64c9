"""From counted pairs to a proven candidate: snapshot, split, fine-tune, evaluate, decide, promote.

Read ``retrain.py`` first.
"""
