-- The end of what create_release_database.sql made; the same again changes nothing.
\getenv database RELEASE_DATABASE

DROP DATABASE IF EXISTS :"database" WITH (FORCE);
DROP ROLE IF EXISTS :"database";
