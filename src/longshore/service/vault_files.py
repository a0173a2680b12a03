"""Files in points: listed, found, and sent one by one, without restoring a machine."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Annotated

from anyio import CancelScope
from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from longshore.api.files import TAR, PointFile, PointFiles, PointPart, UnreadFile
from longshore.border.texts import attachment
from longshore.flows.clouds import Clouds
from longshore.guests.files import FileEntry, FileListing, fetched, find_files, list_files
from longshore.providers.vault.source import find_point
from longshore.service.caller import Access
from longshore.service.judged import caller_of
from longshore.service.parts import TheClouds, TheStore, TheVault, judged_router
from longshore.service.shapes import shaped
from longshore.store import ProviderRecord, Store
from longshore.vault.disks import PointDisk
from longshore.vault.kept_blocks import KeptBlocks

router = judged_router("/v1")

_MOST = 10_000  # files of one answer

_Path = Annotated[str, Query(max_length=4096, description="/etc/hosts, or DISK.PARTITION:/path.")]


@router.get("/vaults/{vault}/files/{point:path}")
def files(  # noqa: PLR0917
    request: Request,
    vault: TheVault,
    point: str,
    store: TheStore,
    clouds: TheClouds,
    path: _Path = "/",
    find: Annotated[str | None, Query(max_length=1000, description="A name, or a pattern like a shell's.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
) -> PointFiles:
    """List what is in a directory of the guest's, or the file itself; with `find` what is anywhere below it and has a
    name that fits, or with a slash in it a path. Case doesn't matter for that.
    """
    with _disks(store, clouds, vault, point, request.app.state.kept_blocks) as (name, disks):
        listing = list_files(disks, path) if find is None else find_files(disks, find, path)
    return _told(name, listing, limit)


async def _while_sent(request: Request) -> AsyncIterator[ExitStack]:
    """Hold open what is needed until all of the answer is sent, or nobody wants it any more. Raises Busy."""
    access: Access | None = request.app.state.access
    stack = ExitStack()
    try:
        if access is None:
            yield stack
            return
        async with request.app.state.fetching.turn(caller_of(request).project_id):
            yield stack
    finally:
        with CancelScope(shield=True):
            await run_in_threadpool(stack.close)


@router.get("/vaults/{vault}/file/{point:path}", response_class=StreamingResponse)
def file(  # noqa: PLR0917
    vault: TheVault,
    point: str,
    path: _Path,
    store: TheStore,
    clouds: TheClouds,
    opened: Annotated[ExitStack, Depends(_while_sent)],
) -> StreamingResponse:
    """Return a file's bytes, or a directory as a tar archive (`application/x-tar`). One that is broken off isn't whole.
    What couldn't be read isn't in it; then its last member, NOT-IN-THIS-ARCHIVE.txt, says line by line what that is.
    """
    _, disks = opened.enter_context(_disks(store, clouds, vault, point))
    found = opened.enter_context(fetched(disks, path))
    is_file = found.kind == "file"
    name = found.name if is_file else f"{found.name}.tar"
    headers = {**attachment(name), "X-Content-Type-Options": "nosniff"}
    if found.size is not None:
        headers["Content-Length"] = str(found.size)
    kind = "application/octet-stream" if is_file else TAR
    return StreamingResponse(found.pieces, media_type=kind, headers=headers)


@contextmanager
def _disks(
    store: Store, clouds: Clouds, vault: ProviderRecord, point: str, shared: KeptBlocks | None = None
) -> Iterator[tuple[str, list[PointDisk]]]:
    """Open the disks of a point, and return them with its name. Raises NotFound."""
    with clouds.vault(vault.id, "read") as opened:
        found = find_point(opened, point)
        kept = shared.of(f"{vault.id} {store.scope.project_id}") if shared else None
        yield found.name, [PointDisk(opened, top, kept, called=found.called(key)) for key, top in found.disks.items()]


def _told(point: str, listing: FileListing, limit: int) -> PointFiles:
    looked = listing.looked
    read = [shaped(PointPart, one, interrupted=one.place in looked.interrupted) for one in looked.systems]
    unread = [shaped(PointPart, one, path=None, interrupted=False) for one in looked.unread]
    return PointFiles(
        point=point,
        files=[_file(entry) for entry in listing.entries[:limit]],
        more=looked.more or len(listing.entries) > limit,
        left_out=[shaped(UnreadFile, one) for one in looked.left_out],
        left_out_count=looked.left_out_count,
        parts=sorted(read + unread, key=_order),
    )


def _order(part: PointPart) -> tuple[int, list[int], str]:
    """Return the key that sorts disks and partitions first; a logical volume's place is a name."""
    numbers = part.place.split(".")
    known = len(part.place) < 20 and all(number.isascii() and number.isdigit() for number in numbers)
    return (0, [int(number) for number in numbers], "") if known else (1, [], part.place)


def _file(entry: FileEntry) -> PointFile:
    try:
        modified = datetime.fromtimestamp(entry.modified, UTC)
    except (ValueError, OverflowError, OSError):
        modified = None
    return shaped(PointFile, entry, modified=modified, target=entry.target or None)
