-- SPDX-License-Identifier: MIT
-- plain_merge: the rule for a table without further unique keys. One version arrives; the greatest of a key stays.
#variable_conflict use_column
<<w>>
DECLARE
  cur bigint;
  old jsonb;
  won boolean;
BEGIN
  IF {{op}} <> 'D' THEN
    SELECT x._v, CASE WHEN x._v > {{pv}} AND x._v < {{v}} THEN to_jsonb(x.*) - '_v' END INTO cur, old
      FROM {{table}} x WHERE {{same_key x row}};
    IF cur >= {{v}} THEN -- _v only grows: true without a lock
      IF cur > {{v}} THEN
        PERFORM wildcam.note({{n}}, {{key_json row}}, 'lost', {{v}}, {{pv}}, cur, {{row_json}});
      END IF;
      {{leave}}
    END IF;
    IF old IS NOT NULL THEN -- its writer had not seen what it replaces: a true conflict
      PERFORM wildcam.note({{n}}, {{key_json row}}, 'over', {{v}}, {{pv}}, cur, old);
    END IF;
    INSERT INTO {{table}} AS x ({{columns}}, _v) {{overriding}}
      VALUES ({{columns row}}, {{v}})
      ON CONFLICT ({{key}}) DO UPDATE SET {{set EXCLUDED}} WHERE x._v < EXCLUDED._v;
    IF FOUND THEN -- a fresh snapshot: a delete that committed meanwhile is seen here
      SELECT d.v INTO cur FROM wildcam.tombstone_{{n}} d WHERE {{same_key d row}} AND d.v > {{v}};
      IF FOUND THEN
        DELETE FROM {{table}} x WHERE {{same_key x row}} AND x._v = {{v}};
        PERFORM wildcam.note({{n}}, {{key_json row}}, 'lost', {{v}}, {{pv}}, cur, {{row_json}});
      END IF;
    END IF;
    {{leave}}
  END IF;
  INSERT INTO wildcam.tombstone_{{n}} AS d ({{stored_key}}, v) VALUES ({{key row}}, {{v}})
    ON CONFLICT ({{stored_key}}) DO UPDATE SET v = EXCLUDED.v WHERE d.v < EXCLUDED.v;
  won := FOUND;
  DELETE FROM {{table}} x WHERE {{same_key x row}} AND x._v < {{v}}
    RETURNING x._v, CASE WHEN x._v > {{pv}} THEN to_jsonb(x.*) - '_v' END INTO cur, old;
  IF FOUND THEN
    IF old IS NOT NULL THEN
      PERFORM wildcam.note({{n}}, {{key_json row}}, 'over', {{v}}, {{pv}}, cur, old);
    END IF;
  ELSIF won THEN -- not there, or newer, or in flight: the dummy waits for who is inserting this key, and those to come wait for it
    BEGIN
      INSERT INTO {{table}} ({{columns}}, _v) {{overriding}}
        VALUES ({{dummy row}}, {{v}}) ON CONFLICT ({{key}}) DO NOTHING;
    EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
      LOCK TABLE {{table}} IN SHARE ROW EXCLUSIVE MODE; -- no dummy satisfies its checks: waits for everybody
    END;
    DELETE FROM {{table}} x WHERE {{same_key x row}} AND x._v <= {{v}};
  END IF;
  {{leave}}
END
