from longshore.errors import InvalidInput
from longshore.model.platform import Platform, Traits
from longshore.providers.declared import Option, OptionKind, ProviderType


def _settings():
    from made_up.source import Settings

    return Settings


def _open(settings, secrets, _side, _relays, _kept):
    from made_up.source import Source

    return Source(settings, secrets)


def _on_server(said, _grounds):
    if said.get("depth", 0) > 9:
        raise InvalidInput("A server goes 9 deep for its callers.")
    return said


MADE_UP = ProviderType(
    Platform.declare("made-up", Traits(runs=False, tags_apart=True)),
    frozenset({"source"}),
    about="Add a thing that is made up. It needs nothing.\n\nIt is for tests.",
    examples=("longshore provider add made-up one --address host.example",),
    heading="of what is made up",
    options=(
        Option("address", "where it is", metavar="HOST", required=True),
        Option("depth", "how deep to look", OptionKind.NUMBER, metavar="N", default=3),
        Option("ratio", "how much", OptionKind.DECIMAL),
        Option("careful", "look twice", OptionKind.FLAG, default=False),
        Option("shelves", "where to look", OptionKind.REPEATED, flag="--shelf", metavar="SHELF"),
        Option("tool_dir", "where its tool is", OptionKind.PATH, metavar="DIR", only_if_said=True),
        Option("colour", "of its light", choices=("red", "blue"), to_change="of its new light"),
        Option("token", kind=OptionKind.SECRET),
    ),
    safe=frozenset({"address", "depth", "ratio", "careful", "shelves", "colour"}),
    on_server=_on_server,
    where=lambda settings: settings["address"],
    settings=_settings,
    open=_open,
    sent_to=frozenset({"address"}),
    tells_which=frozenset({"address"}),
)
