"""The panels: of a project, and for administrators of all. Who sees none may open none either."""

import horizon
from django.utils.translation import gettext_lazy as _

from longshore_dashboard.subjects import slug_of

_SERVICE = "openstack.services.migration"


class _OfProject(horizon.Panel):
    permissions = (_SERVICE,)
    policy_rules = (("migration", "migration:me:get"),)


class _OfAll(horizon.Panel):
    permissions = (_SERVICE, "openstack.roles.admin")
    policy_rules = (("migration", "migration:all_projects"),)


class Overview(_OfProject):
    name, subject, slug = _("Overview"), "overview", slug_of("overview")


class Plans(_OfProject):
    name, subject, slug = _("Plans"), "plans", slug_of("plans")


class Migrations(_OfProject):
    name, subject, slug = _("Migrations"), "migrations", slug_of("migrations")


class Replicas(_OfProject):
    name, subject, slug = _("Replicas"), "replicas", slug_of("replicas")


class Backups(_OfProject):
    name, subject, slug = _("Backups"), "backups", slug_of("backups")


class Providers(_OfProject):
    name, subject, slug = _("Providers"), "providers", slug_of("providers")


class Jobs(_OfProject):
    name, subject, slug = _("Jobs"), "jobs", slug_of("jobs")


class OverviewOfAll(_OfAll):
    name, subject, slug = _("Overview"), "overview", slug_of("overview")


class PlansOfAll(_OfAll):
    name, subject, slug = _("Plans"), "plans", slug_of("plans")


class MigrationsOfAll(_OfAll):
    name, subject, slug = _("Migrations"), "migrations", slug_of("migrations")


class ReplicasOfAll(_OfAll):
    name, subject, slug = _("Replicas"), "replicas", slug_of("replicas")


class BackupsOfAll(_OfAll):
    name, subject, slug = _("Backups"), "backups", slug_of("backups")


class ProvidersOfAll(_OfAll):
    name, subject, slug = _("Providers"), "providers", slug_of("providers")


class JobsOfAll(_OfAll):
    name, subject, slug = _("Jobs"), "jobs", slug_of("jobs")


class Administration(_OfAll):
    name, subject, slug = _("Administration"), "administration", slug_of("administration")
