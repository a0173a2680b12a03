PANEL = "migration_jobs"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.Jobs"
