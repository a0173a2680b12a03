PANEL = "migration_providers"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.Providers"
