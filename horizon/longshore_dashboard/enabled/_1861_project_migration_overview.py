PANEL = "migration_overview"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.Overview"
