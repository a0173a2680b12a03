"""A module for each subject: what is asked of the API for its pages, and what their forms do."""
