"""A file whose bytes come from an NBD server: one on the web, or one that is unpacked as it is read."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress

from longshore.blocks.endpoints import connect
from longshore.blocks.exports import Export, serve_nbdkit
from longshore.errors import CopyError, InvalidInput, Unreachable
from longshore.providers.files.sandbox import sandbox, socket_of
from longshore.providers.files.stored import Stored

_LARGEST_READ = 4 << 20  # bytes


class ServedFile(Stored):
    """A file that is read over NBD; it has to be closed."""

    def __init__(self, name: str, export: Export, identity: str, size: int | None = None) -> None:
        """Connect to the export. Raises Unreachable."""
        self._export = export
        try:
            self._handle = connect(export.uri)
        except CopyError as error:
            raise Unreachable(f"{name} can't be read{export.said()}") from error
        super().__init__(name, self._handle.get_size() if size is None else size, identity)

    def close(self) -> None:
        import nbd

        with suppress(nbd.Error):  # its server may have ended
            self._handle.shutdown()

    def read(self, offset: int, length: int) -> bytes:
        import nbd

        end = min(offset + length, self.size)
        pieces = []
        try:
            while offset < end:
                piece = self._handle.pread(min(_LARGEST_READ, end - offset), offset)
                pieces.append(bytes(piece))
                offset += len(piece)
        except nbd.Error:
            raise Unreachable(f"{self.name} can't be read at byte {offset}{self._export.said()}") from None
        return b"".join(pieces)

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        if offset == 0 and size in (None, self.size):
            return nullcontext(self._export)
        bounds = {"offset": str(offset), "range": str(self.size - offset if size is None else size)}
        return serve_nbdkit("nbd", {"socket": str(socket_of(self._export)), **bounds}, filters=("offset",), threads=8)


class _Unpacked(ServedFile):
    def __init__(self, packed: Stored, export: Export) -> None:
        super().__init__(packed.name, export, f"{packed.identity}.xz")
        self._packed = packed

    def read(self, offset: int, length: int) -> bytes:
        try:
            return super().read(offset, length)
        except Unreachable:
            self._packed.read(0, 1)  # which raises it as well when it isn't the packing that is broken
            raise InvalidInput(
                f"{self.name} can't be unpacked at byte {offset}.",
                advice="It is damaged: copy it again.",
                code="truncated",
            ) from None


@contextmanager
def unpacked_in_place(packed: Stored) -> Iterator[ServedFile]:
    """Serve a .xz whose blocks are small enough to be unpacked one by one as they are asked for.

    Raises Unreachable when they aren't.
    """
    with ExitStack() as stack:
        export = stack.enter_context(packed.serve())
        bounds = {"socket": str(socket_of(export)), "xz-max-block": LARGEST_BLOCK, "xz-max-depth": "8"}
        readable = stack.enter_context(
            serve_nbdkit(
                "nbd",
                bounds,
                filters=("xz",),
                threads=4,
                # Tables and dictionaries are as large as the file says they are
                confined=lambda directory: sandbox([directory, socket_of(export)]),
            )
        )
        served = _Unpacked(packed, readable)
        stack.callback(served.close)
        yield served


LARGEST_BLOCK = "32M"  # of which a reader keeps eight in memory; xz -T0 makes blocks of 24 MiB
