-- SPDX-License-Identifier: MIT
-- drop_lww: takes a last-write-wins table out of the federation; its rows and their versions stay.
DROP TRIGGER IF EXISTS zz_wildcam_update ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_insert ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_key_old ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_key_new ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_delete ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_truncate ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_release_update ON {{table}};
DROP TRIGGER IF EXISTS zz_wildcam_release_delete ON {{table}};
ALTER TABLE {{table}} ALTER COLUMN _v SET DEFAULT 0;
DROP TABLE IF EXISTS wildcam.journal_{{n}};
DROP TABLE IF EXISTS wildcam.tombstone_{{n}};
DROP TABLE IF EXISTS wildcam.parked_{{n}};
DROP FUNCTION IF EXISTS wildcam.update_{{n}}();
DROP FUNCTION IF EXISTS wildcam.insert_{{n}}();
DROP FUNCTION IF EXISTS wildcam.fresh_{{n}}({{table}});
DROP FUNCTION IF EXISTS wildcam.delete_{{n}}();
DROP FUNCTION IF EXISTS wildcam.apply_{{n}}();
DROP FUNCTION IF EXISTS wildcam.guarded_{{n}}();
DROP FUNCTION IF EXISTS wildcam.merge_{{n}}("char", bigint, bigint, {{table}});
DROP FUNCTION IF EXISTS wildcam.replay_{{n}}(jsonb);
DROP FUNCTION IF EXISTS wildcam.sweep_{{n}}();
DROP FUNCTION IF EXISTS wildcam.release_{{n}}();
DROP FUNCTION IF EXISTS wildcam.released_{{n}}({{table}});
DROP FUNCTION IF EXISTS wildcam.place_{{n}}({{table}});
DROP FUNCTION IF EXISTS wildcam.unpark_{{n}}({{table}});
DELETE FROM wildcam.federated WHERE number = {{n}};
