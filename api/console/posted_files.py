"""The fields of a form that carries a file (multipart/form-data, RFC 7578). Pure."""

import re
from collections.abc import Mapping

MULTIPART = "multipart/form-data"
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?')
_NAME = re.compile(rb'content-disposition:[^\r\n]*[; ]name="([^"\r\n]*)"', re.IGNORECASE)
_MOST = 20
# Of what stands before a part's content so much is read.
_HEAD_BYTES = 1000


def fields_with_files(content_type: str, body: bytes) -> Mapping[str, bytes]:
    r"""Return the contents of the fields, files as they came; what has no name, or is cut off, is left out.

    >>> form = b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\nred mug\r\n--x--\r\n'
    >>> fields_with_files("multipart/form-data; boundary=x", form)
    {'q': b'red mug'}
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return {}
    line = b"\r\n--" + boundary[1].encode()
    found: dict[str, bytes] = {}
    for part in (b"\r\n" + body).split(line, _MOST)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        if name := _NAME.search(head[:_HEAD_BYTES]):
            found[name[1].decode(errors="replace")] = content
    return found
