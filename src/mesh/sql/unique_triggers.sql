-- SPDX-License-Identifier: MIT
-- unique_triggers: who gives up a unique value lets go whoever waits for it.
CREATE OR REPLACE TRIGGER zz_wildcam_release_update AFTER UPDATE{{of_unique}} ON {{table}} FOR EACH ROW
  WHEN ({{unique_changed}})
  EXECUTE FUNCTION wildcam.release_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_release_delete AFTER DELETE ON {{table}} FOR EACH ROW EXECUTE FUNCTION wildcam.release_{{n}}();
