// SQL that holds the tables which say where things stand (approvals, reviews, tokens, generations
// of rules, legal holds, operations, what retention may do) against the records that say how they
// came to stand there. docs/audit_format.md lists what of each table is compared.
//
// The search table leads to the records: it is compared with the log itself, so what it hides is a
// fault as well. Pure.
#pragma once

#include <string>
#include <vector>

namespace holdfast::audit {

// Statements without parameters. Each answers a row for a fault: the index of the record where it
// is one, and what is wrong. Nothing secret is in it.
std::vector<std::string> state_checks();

// Which of the records $1 (ids), each of which takes a step of the approval or the review in $2
// (codes), took none: their places in the arrays, from 1.
std::string untaken_steps_sql();

}  // namespace holdfast::audit
