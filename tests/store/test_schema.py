"""The schema's versions: what all of them make is what the tables say, and an upgrade keeps what is there."""

import shutil

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

import less_work
import longshore.store.database as database
from longshore.errors import Conflict
from longshore.store.tables import Base, PlanRow, ProviderRow, SecretRow

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"


def upgrade():
    op.add_column("plans", sa.Column("owner", sa.String(255), nullable=False, server_default="nobody"))
    {also}
"""


@pytest.fixture(autouse=True)
def as_the_program(monkeypatch):
    """Each database is made by the program, rather than copied from another one."""
    monkeypatch.setattr(database, "_upgrade", less_work._upgrade)


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(tmp_path, request):
    """Addresses of databases that don't exist yet, or are empty."""
    if request.param == "postgresql":
        shared = request.getfixturevalue("postgresql")
        return lambda name: shared.database()
    return lambda name: f"sqlite:///{tmp_path}/{name}.db"


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """Has a release come out that knows one version more; `also` is what that does beside adding a column."""

    def make(also=""):
        schema = tmp_path / "schema"
        shutil.copytree(database._SCHEMA, schema, ignore=shutil.ignore_patterns("__pycache__"))
        before = database.newest_revision()
        number = f"{int(before) + 1:04}"
        (schema / "versions" / f"{number}_owners.py").write_text(NEXT.format(number=number, before=before, also=also))
        monkeypatch.setattr(database, "_SCHEMA", schema)
        return number

    return make


def kept(url, query):
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return database._revision(connection), connection.execute(text(query)).all()
    finally:
        engine.dispose()


def test_the_newest_version_is_the_last_of_their_row():
    config = Config()
    config.set_main_option("script_location", str(database._SCHEMA))
    assert database.newest_revision() == ScriptDirectory.from_config(config).get_current_head()


def test_what_all_versions_make_is_what_a_new_database_has_and_the_tables_say(urls):
    by_versions, new = urls("versions"), urls("new")
    database.Database(new).close()
    for url in (by_versions, new):
        engine = create_engine(url)
        with engine.begin() as connection:
            database._apply_revisions(connection)  # of a new one there is none to apply
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
            assert database._revision(connection) == database.newest_revision()
        engine.dispose()


def test_one_of_the_version_before_is_upgraded_when_it_is_opened_and_keeps_what_it_has(urls, next_version):
    url = urls("upgraded")
    opened = database.Database(url)
    with opened.session() as session:
        session.add(PlanRow(id="1", project_id="", name="shop", unique_name="/shop", content={"name": "shop"}))
    opened.close()
    number = next_version()
    database.Database(url).close()
    assert kept(url, "SELECT name, owner FROM plans") == (number, [("shop", "nobody")])
    database.Database(url).close()  # and the next one has nothing to do


def test_the_version_in_which_checks_are_jobs_keeps_plans_and_forgets_the_former_checks(urls):
    url = urls("checks")
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(database._SCHEMA))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        plan = "'1', '', 'shop', '/shop', '{}', 1, '2026-11-27 00:00:00', '2026-11-27 00:00:00'"
        columns = "id, project_id, name, unique_name, content, revision, created_at, changed_at"
        connection.execute(text(f"INSERT INTO plans ({columns}) VALUES ({plan})"))
        check = "'c', '1', '', 1, '{}', 'done', 3, 3, '2026-11-27 00:00:00', 1.0"
        columns = "id, plan_id, project_id, revision, asked, state, done, total, created_at, signed_at"
        connection.execute(text(f"INSERT INTO plan_checks ({columns}) VALUES ({check})"))
        connection.execute(text("INSERT INTO plan_check_parts VALUES ('c', 1, '[]')"))
    engine.dispose()
    database.Database(url).close()
    assert kept(url, "SELECT name FROM plans") == (database.newest_revision(), [("shop",)])
    assert kept(url, "SELECT * FROM plan_check_parts")[1] == []


def test_the_version_with_links_for_walls_keeps_what_is_there_and_has_none(urls):
    url = urls("walls")
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(database._SCHEMA))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        plan = "'1', '', 'shop', '/shop', '{}', 1, '2026-11-27 00:00:00', '2026-11-27 00:00:00'"
        columns = "id, project_id, name, unique_name, content, revision, created_at, changed_at"
        connection.execute(text(f"INSERT INTO plans ({columns}) VALUES ({plan})"))
    engine.dispose()
    database.Database(url).close()
    assert kept(url, "SELECT name FROM plans") == (database.newest_revision(), [("shop",)])
    assert kept(url, "SELECT * FROM wall_links")[1] == []
    assert kept(url, "SELECT * FROM nodes")[1] == []


def test_an_upgrade_that_makes_a_table_anew_keeps_what_refers_to_it(urls, next_version):
    url = urls("anew")
    opened = database.Database(url)
    with opened.session() as session:
        session.add(ProviderRow(id="1", project_id="", name="vc", unique_name="/vc", kind="vsphere", settings={}))
        session.flush()
        session.add(SecretRow(provider_id="1", name="password", sealed=b"?"))
    opened.close()
    next_version(also="with op.batch_alter_table('providers') as t: t.alter_column('kind', type_=sa.Text())")
    upgraded = database.Database(url)
    with upgraded.session() as session:
        assert [row.name for row in session.scalars(select(SecretRow))] == ["password"]
        session.delete(session.get_one(ProviderRow, "1"))
    with upgraded.session() as session:
        assert session.scalars(select(SecretRow)).all() == [], "foreign keys hold again"
    upgraded.close()


def test_of_an_upgrade_that_fails_nothing_is_done(urls, next_version):
    url, before = urls("failing"), database.newest_revision()
    database.Database(url).close()
    next_version(also="raise RuntimeError('the disk is full')")
    with pytest.raises(RuntimeError, match="the disk is full"):
        database.Database(url)
    assert kept(url, "SELECT * FROM alembic_version") == (before, [(before,)])
    with pytest.raises(DBAPIError):
        kept(url, "SELECT owner FROM plans")


def test_one_of_a_later_release_is_left_alone(urls, next_version, monkeypatch):
    url, known = urls("later"), database._SCHEMA
    later = next_version()
    database.Database(url).close()
    monkeypatch.setattr(database, "_SCHEMA", known)
    with pytest.raises(Conflict, match=f"its tables have version {later}, and this release knows none later than"):
        database.Database(url)
    assert kept(url, "SELECT * FROM alembic_version") == (later, [(later,)])


def test_one_whose_making_was_broken_off_is_made_whole(tmp_path):
    url = f"sqlite:///{tmp_path}/half.db"
    engine = create_engine(url)
    Base.metadata.create_all(engine, tables=[Base.metadata.tables[name] for name in ("providers", "migrations")])
    engine.dispose()
    opened = database.Database(url)
    with opened.session() as session:
        assert database._revision(session.connection()) == database.newest_revision()
        assert session.scalars(select(PlanRow)).all() == []
    opened.close()
