-- SPDX-License-Identifier: MIT
-- drop_insert_only: takes an insert-only table out of the federation; its rows and their _origin stay.
DROP TRIGGER IF EXISTS wildcam_apply ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_origin ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_only ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_truncate ON {{table}};
DROP FUNCTION IF EXISTS wildcam.apply_{{n}}();
DROP FUNCTION IF EXISTS wildcam.guarded_{{n}}();
DROP FUNCTION IF EXISTS wildcam.merge_{{n}}("char", bigint, bigint, {{table}});
DROP FUNCTION IF EXISTS wildcam.sweep_{{n}}();
DELETE FROM wildcam.federated WHERE number = {{n}};
