-- SPDX-License-Identifier: MIT
-- unique: what a table with more unique keys has besides. Of the newest versions of all keys those that share a
-- unique value compete: visible is the greedy choice by (_v, key), greatest first; the others are parked.
CREATE TABLE IF NOT EXISTS wildcam.parked_{{n}}({{key_definition}}, _v bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY ({{stored_key}}));
SELECT wildcam.shape('wildcam.parked_{{n}}', {{stored_names}}, {{stored_types}});
{{parked_indexes}}

-- Gives one version its place. Never raises unique_violation. Its callers silence stamp and journal.
CREATE OR REPLACE FUNCTION wildcam.place_{{n}}(r {{table}}) RETURNS void LANGUAGE plpgsql AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  o {{table}};
  h {{table}};
  freed {{table}}[] := '{}';
  cur bigint;
BEGIN
  LOOP
    UPDATE {{table}} x SET {{set r}}
      WHERE {{same_key x r}} AND x._v < r._v AND {{same_unique x r}}; -- the common case: no unique value changes
    EXIT WHEN FOUND;
    INSERT INTO {{table}} ({{columns}}, _v) {{overriding}}
      VALUES ({{columns r}}, r._v) ON CONFLICT DO NOTHING; -- waits for who holds a value in flight
    IF FOUND THEN
      PERFORM 1 FROM wildcam.tombstone_{{n}} d WHERE {{same_key d r}} AND d.v > r._v;
      IF FOUND THEN
        DELETE FROM {{table}} x WHERE {{same_key x r}} AND x._v = r._v RETURNING x.* INTO o;
        freed := freed || o;
      END IF;
      EXIT;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
      RAISE EXCEPTION 'rows of {{table_text}} compete for a unique value: needs READ COMMITTED' USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT x.* INTO o FROM {{table}} x WHERE {{same_key x r}} FOR UPDATE;
    IF FOUND THEN
      EXIT WHEN o._v >= r._v;
      CONTINUE WHEN {{same_unique o r}};
      DELETE FROM {{table}} x WHERE {{same_key x r}};
      freed := freed || o;
    END IF;
    SELECT x._v INTO cur FROM {{table}} x
      WHERE NOT ({{same_key x r}}) AND ({{rank x}}) > ({{rank r}}) AND ({{conflict x r}})
      LIMIT 1 FOR KEY SHARE; -- the lock: its release and this parking cannot miss each other
    IF FOUND THEN
      INSERT INTO wildcam.parked_{{n}} AS p ({{stored}}, _v) VALUES ({{columns r}}, r._v)
        ON CONFLICT ({{stored_key}}) DO UPDATE SET {{set_parked}} WHERE p._v < EXCLUDED._v;
      PERFORM wildcam.note({{n}}, {{key_json r}}, 'park', r._v, NULL, cur, to_jsonb(r) - '_v');
      PERFORM 1 FROM wildcam.tombstone_{{n}} d WHERE {{same_key d r}} AND d.v > r._v;
      IF FOUND THEN
        DELETE FROM wildcam.parked_{{n}} p WHERE {{same_key p r}} AND p._v = r._v;
      END IF;
      EXIT;
    END IF;
    FOR h IN DELETE FROM {{table}} x
        WHERE NOT ({{same_key x r}}) AND ({{rank x}}) < ({{rank r}}) AND ({{conflict x r}}) RETURNING x.* LOOP
      INSERT INTO wildcam.parked_{{n}} AS p ({{stored}}, _v) VALUES ({{columns h}}, h._v)
        ON CONFLICT ({{stored_key}}) DO UPDATE SET {{set_parked}} WHERE p._v < EXCLUDED._v;
      PERFORM wildcam.note({{n}}, {{key_json h}}, 'evict', h._v, NULL, r._v, to_jsonb(h) - '_v');
      freed := freed || h;
    END LOOP;
  END LOOP;
  FOREACH h IN ARRAY freed LOOP
    PERFORM wildcam.unpark_{{n}}(h);
  END LOOP;
END $wildcam$;

-- A row left: each parked row that shares a unique value with it gets another try, greatest first. Writes old
-- versions back without a stamp or a journal row: every node derives it from the same facts.
CREATE OR REPLACE FUNCTION wildcam.unpark_{{n}}(f {{table}}) RETURNS void LANGUAGE plpgsql AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  p record;
  r {{table}};
BEGIN
  FOR p IN SELECT {{stored_key p}}, p._v FROM wildcam.parked_{{n}} p
      WHERE NOT ({{same_key p f}}) AND ({{conflict p f}}) ORDER BY {{rank_down p}} LOOP
    DELETE FROM wildcam.parked_{{n}} q WHERE {{same_stored_key q p}} AND q._v = p._v
      RETURNING {{stored q}}, q._v INTO {{columns r}}, r._v;
    CONTINUE WHEN NOT FOUND;
    PERFORM 1 FROM wildcam.tombstone_{{n}} d WHERE {{same_key d r}} AND d.v > r._v;
    IF NOT FOUND THEN
      PERFORM wildcam.note({{n}}, {{key_json r}}, 'unpark', r._v, NULL, f._v, NULL);
      PERFORM wildcam.place_{{n}}(r);
    END IF;
  END LOOP;
END $wildcam$;

CREATE OR REPLACE FUNCTION wildcam.released_{{n}}(f {{table}}) RETURNS void
LANGUAGE plpgsql SET wildcam.apply = '1' AS $wildcam$
BEGIN
  PERFORM wildcam.unpark_{{n}}(f);
END $wildcam$;
SELECT wildcam.quiet('wildcam.released_{{n}}');

-- AFTER UPDATE of a unique value or the key, AFTER DELETE. A snapshot of a whole transaction could miss who waits.
CREATE OR REPLACE FUNCTION wildcam.release_{{n}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
BEGIN
  IF wildcam.is_merging() THEN
    RETURN NULL;
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a unique value of {{table_text}} can only be given up in READ COMMITTED'
      USING ERRCODE = 'feature_not_supported', HINT = 'Another region''s row may wait for it: see docs/contracts/rows.md.';
  END IF;
  PERFORM 1 FROM wildcam.parked_{{n}} p WHERE NOT ({{same_key p OLD}}) AND ({{conflict p OLD}}) LIMIT 1;
  IF FOUND THEN
    PERFORM wildcam.released_{{n}}(OLD);
  END IF;
  RETURN NULL;
END $wildcam$;

-- Housekeeping: parked rows that are stale or free, rows below their tombstone. Finds 0.
CREATE OR REPLACE FUNCTION wildcam.sweep_{{n}}() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET wildcam.apply = '1' SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  gone int;
  total int := 0;
  p record;
  r {{table}};
BEGIN
  FOR r IN DELETE FROM {{table}} x USING wildcam.tombstone_{{n}} d
      WHERE {{same_key d x}} AND d.v > x._v RETURNING x.* LOOP
    total := total + 1;
    PERFORM wildcam.unpark_{{n}}(r);
  END LOOP;
  DELETE FROM wildcam.parked_{{n}} p USING {{table}} x WHERE {{same_key p x}} AND x._v >= p._v;
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM wildcam.parked_{{n}} p USING wildcam.tombstone_{{n}} d WHERE {{same_stored_key p d}} AND d.v > p._v;
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  FOR p IN SELECT {{stored_key p}}, p._v FROM wildcam.parked_{{n}} p
      WHERE NOT EXISTS (SELECT FROM {{table}} x WHERE ({{conflict p x}}) AND ({{rank x}}) > ({{rank p}}))
      ORDER BY {{rank_down p}} LOOP
    DELETE FROM wildcam.parked_{{n}} q WHERE {{same_stored_key q p}} AND q._v = p._v
      RETURNING {{stored q}}, q._v INTO {{columns r}}, r._v;
    IF FOUND THEN
      PERFORM wildcam.place_{{n}}(r);
      total := total + 1;
    END IF;
  END LOOP;
  RETURN total;
END $wildcam$;
SELECT wildcam.quiet('wildcam.sweep_{{n}}');
