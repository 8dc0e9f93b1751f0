-- SPDX-License-Identifier: MIT
  wildcam.journal_{{n}} (v, pv, origin, op, {{stored}}) WHERE (origin = {{me}})
