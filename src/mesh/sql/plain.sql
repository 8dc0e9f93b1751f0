-- SPDX-License-Identifier: MIT
-- plain: what a table without further unique keys has besides: rows below their tombstone. Finds 0.
CREATE OR REPLACE FUNCTION wildcam.sweep_{{n}}() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET wildcam.apply = '1' SET search_path = {{path}} AS $wildcam$
#variable_conflict use_column
<<w>>
DECLARE
  total int;
BEGIN
  DELETE FROM {{table}} x USING wildcam.tombstone_{{n}} d WHERE {{same_key d x}} AND d.v > x._v;
  GET DIAGNOSTICS total = ROW_COUNT;
  RETURN total;
END $wildcam$;
SELECT wildcam.quiet('wildcam.sweep_{{n}}');
