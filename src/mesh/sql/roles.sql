-- SPDX-License-Identifier: MIT
-- roles: who may do what (docs/contracts/rows.md). Needs CREATEROLE (REPLICATION: a superuser, or the cloud's
-- administrator). No password stands here: whoever has one sets it by a protected connection of its own.
DO $wildcam$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'wildcam_replication') THEN
    CREATE ROLE wildcam_replication LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'wildcam_replication' AND rolreplication) THEN
    ALTER ROLE wildcam_replication REPLICATION;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'wildcam_rows') THEN
    CREATE ROLE wildcam_rows LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'analytics_user') THEN
    CREATE ROLE analytics_user LOGIN;
  END IF;
END $wildcam$;
GRANT pg_monitor, pg_read_all_data TO wildcam_rows;
GRANT pg_read_all_data TO analytics_user;
ALTER ROLE analytics_user SET default_transaction_read_only = on;
