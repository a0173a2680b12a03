"""LZO1X decompression, for files that Btrfs has compressed.

By the description of the stream that Linux has (Documentation/staging/lzo.rst): instructions, each of which repeats
what came before, and takes some bytes as they are.
"""

_ENDLESS = 16384  # a distance that means the end
_DAMAGED = "what is compressed is damaged"


def decompress(data: bytes, most: int) -> bytes:
    """Decompress LZO1X. Raises OSError when the data are damaged, or longer than `most`."""
    try:
        return _decompress(data, most)
    except IndexError:
        raise OSError(_DAMAGED) from None


def _decompress(data: bytes, most: int) -> bytes:
    out, at, literals = bytearray(), 0, 0
    if data[0] > 17:
        count, at = data[0] - 17, 1
        out += _taken(data, at, count)
        at, literals = at + count, min(count, 4)
    while len(out) <= most:
        code = data[at]
        at += 1
        if code < 16 and literals == 0:
            count, at = _long(code, 15, data, at)
            out += _taken(data, at, count + 3)
            at, literals = at + count + 3, 4
            continue
        if code < 16:
            far, length = (2049, 3) if literals == 4 else (1, 2)
            distance, last, at = far + (data[at] << 2) + (code >> 2), code, at + 1
        elif code < 64:
            length, at = _long(code & 31, 31, data, at) if code >= 32 else _long(code & 7, 7, data, at)
            last = data[at] | data[at + 1] << 8
            distance = (last >> 2) + (1 if code >= 32 else _ENDLESS + ((code & 8) << 11))
            length, at = length + 2, at + 2
            if distance == _ENDLESS:
                return bytes(out)
        else:
            length = 5 + (code >> 5 & 3) if code >= 128 else 3 + (code >> 5 & 1)
            distance, last, at = 1 + (data[at] << 3) + (code >> 2 & 7), code, at + 1
        _repeat(out, distance, length)
        literals = last & 3
        out += _taken(data, at, literals)
        at += literals
    raise OSError(_DAMAGED)


def _long(count: int, full: int, data: bytes, at: int) -> tuple[int, int]:
    """Read a count that doesn't fit and goes on in the bytes that follow; and where what is behind them begins."""
    if count:
        return count, at
    while data[at] == 0:
        full, at = full + 255, at + 1
    return full + data[at], at + 1


def _taken(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise OSError(_DAMAGED)
    return data[at : at + count]


def _repeat(out: bytearray, distance: int, length: int) -> None:
    """Repeat a part of what was written. It may be what it has just written."""
    if distance > len(out):
        raise OSError(_DAMAGED)
    part = out[len(out) - distance :][:length]
    out += (part * (length // len(part) + 1))[:length]
