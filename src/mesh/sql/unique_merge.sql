-- SPDX-License-Identifier: MIT
-- unique_merge: the rule for a table with more unique keys; place_N decides who is visible.
#variable_conflict use_column
<<w>>
DECLARE
  {{row_declaration}}
  o {{table}};
  cur bigint;
  won boolean;
BEGIN
  {{assign r}}
  r._v := {{v}};
  IF {{op}} = 'D' THEN -- the tombstone first, also when the delete loses: tombstones are equal everywhere
    INSERT INTO wildcam.tombstone_{{n}} AS d ({{stored_key}}, v) VALUES ({{key r}}, {{v}})
      ON CONFLICT ({{stored_key}}) DO UPDATE SET v = EXCLUDED.v WHERE d.v < EXCLUDED.v;
    won := FOUND;
  ELSE
    SELECT d.v INTO cur FROM wildcam.tombstone_{{n}} d WHERE {{same_key d r}};
    IF cur >= {{v}} THEN
      PERFORM wildcam.note({{n}}, {{key_json r}}, 'lost', {{v}}, {{pv}}, cur, to_jsonb(r) - '_v');
      {{leave}}
    END IF;
  END IF;
  SELECT x.* INTO o FROM {{table}} x WHERE {{same_key x r}};
  IF o._v >= {{v}} THEN
    IF o._v > {{v}} THEN
      PERFORM wildcam.note({{n}}, {{key_json r}}, 'lost', {{v}}, {{pv}}, o._v, to_jsonb(r) - '_v');
    END IF;
    {{leave}}
  END IF;
  IF o._v > {{pv}} THEN
    PERFORM wildcam.note({{n}}, {{key_json r}}, 'over', {{v}}, {{pv}}, o._v, to_jsonb(o) - '_v');
  END IF;
  DELETE FROM wildcam.parked_{{n}} p WHERE {{same_key p r}} AND p._v < {{v}};
  PERFORM 1 FROM wildcam.parked_{{n}} p WHERE {{same_key p r}};
  IF FOUND THEN
    {{leave}}
  END IF;
  IF {{op}} <> 'D' THEN
    PERFORM wildcam.place_{{n}}(r);
    {{leave}}
  END IF;
  DELETE FROM {{table}} x WHERE {{same_key x r}} AND x._v < {{v}} RETURNING x.* INTO o;
  IF FOUND THEN
    PERFORM wildcam.unpark_{{n}}(o);
  ELSIF won THEN -- not there, or in flight: the dummy waits for who is inserting this key, and those to come wait for it
    BEGIN
      INSERT INTO {{table}} ({{columns}}, _v) {{overriding}}
        VALUES ({{dummy r}}, {{v}}) ON CONFLICT ({{key}}) DO NOTHING;
    EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
      LOCK TABLE {{table}} IN SHARE ROW EXCLUSIVE MODE; -- no dummy satisfies its checks: waits for everybody
    END;
    DELETE FROM {{table}} x WHERE {{same_key x r}} AND x._v <= {{v}} RETURNING x.* INTO o;
    IF FOUND THEN
      PERFORM wildcam.unpark_{{n}}(o);
    END IF;
    INSERT INTO wildcam.parked_{{n}} ({{stored_key}}, _v) VALUES ({{key r}}, {{v}}) ON CONFLICT ({{stored_key}}) DO NOTHING;
    DELETE FROM wildcam.parked_{{n}} p WHERE {{same_key p r}} AND p._v <= {{v}};
  END IF;
  {{leave}}
END
