-- SPDX-License-Identifier: MIT
  {{table}} ({{columns}}) WHERE (_origin = {{me}})
