PANEL = "migration_overview"
PANEL_DASHBOARD = "admin"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.OverviewOfAll"
