-- SPDX-License-Identifier: MIT
-- unique_triggers: who gives up a unique value lets go whoever waits for it.
CREATE OR REPLACE TRIGGER zz_wildcam_release_update AFTER UPDATE ON {{table}} FOR EACH ROW
  WHEN (({{unique_changed}}) AND current_setting('wildcam.apply', true) IS DISTINCT FROM '1')
  EXECUTE FUNCTION wildcam.release_{{n}}();
CREATE OR REPLACE TRIGGER zz_wildcam_release_delete AFTER DELETE ON {{table}} FOR EACH ROW
  WHEN (current_setting('wildcam.apply', true) IS DISTINCT FROM '1') EXECUTE FUNCTION wildcam.release_{{n}}();
