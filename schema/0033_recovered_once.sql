-- Who lets a generation take effect when no admin can approve it is written down once.

SET LOCAL ROLE holdfast_owner;

-- As in 0011_generations.sql; false also where somebody has done it already.
CREATE OR REPLACE FUNCTION holdfast.recover_generation(
  wanted bigint, digest text, person text, reason text)
  RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE holdfast.generations g
    SET recovery = jsonb_build_object('by', person, 'database_user', session_user,
      'reason', reason, 'at', holdfast.record_time(clock_timestamp()))
    WHERE g.number = wanted AND g.sha256 = digest AND g.state = 'pending' AND g.recovery IS NULL;
  RETURN FOUND;
END $$;
