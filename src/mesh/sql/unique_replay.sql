-- SPDX-License-Identifier: MIT
-- unique_replay: a part of replay_N: the newest version may be a parked one.
  IF v IS NULL THEN
    INSERT INTO wildcam.journal_{{n}} (v, pv, origin, op, {{stored}})
      SELECT p._v, NULL, {{me}}, 'U', {{stored p}} FROM wildcam.parked_{{n}} p WHERE {{same_key p k}} AND p._v = w.best;
  END IF;
