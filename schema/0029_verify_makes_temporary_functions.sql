-- `holdfast verify` makes the functions and tables that these migrations make once more, for as long as
-- its transaction lasts, and holds the database's against them. Where not everybody may make temporary
-- ones, the role that it runs as still may.

RESET ROLE;  -- The owner of the database gives this away.
DO $$
BEGIN
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO holdfast_audit', current_database());
END $$;
