"""longshore channel …: by which people are told what can't wait."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import seconds
from longshore.cli.command import Command, Create, Delete, Lister, ShowOne
from longshore.cli.given_files import text_of
from longshore.cli.providers import with_all_projects
from longshore.errors import InvalidInput
from longshore.model.channel import ChannelKind, Occasion, Tls
from longshore.model.durations import duration
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.channels import Channel

_KINDS = tuple(kind.value for kind in ChannelKind if kind is not ChannelKind.COMMAND)
_OCCASIONS = tuple(one.value for one in Occasion)
_SERVER = ("host", "port", "sender", "to", "tls", "user")


class CreateChannel(Create):
    """Make a channel, by which people are told what can't wait: a webhook, mail, or a chat.

    A chat's or webhook's address may be a secret, so it is read from a file. Mail goes by a server of yours.
    """

    examples = (
        "longshore channel create oncall --kind webhook --address address.txt --key key.txt",
        "longshore channel create team --kind slack --address address.txt --on failed --on waits",
        "longshore channel create mail --kind mail --host smtp.example.org --from longshore@example.org "
        '--to team@example.org --digest 15m --quiet "22:00-07:00 Europe/Berlin"',
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("channel", help="its name")
        parser.add_argument("--kind", choices=_KINDS, required=True, help="how people are told; slack: Mattermost, too")
        _with_fields(parser)

    def existing(self, args: Namespace) -> dict[str, Any]:
        return _shown(self.client.channel(args.channel))

    def make(self, args: Namespace) -> dict[str, Any]:
        said = {"name": args.channel, "kind": args.kind, **_fields(args)}
        server = _server(args)
        if server:
            said["mail"] = server
        return _shown(self.client.add_channel(said))


def _with_channel(parser: ArgumentParser) -> None:
    parser.add_argument("channel", help="its name")


def _with_fields(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--on",
        action="append",
        choices=_OCCASIONS,
        metavar="OCCASION",
        help=f"what is told: {', '.join(_OCCASIONS)}; again for more (default of a new one: all)",
    )
    parser.add_argument(
        "--waits-after",
        type=seconds,
        metavar="TIME",
        help="how long something waits for a person before that is told (default of a new one: 30m)",
    )
    parser.add_argument(
        "--quiet", metavar="HOURS", help='when nothing is sent: "22:00-07:00 Europe/Berlin"; "" for no such hours'
    )
    parser.add_argument(
        "--digest", type=seconds, metavar="TIME", help="collect messages for so long, and send them as one"
    )
    post = parser.add_argument_group("webhooks and chats")
    post.add_argument("--address", type=Path, metavar="FILE", help="a file with the address, https://…")
    post.add_argument(
        "--key", type=Path, metavar="FILE", help="of a webhook: a file with a key that its messages are signed with"
    )
    mail = parser.add_argument_group("mail")
    mail.add_argument("--host", help="the mail server")
    mail.add_argument("--port", type=int, metavar="N", help="default of a new one: 587")
    mail.add_argument("--from", dest="sender", metavar="ADDRESS", help="whom mails are from")
    mail.add_argument("--to", metavar="ADDRESS", help="whom they are to: one address, as that of a list")
    mail.add_argument(
        "--tls", choices=[one.value for one in Tls], help="default of a new one: starttls; none: without a password"
    )
    mail.add_argument("--user", help="of the mail server")
    mail.add_argument("--password", type=Path, metavar="FILE", help="a file with the user's password")


class SetChannel(ShowOne):
    """Change a channel. What isn't named stays, and what waits to be told is tried again at once."""

    examples = ("longshore channel set team --on failed --waits-after 1h",)
    options = (_with_channel, _with_fields)

    def show(self, args: Namespace) -> dict[str, Any]:
        said = _fields(args)
        if server := _server(args):
            was = self.client.channel(args.channel).mail
            said["mail"] = (was.model_dump(mode="json") if was else {}) | server
        if not said:
            raise InvalidInput("Nothing was said of the channel.", advice="See: longshore help channel set.")
        return _shown(self.client.change_channel(args.channel, said))


class ListChannels(Lister):
    """List the channels, and how telling has gone."""

    examples = ("longshore channel list",)
    options = (with_all_projects,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns = ("Name", "Kind", "Occasions", "Last told", "Waiting", "Lost", "Error")
        found = self.client.channels(all_projects=args.all_projects)
        return columns, [
            (one.name, one.kind.value, ", ".join(one.occasions), moment(one.told_at), one.waiting, one.lost, one.error)
            for one in found
        ]


class ShowChannel(ShowOne):
    """Show a channel, and how telling has gone. Its secrets are never shown."""

    examples = ("longshore channel show team",)
    options = (_with_channel, with_all_projects)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _shown(self.client.channel(args.channel, all_projects=args.all_projects))


class TestChannel(Command):
    """Have a test told by a channel now. Its hours and what waits don't matter; what goes wrong is said."""

    examples = ("longshore channel test team",)
    options = (_with_channel, with_all_projects)

    def take_action(self, args: Namespace) -> None:
        self.client.test_channel(args.channel, all_projects=args.all_projects)
        self.say(f"The receiver of {args.channel} has taken the test.")


class DeleteChannel(Delete):
    """Delete channels. What waits to go by them isn't told any more."""

    examples = ("longshore channel delete team",)
    kind = "channel"

    def delete(self, name: str, args: Namespace) -> None:
        self.client.remove_channel(name)


def _fields(args: Namespace) -> dict[str, Any]:
    """Return what was said of a channel, but for its mail server."""
    said = {"occasions": args.on, "waits_after": args.waits_after, "quiet": args.quiet, "digest": args.digest}
    said |= {
        name: text_of(path).strip()
        for name in ("address", "key", "password")
        if (path := getattr(args, name)) is not None
    }
    return {name: value for name, value in said.items() if value is not None}


def _server(args: Namespace) -> dict[str, Any]:
    return {name: value for name in _SERVER if (value := getattr(args, name)) is not None}


def _shown(channel: Channel) -> dict[str, Any]:
    fields = channel.model_dump(mode="json", exclude={"mail"})
    fields["occasions"] = ", ".join(channel.occasions)
    fields |= {name: duration(fields[name]) if fields[name] else None for name in ("waits_after", "digest")}
    if channel.mail is not None:
        fields |= {f"mail_{name}": value for name, value in channel.mail.model_dump(mode="json").items()}
    return fields
