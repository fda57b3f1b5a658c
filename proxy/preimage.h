// The item as it was before it is destroyed: read with the caller's own token, only where some rule
// hangs on what the item would tell, and only its metadata, never a body.
//
// What cannot be read (gone, forbidden, too late, an answer of another shape) stays unknown, which
// restricts.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "approval/facts.h"
#include "approval/rules.h"
#include "identity/graph_lookup.h"
#include "identity/mailboxes.h"
#include "proxy/record_content.h"

namespace holdfast::proxy {

// Beyond this many recipients of a recall, the rest counts as unknown.
inline constexpr std::size_t kRecipientsResolvedMax = 50;

// Where to read the item a call is about, with the members those facts take (as
// approval::item_facts_in_doubt names them). Empty where it cannot be read: no single item, or a
// type without any of them.
std::string preimage_target(const graph::Operation& operation,
                            const std::vector<std::string>& facts);

// What an answer tells. Takes the facts from a 200 that is an object and leaves the others unknown.
struct Preimage {
  approval::ItemFacts item;
  std::optional<std::string> folder;
  std::string recorded;  // The record's preimage member, as canonical JSON.
};
Preimage read_preimage(const Result<identity::GraphAnswer>& answer,
                       const graph::Operation& operation, WallTime now);

// Belongs to one worker, for one call; all it refers to outlives it.
struct ItemReader {
  identity::GraphLookup& graph;
  identity::MailboxDirectory& mailboxes;
  const Clock& clock;
  // No question is asked later than this after the first; each has the lookup's own timeout.
  std::chrono::milliseconds timeout;

  // Adds to `facts` what the rules hang on, as far as it can be found out, and to the subject what
  // was read. Asks nothing where no rule does.
  Task<void> find_out(const approval::RuleSet& rules, const identity::Actor& actor,
                      const identity::BearerToken& token, Subject& subject,
                      approval::Facts& facts) const;

 private:
  Task<void> find_recipients(const identity::Actor& actor, const identity::BearerToken& token,
                             SteadyTime deadline, approval::Facts& facts) const;
};

}  // namespace holdfast::proxy
