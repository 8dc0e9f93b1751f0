-- SPDX-License-Identifier: MIT
-- federated: the last step of a table: it is known, and its merging trigger is in place.
INSERT INTO wildcam.federated AS f (number, schema, name, kind, columns, key, digest)
  VALUES ({{n}}, {{schema_literal}}, {{name_literal}}, {{kind_literal}}, {{names}}, {{key_columns}}, {{digest}})
  ON CONFLICT (number) DO UPDATE SET schema = EXCLUDED.schema, name = EXCLUDED.name, kind = EXCLUDED.kind,
    columns = EXCLUDED.columns, key = EXCLUDED.key, digest = EXCLUDED.digest;
SELECT wildcam.guard({{n}}, (SELECT f.guarded FROM wildcam.federated f WHERE f.number = {{n}}));
SELECT wildcam.rights();
