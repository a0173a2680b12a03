-- There is no standby yet that could confirm it
SET synchronous_commit = local;
CREATE ROLE longshore LOGIN PASSWORD '$database_password';
CREATE DATABASE longshore OWNER longshore;
