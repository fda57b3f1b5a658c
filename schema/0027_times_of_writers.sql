-- A writer's times do not go back when its process starts again and the clock was set back meanwhile.
-- Appending tells nobody what time it has reached; whoever renews a lease does, every few seconds.

SET LOCAL ROLE holdfast_owner;

-- Null for a writer whose processes were all of a version that does not tell.
ALTER TABLE holdfast.writers
  ADD COLUMN last_time timestamptz,      -- No record of before `last_time_at` has a later time.
  ADD COLUMN last_time_at timestamptz;   -- When that was, on the database's clock.

-- Extends the lease. `given`: by the writer's clock, no record of it has a later time so far. Returns
-- how many entries the log has room for, and whether a spare partition follows the one in use.
DROP FUNCTION holdfast.renew_lease(uuid, bigint, interval);
CREATE FUNCTION holdfast.renew_lease(
  writer uuid, writer_epoch bigint, lease interval, given timestamptz DEFAULT NULL,
  OUT room bigint, OUT spare boolean)
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF lease NOT BETWEEN interval '1 second' AND interval '10 minutes' THEN
    RAISE EXCEPTION 'a lease is 1 second to 10 minutes' USING ERRCODE = 'HF002';
  END IF;
  UPDATE holdfast.writers w
    SET lease_until = clock_timestamp() + lease,
        last_time = greatest(w.last_time, given),
        last_time_at = CASE WHEN given IS NULL THEN w.last_time_at ELSE clock_timestamp() END
    WHERE w.id = writer AND w.epoch = writer_epoch AND w.role = holdfast.session_role();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;
  SELECT h.partitions_end - h.next_index,
         h.partitions_end / 4194304 > h.next_index / 4194304 + 1
    INTO room, spare FROM holdfast.log_head h;
END $$;

-- The latest time that a record of this writer can have, for a process that goes on as it: what was
-- told last, and as much more as has passed since by the database's clock, at most a lease: no process
-- appends for so long without renewing. Where no clock was set back, the writer's own is as far by now,
-- however its last process ended. Null: nobody has told.
CREATE FUNCTION holdfast.time_reached(writer uuid, writer_epoch bigint, lease interval)
  RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  reached timestamptz;
BEGIN
  SELECT w.last_time + least(greatest(clock_timestamp() - w.last_time_at, interval '0'), lease)
    INTO reached FROM holdfast.writers w
    WHERE w.id = writer AND w.epoch = writer_epoch AND w.role = holdfast.session_role();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;
  RETURN reached;
END $$;

REVOKE EXECUTE ON FUNCTION
  holdfast.renew_lease(uuid, bigint, interval, timestamptz),
  holdfast.time_reached(uuid, bigint, interval)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.renew_lease(uuid, bigint, interval, timestamptz),
  holdfast.time_reached(uuid, bigint, interval)
  TO holdfast_proxy, holdfast_audit;
