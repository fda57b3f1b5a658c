-- Who belongs to several stages counts for the one where they are needed: an approval's people are matched
-- with its stages, whatever the order in which they approved.

SET LOCAL ROLE holdfast_owner;

-- Whether the people who approved, this one among them, fill all places of the stages, each of them one.
-- One after the other is given a place; where their stages have none left, others move to make room.
-- What is found so are the most places that can be filled (Berge), as approval/stage_places.h has it.
CREATE OR REPLACE FUNCTION holdfast.approval_is_complete(approval holdfast.approvals, content jsonb)
  RETURNS boolean
  LANGUAGE plpgsql STABLE
AS $$
DECLARE
  -- The stages that each person may count for, from 0; a record without them has the one it was booked
  -- under.
  people CONSTANT jsonb[] := ARRAY(
    SELECT coalesce(g.content -> 'stages', jsonb_build_array(g.content -> 'stage'))
      FROM (SELECT h.content FROM holdfast.approval_history h
              WHERE h.code = approval.code AND h.name = 'approve'
            UNION ALL SELECT approval_is_complete.content) g);
  seats integer[] := array_fill(NULL::integer, ARRAY[cardinality(people)]);  -- Each person's stage,
  places bigint[] := ARRAY(                                                  -- and what is left of each.
    SELECT (s.stage ->> 'count')::bigint
      FROM jsonb_array_elements(approval.filing -> 'stages') WITH ORDINALITY AS s (stage, number)
      ORDER BY s.number);
  comers integer[];  -- Who would come to a stage,
  movers integer[];  -- and who would have to find another one.
  turn integer;
  mover integer;
  taken integer;
  vacated integer;
BEGIN
  FOR newcomer IN 1 .. cardinality(people) LOOP
    comers := array_fill(NULL::integer, ARRAY[cardinality(places)]);
    movers := ARRAY[newcomer];
    turn := 1;
    taken := NULL;
    WHILE taken IS NULL AND turn <= cardinality(movers) LOOP
      mover := movers[turn];
      turn := turn + 1;
      FOR stage IN 1 .. cardinality(places) LOOP
        CONTINUE WHEN comers[stage] IS NOT NULL OR NOT people[mover] @> to_jsonb(stage - 1);
        comers[stage] := mover;
        IF places[stage] > 0 THEN
          places[stage] := places[stage] - 1;
          taken := stage;
          EXIT;
        END IF;
        movers := movers || array_positions(seats, stage);
      END LOOP;
    END LOOP;
    WHILE taken IS NOT NULL LOOP
      mover := comers[taken];
      vacated := seats[mover];
      seats[mover] := taken;
      taken := vacated;
    END LOOP;
  END LOOP;
  RETURN 0 >= ALL (places);
END $$;
