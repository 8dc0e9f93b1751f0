-- SPDX-License-Identifier: MIT
-- publication: what this node wrote, and its heartbeats. Only inserts: a journal's rows are never changed, and a
-- filter on a column outside the key is refused otherwise. The filter's number must be a literal.
DO $wildcam$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'wildcam') THEN
    CREATE PUBLICATION wildcam WITH (publish = 'insert');
  END IF;
END $wildcam$;
ALTER PUBLICATION wildcam SET (publish = 'insert');
ALTER PUBLICATION wildcam SET TABLE
  wildcam.heartbeat (origin, ts, lsn, safe, seen) WHERE (origin = {{me}}){{published}};
