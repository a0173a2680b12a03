from django.utils.translation import gettext_lazy as _

PANEL_GROUP = "migration"
PANEL_GROUP_NAME = _("Migration")
PANEL_GROUP_DASHBOARD = "project"
ADD_INSTALLED_APPS = ["longshore_dashboard"]
