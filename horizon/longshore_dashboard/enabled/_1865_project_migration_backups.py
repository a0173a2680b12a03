PANEL = "migration_backups"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.Backups"
