-- SPDX-License-Identifier: MIT
-- base: schema wildcam without the tables' own objects. What may be called: docs/contracts/rows.md.
-- Idempotent; brings any older version up to date; refuses to take a newer one back.
-- Inside: every name with its schema, because callers choose their own search_path.
CREATE SCHEMA IF NOT EXISTS wildcam;
GRANT USAGE ON SCHEMA wildcam TO PUBLIC;
CREATE TABLE IF NOT EXISTS wildcam.mesh(
  name text NOT NULL,
  sql_version int NOT NULL,
  incarnation uuid NOT NULL DEFAULT gen_random_uuid(),
  refused text,
  announced bigint NOT NULL DEFAULT 0,
  one boolean PRIMARY KEY DEFAULT true CHECK (one));
DO $wildcam$
DECLARE
  there int := (SELECT sql_version FROM wildcam.mesh);
BEGIN
  IF there > {{version}} THEN
    RAISE EXCEPTION 'schema wildcam has version %, this program makes version {{version}}', there
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run a program at least as new.';
  END IF;
END $wildcam$;

CREATE TABLE IF NOT EXISTS wildcam.node(
  origin smallint PRIMARY KEY CHECK (origin BETWEEN 1 AND 255),
  region text NOT NULL UNIQUE,
  cloud text NOT NULL,
  state text NOT NULL CHECK (state IN ('joining', 'active', 'leaving', 'left', 'lost')),
  since timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS wildcam.federated(
  number int PRIMARY KEY,
  schema name NOT NULL,
  name name NOT NULL,
  kind text NOT NULL CHECK (kind IN ('lww', 'insert-only')),
  columns text[] NOT NULL,
  key text[] NOT NULL,
  digest text NOT NULL,
  guarded boolean NOT NULL DEFAULT false,
  since timestamptz NOT NULL DEFAULT now(),
  UNIQUE (schema, name));
CREATE TABLE IF NOT EXISTS wildcam.link(
  origin smallint PRIMARY KEY,
  subscription name NOT NULL,
  state text NOT NULL CHECK (state IN ('new', 'subscribed', 'filled')),
  since timestamptz NOT NULL DEFAULT now(),
  fill_rows bigint NOT NULL DEFAULT 0,
  error text);
CREATE TABLE IF NOT EXISTS wildcam.watermark(
  node smallint NOT NULL,
  origin smallint NOT NULL,
  ts timestamptz NOT NULL,
  lsn pg_lsn NOT NULL,
  safe bigint NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (node, origin));
CREATE TABLE IF NOT EXISTS wildcam.heartbeat(
  origin smallint NOT NULL,
  ts timestamptz NOT NULL,
  lsn pg_lsn NOT NULL,
  safe bigint NOT NULL,
  seen jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS wildcam.ledger(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  number int NOT NULL,
  key jsonb NOT NULL,
  kind text NOT NULL,
  v bigint,
  pv bigint,
  cur bigint,
  "row" jsonb,
  at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS wildcam.dead_letter(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  number int NOT NULL,
  key jsonb NOT NULL,
  v bigint NOT NULL,
  pv bigint,
  origin smallint NOT NULL,
  op "char" NOT NULL,
  "row" jsonb NOT NULL,
  sqlstate text NOT NULL,
  message text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS ledger_key ON wildcam.ledger (number, key);
CREATE INDEX IF NOT EXISTS ledger_at ON wildcam.ledger (at);

-- This node's number: a constant in every plan.
CREATE OR REPLACE FUNCTION wildcam.me() RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN {{me}}::smallint;

-- Microseconds since 1970. date_part is float8: exact enough until 2255, and faster than extract.
CREATE OR REPLACE FUNCTION wildcam.micros(at timestamptz) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (pg_catalog.date_part('epoch', at) * 1000000)::bigint;

-- The next four are inlined into triggers that run with the owner's rights under their caller's search_path: bound
-- when they are created, an operator of the caller's own cannot get into them.
CREATE OR REPLACE FUNCTION wildcam.is_merging() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(pg_catalog.current_setting('wildcam.apply', true), '') = '1';

-- A version that this transaction made, above whatever its key had before.
CREATE OR REPLACE FUNCTION wildcam.is_own(v bigint, above bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN v & 255 = {{me}}
  AND v >= (pg_catalog.date_part('epoch', pg_catalog.transaction_timestamp()) * 1000000)::bigint << 8
  AND (above IS NULL OR v > above);

-- stamp is inlined where it is used: it must stay one expression that names `last` once. Multiplied, not shifted: what
-- a client's own version makes too great is an error, not a negative one.
CREATE OR REPLACE FUNCTION wildcam.allow() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $wildcam$
BEGIN
  UPDATE wildcam.mesh SET refused = NULL WHERE refused IS NOT NULL;
  CREATE OR REPLACE FUNCTION wildcam.stamp(last bigint) RETURNS bigint
  LANGUAGE sql VOLATILE
  RETURN GREATEST((date_part('epoch', clock_timestamp()) * 1000000)::bigint, (last >> 8) + 1) * 256 + {{me}};
END $wildcam$;

-- Kept over restarts and over an update of this SQL, until allow().
CREATE OR REPLACE FUNCTION wildcam.refuse(reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $wildcam$
BEGIN
  UPDATE wildcam.mesh SET refused = reason;
  EXECUTE format('CREATE OR REPLACE FUNCTION wildcam.stamp(last bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS %L',
    format('BEGIN RAISE EXCEPTION USING ERRCODE = ''55W01'', MESSAGE = %L, HINT = %L; END',
      'this region takes no writes: ' || reason, 'Write in another region, or wait until this one is well again.'));
END $wildcam$;

CREATE OR REPLACE FUNCTION wildcam.note(
  number int, key jsonb, kind text, v bigint, pv bigint, cur bigint, "row" jsonb) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO wildcam.ledger (number, key, kind, v, pv, cur, "row")
  VALUES (note.number, note.key, note.kind, note.v, note.pv, note.cur, note."row");
END;

-- Adds the columns that are missing and follows a changed type; never drops: a peer may still send it.
CREATE OR REPLACE FUNCTION wildcam.shape(target regclass, names text[], types text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
DECLARE
  has text;
BEGIN
  FOR i IN 1 .. coalesce(array_length(names, 1), 0) LOOP
    SELECT format_type(a.atttypid, a.atttypmod) INTO has FROM pg_attribute a
      WHERE a.attrelid = shape.target AND a.attname = names[i] AND NOT a.attisdropped;
    IF has IS NULL THEN
      EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', target, names[i], types[i]);
    ELSIF has <> types[i] THEN
      EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %I::%s', target, names[i], types[i], names[i], types[i]);
    END IF;
  END LOOP;
END $wildcam$;

-- A key or unique value has changed. The triggers that follow it fire only for statements that name its columns,
-- if there was no BEFORE UPDATE trigger when they were made: one that is newer can change them behind the statement.
CREATE OR REPLACE FUNCTION wildcam.followed(target oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
DECLARE
  newer name := (SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = target AND NOT t.tgisinternal
    AND (t.tgtype & 19) = 19 AND t.tgname !~ '^zz_wildcam_' ORDER BY t.oid DESC LIMIT 1);
BEGIN
  IF newer IS NOT NULL AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = target
      AND t.tgname = 'zz_wildcam_key_old' AND array_length(t.tgattr::int2[], 1) > 0) THEN
    RAISE EXCEPTION 'trigger % of % is newer than the federation''s: its changes of keys would not be followed', newer, target::regclass
      USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'wildcam rows init takes it in.';
  END IF;
END $wildcam$;

CREATE OR REPLACE FUNCTION wildcam.no_truncate() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
BEGIN
  RAISE EXCEPTION 'TRUNCATE of %.% is not federated', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'feature_not_supported', HINT = 'Use DELETE; CALL wildcam.split(''DELETE FROM ...'', 5000) for many rows.';
END $wildcam$;
CREATE OR REPLACE FUNCTION wildcam.insert_only() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
BEGIN
  RAISE EXCEPTION '% of %.% refused: its rows are only inserted', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'feature_not_supported', HINT = 'Federate it as last-write-wins to change rows.';
END $wildcam$;
CREATE OR REPLACE FUNCTION wildcam.foreign_origin() RETURNS trigger LANGUAGE plpgsql AS $wildcam$
BEGIN
  IF wildcam.is_merging() THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '_origin % in %.% is not this region', NEW._origin, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'check_violation', HINT = 'Leave _origin out, or use wildcam.me().';
END $wildcam$;

-- A heartbeat that arrived: what this node has of its sender, and what the sender has of everybody.
CREATE OR REPLACE FUNCTION wildcam.heard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
BEGIN
  -- While the link is not filled this node has less than what its stream has brought (src/mesh/fill.c, 5).
  INSERT INTO wildcam.watermark AS w SELECT {{me}}, NEW.origin, NEW.ts, NEW.lsn, NEW.safe, clock_timestamp()
    WHERE NOT EXISTS (SELECT FROM wildcam.link l WHERE l.origin = NEW.origin AND l.state <> 'filled')
    ON CONFLICT (node, origin) DO UPDATE
    SET ts = EXCLUDED.ts, lsn = EXCLUDED.lsn, safe = EXCLUDED.safe, at = EXCLUDED.at
    WHERE w.lsn <= EXCLUDED.lsn OR w.ts < EXCLUDED.ts;
  INSERT INTO wildcam.watermark AS w
    SELECT NEW.origin, s.origin, s.ts, s.lsn, s.safe, clock_timestamp()
    FROM jsonb_to_recordset(NEW.seen) AS s(origin smallint, ts timestamptz, lsn pg_lsn, safe bigint)
    WHERE s.origin <> NEW.origin
    ON CONFLICT (node, origin) DO UPDATE
    SET ts = EXCLUDED.ts, lsn = EXCLUDED.lsn, safe = EXCLUDED.safe, at = EXCLUDED.at;
  RETURN NULL;
END $wildcam$;
CREATE OR REPLACE TRIGGER wildcam_heard BEFORE INSERT ON wildcam.heartbeat
  FOR EACH ROW WHEN (NEW.origin <> {{me}}) EXECUTE FUNCTION wildcam.heard();
ALTER TABLE wildcam.heartbeat ENABLE REPLICA TRIGGER wildcam_heard;

-- safe: every version of this node at or below it is committed or gone. A transaction stamps after its
-- start; one that starts after the clock was read here stamps later still: so read the clock first.
-- The start of a prepared transaction is not known: while there is one, safe stands still.
CREATE OR REPLACE FUNCTION wildcam.beat() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
<<w>>
DECLARE
  last bigint;
  safe bigint;
  oldest timestamptz;
  hidden int;
BEGIN
  SELECT m.announced INTO last FROM wildcam.mesh m FOR UPDATE;
  safe := wildcam.micros(clock_timestamp()) - 1;
  PERFORM pg_stat_clear_snapshot();
  SELECT min(a.xact_start), count(*) FILTER (WHERE a.query = '<insufficient privilege>') INTO oldest, hidden
    FROM pg_stat_activity a
    WHERE a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND a.pid <> pg_backend_pid()
      AND (a.backend_type IS NULL OR a.backend_type NOT IN
        ('logical replication worker', 'walsender', 'autovacuum worker', 'parallel worker'));
  IF hidden > 0 THEN
    RAISE EXCEPTION '% cannot see the transactions of % other sessions', current_user, hidden
      USING ERRCODE = 'insufficient_privilege', HINT = format('GRANT pg_monitor TO %I', current_user);
  END IF;
  safe := LEAST(safe, wildcam.micros(oldest) - 1);
  IF EXISTS (SELECT FROM pg_prepared_xacts p WHERE p.database = current_database()) THEN
    safe := last;
  END IF;
  safe := GREATEST(safe, last);
  UPDATE wildcam.mesh SET announced = w.safe;
  INSERT INTO wildcam.heartbeat
    SELECT {{me}}, clock_timestamp(), pg_current_wal_insert_lsn(), w.safe,
      coalesce(jsonb_agg(jsonb_build_object('origin', k.origin, 'ts', k.ts, 'lsn', k.lsn, 'safe', k.safe)), '[]')
    FROM wildcam.watermark k WHERE k.node = {{me}};
  DELETE FROM wildcam.heartbeat;
  RETURN safe;
END $wildcam$;

-- Below the floor everything of everybody is applied everywhere. A joining or leaving node counts: it still learns.
CREATE OR REPLACE FUNCTION wildcam.floor() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH n AS (SELECT origin FROM wildcam.node WHERE state IN ('joining', 'active', 'leaving'))
  SELECT CASE WHEN count(*) = count(k.safe) THEN coalesce(min(k.safe), 0) ELSE 0 END
  FROM n a JOIN n b ON a.origin <> b.origin
  LEFT JOIN wildcam.watermark k ON k.node = a.origin AND k.origin = b.origin;
END;

CREATE OR REPLACE FUNCTION wildcam.collect(margin interval) RETURNS TABLE(journal_rows bigint, tombstones bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $wildcam$
<<w>>
DECLARE
  below bigint := (wildcam.floor() - (date_part('epoch', margin) * 1000000)::bigint) << 8;
  t record;
  n bigint;
BEGIN
  journal_rows := 0;
  tombstones := 0;
  FOR t IN SELECT f.number FROM wildcam.federated f WHERE f.kind = 'lww' ORDER BY f.number LOOP
    BEGIN
      IF pg_relation_size(format('wildcam.journal_%s', t.number)) > 0 THEN
        EXECUTE format('SELECT count(*) FROM wildcam.journal_%s', t.number) INTO n;
        EXECUTE format('TRUNCATE wildcam.journal_%s', t.number);
        journal_rows := journal_rows + n;
      END IF;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      NULL; -- the next round empties it
    END;
    IF below > 0 THEN
      EXECUTE format('DELETE FROM wildcam.tombstone_%s WHERE v < $1', t.number) USING below;
      GET DIAGNOSTICS n = ROW_COUNT;
      tombstones := tombstones + n;
    END IF;
  END LOOP;
  RETURN NEXT;
END $wildcam$;

CREATE OR REPLACE FUNCTION wildcam.confirmed(target pg_lsn, slots name[]) RETURNS int
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT count(*)::int FROM pg_replication_slots s
  WHERE s.slot_name = ANY (confirmed.slots) AND s.confirmed_flush_lsn >= confirmed.target;
END;

-- The trigger that merges what arrives: as fast as possible, or guarded: one that writes a dead letter
-- instead of stopping the stream, for a subtransaction a row.
CREATE OR REPLACE FUNCTION wildcam.guard(number int, guarded boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
<<w>>
DECLARE
  f wildcam.federated;
  target text;
  origin text;
BEGIN
  UPDATE wildcam.federated x SET guarded = guard.guarded WHERE x.number = guard.number RETURNING x.* INTO f;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no federated table has number %', number USING ERRCODE = 'undefined_object';
  END IF;
  IF f.kind = 'lww' THEN
    target := format('wildcam.journal_%s', number);
    origin := 'origin';
  ELSE
    target := format('%I.%I', f.schema, f.name);
    origin := '_origin';
  END IF;
  -- merge_N writes the table itself: an insert-only table's trigger must not run for that once more.
  EXECUTE format('CREATE OR REPLACE TRIGGER wildcam_apply BEFORE INSERT ON %s FOR EACH ROW WHEN (NEW.%s <> {{me}}%s) EXECUTE FUNCTION wildcam.%s_%s()',
    target, origin, CASE WHEN f.kind = 'lww' THEN '' ELSE ' AND current_setting(''wildcam.apply'', true) IS DISTINCT FROM ''1''' END, CASE WHEN guarded THEN 'guarded' ELSE 'apply' END, number);
  EXECUTE format('ALTER TABLE %s ENABLE REPLICA TRIGGER wildcam_apply', target);
END $wildcam$;

-- Merges by hand behave like the stream: no trigger of anybody, no foreign keys. Only where the owner may say so.
CREATE OR REPLACE FUNCTION wildcam.quiet(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
BEGIN
  EXECUTE format('ALTER FUNCTION %s SET session_replication_role = replica', name);
EXCEPTION WHEN insufficient_privilege THEN
  NULL; -- wildcam.apply silences stamp and journal all the same
END $wildcam$;

-- Clients need the stamp and nothing else here; the service's roles what docs/contracts/rows.md gives them.
CREATE OR REPLACE FUNCTION wildcam.rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
DECLARE
  f record;
BEGIN
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA wildcam FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION wildcam.me(), wildcam.stamp(bigint), wildcam.micros(timestamptz),
    wildcam.is_merging(), wildcam.is_own(bigint, bigint) TO PUBLIC;
  GRANT EXECUTE ON PROCEDURE wildcam.split(text, int) TO PUBLIC;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wildcam_replication') THEN
    GRANT SELECT ON wildcam.heartbeat TO wildcam_replication;
    FOR f IN SELECT x.* FROM wildcam.federated x LOOP
      EXECUTE CASE WHEN f.kind = 'lww' THEN format('GRANT SELECT ON wildcam.journal_%s TO wildcam_replication', f.number)
        ELSE format('GRANT SELECT ON %I.%I TO wildcam_replication', f.schema, f.name) END;
    END LOOP;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wildcam_rows') THEN
    GRANT EXECUTE ON FUNCTION wildcam.confirmed(pg_lsn, name[]), wildcam.floor() TO wildcam_rows;
    FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
        WHERE s.nspname = 'wildcam' AND p.proname ~ '^(merge|replay)_[0-9]+$' LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO wildcam_rows', f.name);
    END LOOP;
  END IF;
END $wildcam$;

-- Runs one UPDATE or DELETE as many transactions, by ranges of the primary key: a peer applies a transaction whole,
-- and nothing behind it meanwhile. Each row is met once, if the command does not change the key. Where the command
-- has more than one WHERE, `:rows` in it says where the range belongs.
CREATE OR REPLACE PROCEDURE wildcam.split(command text, batch int DEFAULT 5000) LANGUAGE plpgsql AS $wildcam$
<<w>>
DECLARE
  target text := (pg_catalog.regexp_match(command,
    '^\s*(?:update|delete\s+from)\s+(?:only\s+)?((?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?)', 'i'))[1];
  wheres int := (SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(command, '\mwhere\M', 'gi'));
  keys text;
  bound text;
  from_bound text;
  to_bound text;
  range text;
  text_of_batch text;
  n bigint;
  total bigint := 0;
BEGIN
  IF target IS NULL THEN
    RAISE EXCEPTION 'split takes one UPDATE or DELETE' USING ERRCODE = 'syntax_error';
  END IF;
  IF batch < 1 THEN
    RAISE EXCEPTION 'a batch of % rows', batch USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF wheres > 1 AND pg_catalog.strpos(command, ':rows') = 0 THEN
    RAISE EXCEPTION 'more than one WHERE: which is the table''s?' USING ERRCODE = 'syntax_error',
      HINT = 'Write :rows where the range of rows belongs: ... WHERE :rows AND (...)';
  END IF;
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.at),
      pg_catalog.string_agg(pg_catalog.format('%%L::%s', pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.at)
    INTO keys, bound
    FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(number, at), pg_catalog.pg_attribute a
    WHERE i.indrelid = target::regclass AND i.indisprimary AND k.at <= i.indnkeyatts
      AND a.attrelid = i.indrelid AND a.attnum = k.number;
  IF keys IS NULL THEN
    RAISE EXCEPTION '% has no primary key', target USING ERRCODE = 'undefined_object';
  END IF;
  LOOP
    range := CASE WHEN from_bound IS NULL THEN 'true' ELSE pg_catalog.format('(%s) > (%s)', keys, from_bound) END;
    EXECUTE pg_catalog.format('SELECT pg_catalog.format(%L, %s) FROM (SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %s) k ORDER BY (%s) DESC LIMIT 1',
      bound, keys, keys, target, range, keys, batch, keys) INTO to_bound;
    EXIT WHEN to_bound IS NULL;
    range := pg_catalog.format('(%s AND (%s) <= (%s))', range, keys, to_bound);
    IF pg_catalog.strpos(command, ':rows') > 0 THEN
      text_of_batch := pg_catalog.replace(command, ':rows', range);
    ELSIF wheres = 1 THEN
      text_of_batch := pg_catalog.regexp_replace(command, '\mwhere\M(.*)$',
        'WHERE ' || pg_catalog.replace(range, '\', '\\') || ' AND (\1)', 'i');
    ELSE
      text_of_batch := command || ' WHERE ' || range;
    END IF;
    EXECUTE text_of_batch;
    GET DIAGNOSTICS n = ROW_COUNT;
    total := total + n;
    COMMIT;
    from_bound := to_bound;
  END LOOP;
  RAISE NOTICE '% rows', total;
END $wildcam$;

-- Errors that no retry can heal; anything else (deadlock, disk full, shutdown) is for the stream to try again.
CREATE OR REPLACE FUNCTION wildcam.is_poison(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.left(state, 2) NOT IN ('08', '25', '40', '53', '55', '57', '58', 'XX');

CREATE OR REPLACE FUNCTION wildcam.retry_dead_letters() RETURNS TABLE(merged bigint, remaining bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wildcam$
<<w>>
DECLARE
  d record;
  state text;
  reason text;
BEGIN
  merged := 0;
  remaining := 0;
  FOR d IN SELECT l.*, f.schema, f.name FROM wildcam.dead_letter l JOIN wildcam.federated f USING (number)
      ORDER BY l.v FOR UPDATE OF l LOOP
    BEGIN
      EXECUTE format('SELECT wildcam.merge_%s($1, $2, $3, jsonb_populate_record(NULL::%I.%I, $4))', d.number, d.schema, d.name)
        USING d.op, d.v, d.pv, d."row";
      DELETE FROM wildcam.dead_letter l WHERE l.id = d.id;
      merged := merged + 1;
    EXCEPTION WHEN OTHERS THEN
      IF NOT wildcam.is_poison(SQLSTATE) THEN
        RAISE;
      END IF;
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, reason = MESSAGE_TEXT;
      UPDATE wildcam.dead_letter l SET sqlstate = w.state, message = w.reason WHERE l.id = d.id;
      remaining := remaining + 1;
    END;
  END LOOP;
  RETURN NEXT;
END $wildcam$;

INSERT INTO wildcam.mesh (name, sql_version) VALUES ({{mesh_name}}, {{version}}) ON CONFLICT (one) DO NOTHING;
UPDATE wildcam.mesh SET sql_version = {{version}} WHERE sql_version <> {{version}};
UPDATE wildcam.mesh SET name = {{mesh_name}} WHERE name <> {{mesh_name}};
INSERT INTO wildcam.node (origin, region, cloud, state) VALUES ({{me}}, {{region}}, {{cloud}}, 'joining') ON CONFLICT DO NOTHING;
-- Role wildcam has a schema of its own name here: without this its unqualified tables would land in it.
DO $wildcam$
BEGIN
  IF current_user = 'wildcam' AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s
      WHERE s.setdatabase = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
        AND s.setrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = 'wildcam')) THEN
    EXECUTE pg_catalog.format('ALTER ROLE wildcam IN DATABASE %I SET search_path = public', pg_catalog.current_database());
  END IF;
END $wildcam$;
DO $wildcam$
DECLARE
  reason text := (SELECT refused FROM wildcam.mesh);
BEGIN
  IF reason IS NULL THEN
    PERFORM wildcam.allow();
  ELSE
    PERFORM wildcam.refuse(reason);
  END IF;
END $wildcam$;
SELECT wildcam.rights();
