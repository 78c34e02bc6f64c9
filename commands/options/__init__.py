"""What each verb takes, for ``cli.py``: options, defaults and help, without bodies.

``options/train.py:train`` is carried out by ``commands/train.py:train``, which takes the same parameters
(tested). Nothing heavy is imported here, so that ``--help`` answers at once.
"""
