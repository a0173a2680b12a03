PANEL = "migration_jobs"
PANEL_DASHBOARD = "admin"
PANEL_GROUP = "migration"
ADD_PANEL = "longshore_dashboard.panels.JobsOfAll"
