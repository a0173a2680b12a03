"""longshore replica point …: the moments that a machine can be made of again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import asked_hold, with_hold_name, with_until
from longshore.cli.command import Delete, Lister, ShowOne
from longshore.cli.replicas import with_replica
from longshore.errors import InvalidInput
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.replicas import Hold, Point


class ListPoints(Lister):
    """List a replica's points, oldest first, and why each of them stays."""

    examples = ("longshore replica point list web01",)
    options = (with_replica,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns = ("Number", "Moment", "State", "Consistency", "Changed", "Proved", "Kept by")
        return columns, [self._row(point) for point in self.client.points(args.replica)]

    def _row(self, point: Point) -> tuple[Any, ...]:
        return (
            point.number,
            moment(point.moment),
            f"{point.state} (suspect)" if point.suspect and self.for_people else point.state,
            point.consistency,
            self.size_of(point.bytes_changed),
            moment(point.proved_at),
            "; ".join(point.kept),
        )


def _with_point(parser: ArgumentParser) -> None:
    with_replica(parser)
    parser.add_argument("point", type=int, help="its number")


class ShowPoint(ShowOne):
    """Show a point, with its machine as it was then."""

    examples = ("longshore replica point show web01 17",)
    options = (_with_point,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.point(args.replica, args.point))


class HoldPoint(ShowOne):
    """Keep a point, whatever the retention says."""

    examples = ("longshore replica point hold web01 17 --name before-upgrade",)
    options = (_with_point, with_hold_name, with_until)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.tell_point(args.replica, args.point, "hold", asked_hold(args)))


class ReleasePoint(ShowOne):
    """Leave a point to the retention again."""

    examples = ("longshore replica point release web01 17 --name before-upgrade",)
    options = (_with_point, with_hold_name)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.tell_point(args.replica, args.point, "release", asked_hold(args)))


class DeletePoint(Delete):
    """Delete points. The newest usable one stays, as do those that are held or in use."""

    examples = ("longshore replica point delete web01 17", "longshore replica point delete web01 17 18 19 --yes")
    kind = "point"
    named = "its number"
    for_good = "These points are deleted for good"

    def with_place(self, parser: ArgumentParser) -> None:
        with_replica(parser)

    def find_place(self, args: Namespace) -> None:
        self.client.replica(args.replica)

    def delete(self, name: str, args: Namespace) -> None:
        if not name.isdecimal():
            raise InvalidInput(
                f"{name} isn't a point's number.", advice=f"See: longshore replica point list {args.replica}."
            )
        self.client.delete_point(args.replica, int(name))


def hold_in_words(hold: Hold | None) -> str:
    if hold is None:
        return ""
    return f"{hold.name} until {moment(hold.until)}" if hold.until else hold.name


def _fields(command: ShowOne, point: Point) -> dict[str, Any]:
    fields: dict[str, Any] = point.model_dump(mode="json")
    if command.for_people:
        fields["machine"] = f"{point.machine['name']} ({point.machine['ref']})" if point.machine else None
        fields["kept"] = "\n".join(point.kept)
        fields["users"] = "\n".join(point.users)
        fields["holds"] = "\n".join(map(hold_in_words, point.holds))
        fields["disks"] = "\n".join(
            f"{disk['label']}: snapshot {disk['snapshot_id']}, digest {disk['root_digest'][:16]}…"
            for disk in point.disks
        )
    return fields
