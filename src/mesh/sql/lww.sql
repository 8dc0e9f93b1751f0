-- SPDX-License-Identifier: MIT
-- lww: a last-write-wins table. Local writes are stamped and journaled; the journal's trigger merges
-- what arrives. plain_* and unique_* are the rules for tables without and with more unique keys.
-- Functions that run for clients are SECURITY DEFINER: writers need no right on schema wildcam's tables.
ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS _v bigint NOT NULL DEFAULT {{first}};
ALTER TABLE {{table}} ALTER COLUMN _v SET DEFAULT wildcam.stamp(0);
CREATE TABLE IF NOT EXISTS wildcam.journal_{{n}}(v bigint NOT NULL, pv bigint{{by_width}}) -- widest first: no padding
  WITH (autovacuum_enabled = false);
SELECT wildcam.shape('wildcam.journal_{{n}}', {{stored_names}}, {{stored_types}});
CREATE TABLE IF NOT EXISTS wildcam.tombstone_{{n}}({{key_definition}}, v bigint NOT NULL, PRIMARY KEY ({{stored_key}}));
SELECT wildcam.shape('wildcam.tombstone_{{n}}', {{key_names}}, {{key_types}});
{{objects}}

-- Triggers on the table have no WHEN: PostgreSQL parses one anew for each statement, which costs a single row more
-- than the question inside does.

-- BEFORE UPDATE: the row is locked, and as the last of its kind nothing changes it any more: stamp and
-- journal at once. A changed key is a delete and an insert: left to the AFTER triggers, which own the new key.
CREATE OR REPLACE FUNCTION wildcam.update_{{n}}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $wildcam$
BEGIN
  IF wildcam.is_merging() THEN
    RETURN NEW;
  END IF;
  NEW._v := wildcam.stamp(GREATEST(OLD._v, NEW._v));
  INSERT INTO wildcam.journal_{{n}} (v, pv, origin, op, {{stored}})
    SELECT NEW._v, OLD._v, {{me}}, 'U', {{columns NEW}} WHERE {{same_key OLD NEW}};
  IF NOT FOUND{{or_unique_moved}} THEN
    PERFORM wildcam.followed(TG_RELID);
  END IF;
  RETURN NEW;
END $wildcam$;

-- The snapshot of a whole transaction may be older than the key's tombstone (or parked row), which must be known: a
-- row below it would stand here alone. Fails as one that cannot be serialized then.
CREATE OR REPLACE FUNCTION wildcam.fresh_{{n}}(r {{table}}) RETURNS void
LANGUAGE plpgsql SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
BEGIN
  INSERT INTO wildcam.tombstone_{{n}} AS d ({{stored_key}}, v) VALUES ({{key r}}, 0) ON CONFLICT ({{stored_key}}) DO NOTHING;
  IF FOUND THEN
    DELETE FROM wildcam.tombstone_{{n}} d WHERE {{same_key d r}} AND d.v = 0;
  END IF;
  {{fresh_parked}}
END $wildcam$;

-- A row that takes a key: above its tombstone (and a parked row of that key, which it replaces). It may also come
-- with a version: from a dump, or a copy of another row.
CREATE OR REPLACE FUNCTION wildcam.insert_{{n}}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  above bigint;
  parked bigint;
BEGIN
  IF wildcam.is_merging() THEN
    RETURN NULL;
  END IF;
  IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed' THEN
    PERFORM wildcam.fresh_{{n}}(NEW);
  END IF;
  {{take_parked}}
  SELECT d.v INTO above FROM wildcam.tombstone_{{n}} d WHERE {{same_key d NEW}};
  {{take_above}}
  IF NOT wildcam.is_own(NEW._v, above) THEN
    UPDATE {{table}} x SET _v = GREATEST(w.above, x._v) WHERE {{same_key x NEW}}; -- stamps again, and journals
    IF NOT FOUND THEN
      PERFORM 1 FROM {{table}} x WHERE {{same_key x NEW}};
      IF FOUND THEN
        RAISE EXCEPTION 'a trigger of {{table_text}} forbids to stamp a row that takes the key of a deleted one'
          USING ERRCODE = 'triggered_action_exception', HINT = 'Let its BEFORE UPDATE triggers pass updates of _v alone.';
      END IF;
    END IF;
    RETURN NULL;
  END IF;
  INSERT INTO wildcam.journal_{{n}} (v, pv, origin, op, {{stored}})
    VALUES (NEW._v, COALESCE(above, 0), {{me}}, 'I', {{columns NEW}});
  RETURN NULL;
END $wildcam$;

CREATE OR REPLACE FUNCTION wildcam.delete_{{n}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  v bigint;
BEGIN
  IF wildcam.is_merging() THEN
    RETURN NULL;
  END IF;
  v := wildcam.stamp(OLD._v);
  INSERT INTO wildcam.tombstone_{{n}} AS d ({{stored_key}}, v) VALUES ({{key OLD}}, w.v)
    ON CONFLICT ({{stored_key}}) DO UPDATE SET v = EXCLUDED.v WHERE d.v < EXCLUDED.v;
  INSERT INTO wildcam.journal_{{n}} (v, pv, origin, op, {{stored}})
    VALUES (w.v, OLD._v, {{me}}, 'D', {{columns OLD}}); -- the whole row: a peer's dummy must satisfy its checks
  {{drop_parked}}
  RETURN NULL;
END $wildcam$;

-- What arrives. ENABLE REPLICA (wildcam.guard): only the streams' workers run it. Returns NULL: nothing is stored.
CREATE OR REPLACE FUNCTION wildcam.apply_{{n}}() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
{{merge NEW}}
$wildcam$;

CREATE OR REPLACE FUNCTION wildcam.merge_{{n}}(op "char", v bigint, pv bigint, r {{table}}) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET wildcam.apply = '1' SET search_path = {{path}} AS $wildcam$
{{merge r}}
$wildcam$;
SELECT wildcam.quiet('wildcam.merge_{{n}}');

CREATE OR REPLACE FUNCTION wildcam.guarded_{{n}}() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
#variable_conflict use_column
DECLARE
  r {{table}};
BEGIN
  {{assign r}}
  BEGIN
    PERFORM wildcam.merge_{{n}}(NEW.op, NEW.v, NEW.pv, r);
  EXCEPTION WHEN OTHERS THEN
    IF NOT wildcam.is_poison(SQLSTATE) THEN
      RAISE;
    END IF;
    INSERT INTO wildcam.dead_letter (number, key, v, pv, origin, op, "row", sqlstate, message)
      VALUES ({{n}}, {{key_json r}}, NEW.v, NEW.pv, NEW.origin, NEW.op, to_jsonb(r) - '_v', SQLSTATE, SQLERRM);
  END;
  RETURN NULL;
END $wildcam$;

-- Journals what is held here for a key once more, with its own version: every node merges it, and a newer one wins.
CREATE OR REPLACE FUNCTION wildcam.replay_{{n}}(key jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  k {{table}} := jsonb_populate_record(NULL::{{table}}, key);
  best bigint;
  v bigint;
BEGIN
  SELECT max(a.v) INTO best FROM (
    SELECT x._v AS v FROM {{table}} x WHERE {{same_key x k}}
    UNION ALL SELECT d.v FROM wildcam.tombstone_{{n}} d WHERE {{same_key d k}}
    {{or_parked}}) a;
  INSERT INTO wildcam.journal_{{n}} (v, pv, origin, op, {{stored}})
    SELECT x._v, NULL, {{me}}, 'U', {{columns x}} FROM {{table}} x
    WHERE {{same_key x k}} AND x._v = w.best RETURNING journal_{{n}}.v INTO v;
  IF NOT FOUND THEN
    INSERT INTO wildcam.journal_{{n}} (v, pv, origin, op, {{stored_key}})
      SELECT d.v, NULL, {{me}}, 'D', {{key d}} FROM wildcam.tombstone_{{n}} d
      WHERE {{same_key d k}} AND d.v = w.best RETURNING journal_{{n}}.v INTO v;
  END IF;
  {{replay_parked}}
  RETURN best;
END $wildcam$;

CREATE OR REPLACE TRIGGER zz_wildcam_update BEFORE UPDATE ON {{table}} FOR EACH ROW EXECUTE FUNCTION wildcam.update_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_insert AFTER INSERT ON {{table}} FOR EACH ROW EXECUTE FUNCTION wildcam.insert_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_delete AFTER DELETE ON {{table}} FOR EACH ROW EXECUTE FUNCTION wildcam.delete_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_key_old AFTER UPDATE{{of_key}} ON {{table}} FOR EACH ROW
  WHEN (NOT ({{same_key OLD NEW}})) EXECUTE FUNCTION wildcam.delete_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_key_new AFTER UPDATE{{of_key}} ON {{table}} FOR EACH ROW
  WHEN (NOT ({{same_key OLD NEW}})) EXECUTE FUNCTION wildcam.insert_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_truncate BEFORE TRUNCATE ON {{table}} FOR EACH STATEMENT
  WHEN (current_setting('wildcam.apply', true) IS DISTINCT FROM '1') EXECUTE FUNCTION wildcam.no_truncate();
{{release_triggers}}
