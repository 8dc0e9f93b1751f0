-- Durability two-clouds: true as soon as one of these replication slots has confirmed that everything that was on disk
-- here when this began is on its own disk too; false after most_ms. The first looks follow at once, since a
-- confirmation takes about as long as they do; then it looks once a millisecond, and more seldom after 20 of them.
CREATE FUNCTION wildcam.await_confirmed(slots name[], most_ms integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
DECLARE
    target pg_lsn := pg_current_wal_flush_lsn();
    give_up timestamptz := clock_timestamp() + most_ms * interval '1 ms';
    looks integer := 0;
BEGIN
    LOOP
        PERFORM FROM pg_get_replication_slots() s WHERE s.slot_name = ANY (slots) AND s.confirmed_flush_lsn >= target;
        IF FOUND THEN
            RETURN true;
        END IF;
        IF clock_timestamp() >= give_up THEN
            RETURN false;
        END IF;
        looks := looks + 1;
        IF looks > 6 THEN
            PERFORM pg_sleep(CASE WHEN looks > 26 THEN 0.01 ELSE 0.001 END);
        END IF;
    END LOOP;
END
$$;
