-- `holdfast verify` reads where tokens, reviews, rules, limits and operations stand, to hold it against
-- the log. It does so as holdfast_audit, which the log tells all of it already.

SET LOCAL ROLE holdfast_owner;

GRANT SELECT ON holdfast.tokens, holdfast.reviews, holdfast.review_history, holdfast.generations,
  holdfast.rule_files, holdfast.open_operations TO holdfast_audit;
