-- A database and the role that alone uses it. The same again changes nothing, so a run that was cut short is run anew.
\getenv database RELEASE_DATABASE
\getenv password RELEASE_PASSWORD
\getenv platform PGDATABASE
\getenv platform_user PLATFORM_USER

SELECT format('CREATE ROLE %I', :'database')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'database') \gexec
ALTER ROLE :"database" WITH LOGIN PASSWORD :'password';
-- So that the administrator, who is no superuser in a cloud, may end the role's connections when it is dropped.
GRANT :"database" TO CURRENT_USER;

SELECT format('CREATE DATABASE %I', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"database";

-- PostgreSQL lets every role into every database that does not say otherwise. Somebody else's stays as it is.
\if :{?platform_user}
GRANT CONNECT, TEMPORARY ON DATABASE :"platform" TO :"platform_user";
REVOKE CONNECT, TEMPORARY ON DATABASE :"platform" FROM PUBLIC;
\endif

\connect :"database"
GRANT USAGE, CREATE ON SCHEMA public TO :"database";
