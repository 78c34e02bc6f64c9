"""Text as it may be shown, logged and written: without the secrets that this process has read.

The one place that takes secrets out. What they are it hears when settings and files are read.
"""

import re

SHOWN = "***"
_LEAST = 4  # fewer characters are no secret, and stand in many a word
_KNOWN: set[str] = set()
_USER = re.compile(r"(?<=//)[^/\s@]*(?:@[^/\s@]*)*@")


def hide(secret: str) -> None:
    """Let no text show this from now on."""
    if len(secret) >= _LEAST:
        _KNOWN.add(secret)


def redacted(text: str) -> str:
    """Return the text without known secrets, and without user and password of any address.

    >>> redacted("no Milvus at http://root:Milvus@10.0.0.7:19530"), redacted("http://127.0.0.1:19530")
    ('no Milvus at http://***@10.0.0.7:19530', 'http://127.0.0.1:19530')
    """
    for secret in sorted(_KNOWN, key=len, reverse=True):  # one may begin as another
        text = text.replace(secret, SHOWN)
    return _USER.sub(f"{SHOWN}@", text)
