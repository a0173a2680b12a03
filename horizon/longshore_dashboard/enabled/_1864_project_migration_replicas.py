PANEL = "migration_replicas"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.Replicas"
