-- SPDX-License-Identifier: MIT
-- insert_only: rows are published as they are, filtered by _origin; of two copies of a key the one of the lower
-- origin stays, everywhere. A local insert costs the check of _origin and nothing else.
ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS _origin smallint NOT NULL DEFAULT wildcam.me();
DO $wildcam$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = {{table_literal}}::regclass AND a.attname = '_origin' AND NOT a.atthasdef) THEN
    ALTER TABLE {{table}} ALTER COLUMN _origin SET DEFAULT wildcam.me();
  END IF;
END $wildcam$;

-- What arrives. ENABLE REPLICA (wildcam.guard): only the streams' workers run it. The worker itself stores a new row:
-- another worker that stores the same key at this moment makes it fail and try again, which then finds the row.
CREATE OR REPLACE FUNCTION wildcam.apply_{{n}}() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  there smallint;
BEGIN
  SELECT x._origin INTO there FROM {{table}} x WHERE {{same_key x NEW}};
  IF NOT FOUND THEN
    RETURN NEW;
  END IF;
  IF there <> NEW._origin THEN
    PERFORM wildcam.merge_{{n}}('I', 0, NULL, NEW);
  END IF;
  RETURN NULL;
END $wildcam$;

CREATE OR REPLACE FUNCTION wildcam.merge_{{n}}(op "char", v bigint, pv bigint, r {{table}}) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET wildcam.apply = '1' SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  old jsonb;
  there smallint;
BEGIN
  SELECT to_jsonb(x.*), x._origin INTO old, there FROM {{table}} x WHERE {{same_key x r}};
  IF there = r._origin THEN
    RETURN;
  END IF;
  INSERT INTO {{table}} AS x ({{columns}}) {{overriding}}
    VALUES ({{columns r}})
    ON CONFLICT ({{key}}) DO UPDATE SET {{set EXCLUDED}} WHERE x._origin > EXCLUDED._origin;
  IF there > r._origin THEN
    PERFORM wildcam.note({{n}}, {{key_json r}}, 'dup', r._origin, NULL, w.there, old);
  ELSIF there < r._origin THEN
    PERFORM wildcam.note({{n}}, {{key_json r}}, 'dup', r._origin, NULL, w.there, to_jsonb(r));
  END IF;
END $wildcam$;
SELECT wildcam.quiet('wildcam.merge_{{n}}');

CREATE OR REPLACE FUNCTION wildcam.guarded_{{n}}() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
#variable_conflict use_column
BEGIN
  BEGIN
    PERFORM wildcam.merge_{{n}}('I', 0, NULL, NEW);
  EXCEPTION WHEN OTHERS THEN
    IF NOT wildcam.is_poison(SQLSTATE) THEN
      RAISE;
    END IF;
    INSERT INTO wildcam.dead_letter (number, key, v, pv, origin, op, "row", sqlstate, message)
      VALUES ({{n}}, {{key_json NEW}}, 0, NULL, NEW._origin, 'I', to_jsonb(NEW), SQLSTATE, SQLERRM);
  END;
  RETURN NULL;
END $wildcam$;

-- A row cannot be inserted into its own table once more: what a peer misses is filled by wildcam.merge_N there.
CREATE OR REPLACE FUNCTION wildcam.sweep_{{n}}() RETURNS int LANGUAGE sql IMMUTABLE RETURN 0;

CREATE OR REPLACE TRIGGER zz_wildcam_origin BEFORE INSERT ON {{table}} FOR EACH ROW
  WHEN (NEW._origin <> {{me}}) EXECUTE FUNCTION wildcam.foreign_origin();
CREATE OR REPLACE TRIGGER zz_wildcam_only BEFORE UPDATE OR DELETE ON {{table}} FOR EACH STATEMENT
  WHEN (current_setting('wildcam.apply', true) IS DISTINCT FROM '1') EXECUTE FUNCTION wildcam.insert_only();
CREATE OR REPLACE TRIGGER zz_wildcam_truncate BEFORE TRUNCATE ON {{table}} FOR EACH STATEMENT
  WHEN (current_setting('wildcam.apply', true) IS DISTINCT FROM '1') EXECUTE FUNCTION wildcam.no_truncate();
