"""What goes between ``media.decoder_process`` and its child, ``media.decoder``.

A frame in is the length of a file and the file; a frame out is ``PREPARED`` or ``REFUSED``, a length, and the
prepared picture or the refusal. One ``HELLO`` says that the child is there.
"""

HELLO, PREPARED, REFUSED = b"!", b"+", b"-"
LENGTH_BYTES = 8
